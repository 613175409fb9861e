"""What is done to the workers, the broker, HSS and the network, and in which order: drawn from the seed."""
import random

from cluster import until
from processes import SESSION

# Actions for each SIGKILL of a worker.
SHARES = {"term": 0.2, "stop": 0.12, "join": 0.12, "fault": 0.25, "cut-kafka": 0.1, "cut-hss": 0.1, "slow-kafka": 0.06,
          "slow-hss": 0.06, "hole-kafka": 0.06, "hole-hss": 0.06}
FAULTS = ["503:rate=0.3", "500:rate=0.2", "reset:rate=0.2", "lost:rate=0.2", "lost:every=3", "slow=2s:rate=0.3",
          "slow=10s:rate=0.05", "hang:rate=0.03", "html:rate=0.2", "HSS.1006:rate=0.2",
          "503:rate=0.5,api=status\nlost:rate=0.2"]


def plan(kills, broker_kills, seed, only):
    """The actions in order, each with whether the group is left to work again before the next one."""
    chance = random.Random(seed)
    actions = ["kill"] * kills + ["kill-broker"] * broker_kills
    for name, share in SHARES.items():
        actions += [name] * max(1, round(kills * share))
    if only:
        actions = [name for name in actions if name in only]
    chance.shuffle(actions)
    return [(name, chance.random() < 0.6) for name in actions]


class Actions:
    def __init__(self, stage):
        self.stage, self.say, self.chance = stage, stage.say, stage.chance
        self.done = {}

    def act(self, name):
        self.done[name] = self.done.get(name, 0) + 1
        kind, _, target = name.partition("-")
        proxy = {"kafka": self.stage.kafka, "hss": self.stage.hss}.get(target)
        body = {"kill": self.kill, "term": self.term, "stop": self.stop, "join": self.join, "fault": self.fault,
                "cut": self.cut, "slow": self.slow, "hole": self.hole}[kind]
        if name == "kill-broker":
            self.kill_broker()
        elif proxy:
            body(proxy)
        else:
            body()

    def kill(self):
        worker = self.stage.pick()
        self.say(f"SIGKILL {worker.name}")
        worker.kill()
        self.stage.broken("kill")
        self.stage.moved(SESSION + 3)
        self.stage.later(self.chance.choice([0, 0, 0.5, 2, 4]), lambda: self.stage.launch(worker))

    def term(self):
        worker = self.stage.pick()
        self.say(f"SIGTERM {worker.name}")
        self.stage.terminate(worker)

    def stop(self):
        worker, seconds = self.stage.pick(), SESSION + self.chance.uniform(1, 4)
        self.say(f"SIGSTOP {worker.name} for {seconds:.1f} s")
        worker.stop()
        self.stage.broken("stop", seconds + SESSION)
        process = worker.process

        def proceed():
            if worker.process is process:
                self.say(f"SIGCONT {worker.name}")
                worker.proceed()
        self.stage.later(seconds, proceed)

    def join(self):
        worker = self.stage.workers[3]
        if worker.process is None:
            self.say(f"{worker.name} joins")
            self.stage.launch(worker)
            self.stage.later(self.chance.uniform(4, 15), self.part)

    def part(self):
        worker = self.stage.workers[3]
        if worker.is_running:
            self.say(f"SIGTERM {worker.name}, which leaves")
            self.stage.terminate(worker)
        elif worker.process is not None:
            self.stage.later(1, self.part)

    def kill_broker(self):
        broker = self.stage.broker
        until("the broker is up before the kill", 90, lambda: (self.stage.tend(), broker.answers())[1])
        seconds = self.chance.choice([0, 1, 3, 6])
        self.say(f"SIGKILL broker, started again after {seconds} s")
        broker.kill()
        # Sessions lapse meanwhile, and until its start is over.
        self.stage.broken("broker", seconds + 12 + SESSION)

        def spawn():
            self.say("broker starts")
            broker.spawn()
        self.stage.later(seconds, spawn)

    def fault(self):
        lines = self.chance.choice(FAULTS)
        self.say(f"HSS fault {lines}")
        self.stage.sandbox.faults(lines)
        self.stage.later(self.chance.uniform(2, 6), lambda: (self.say("HSS fault over"), self.stage.sandbox.faults()))

    def cut(self, proxy):
        self.say(f"cut all connections to {proxy.name}")
        proxy.cut()
        if proxy is self.stage.hss:
            self.stage.broken("answers lost", 1)

    def slow(self, proxy):
        seconds = self.chance.choice([0.05, 0.2, 0.5])
        self.say(f"{proxy.name} slower by {seconds} s")
        proxy.slow(seconds)
        self.stage.later(self.chance.uniform(3, 8), lambda: proxy.slow(0.0))

    def hole(self, proxy):
        seconds, late = self.chance.uniform(2, 8), self.chance.random() < 0.5
        self.say(f"{proxy.name} forwards nothing for {seconds:.1f} s; held data is {'sent late' if late else 'dropped'}")
        proxy.swallow()
        if late or proxy is self.stage.kafka:
            self.stage.broken(f"hole {proxy.name}", seconds + SESSION)
        else:
            self.stage.broken("answers lost", seconds + SESSION)
        self.stage.later(seconds, lambda: (self.say(f"{proxy.name} forwards again"), proxy.heal(late)))
