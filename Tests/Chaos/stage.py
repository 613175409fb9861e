"""Everything that runs, what has to be undone when, and whether it ends as it may."""
import heapq
import itertools
import random
import signal
import time

from cluster import Broker, until
from load import Load
from processes import NO_SERVICE, TRY_AGAIN, Sandbox, Worker
from proxy import Proxy

# Seconds from a kill to the last call that the sandbox still reads of the killed worker: 32 ms were seen.
ARRIVAL = 0.25


class Stage:
    def __init__(self, home, binary, directory, seed, say):
        self.say, self.chance = say, random.Random(seed + 1)
        self.kafka, self.hss = Proxy("kafka"), Proxy("hss")
        self.workers, self.sandbox = [], None
        self.undo, self.number = [], itertools.count()
        # What can leave a call without its result: (from, to, what), in seconds since the epoch.
        self.breaks = []
        # How often each exit code was seen, and what may not have happened.
        self.exits, self.violations = {}, []
        self.broker = Broker(home, directory, self.kafka)
        try:
            self.broker.spawn()
            until("the broker answers", 60, self.broker.answers)
            self.broker.create_topics()
            self.sandbox = Sandbox(binary, directory, self.hss)
        except BaseException:
            self.close()
            raise
        self.workers = [Worker(n, binary, self.broker, self.sandbox, directory) for n in range(4)]
        self.load = Load(self.broker.bootstrap, seed)

    def start(self):
        for worker in self.workers[:3]:
            self.launch(worker)

    def launch(self, worker):
        worker.start()
        self.moved(5)

    def terminate(self, worker):
        worker.terminate()
        self.moved(3)

    def moved(self, seconds):
        """Partitions move about now: each rebalance takes all of them from all workers."""
        self.broken("move", seconds)

    def later(self, seconds, body):
        heapq.heappush(self.undo, (time.monotonic() + seconds, next(self.number), body))

    def broken(self, what, seconds=0.0):
        now = time.time()
        # What was on its way to HSS arrives after its sender is gone: on a busy machine the sandbox reads it late.
        self.breaks.append((now, now + seconds + self.hss.delay + ARRIVAL, what))

    def violation(self, text):
        self.say(f"VIOLATION {text}")
        self.violations.append(text)

    def pick(self):
        """A worker that runs, when there is one."""
        def one():
            self.tend()
            running = [worker for worker in self.workers if worker.is_running]
            return self.chance.choice(running) if running else None
        return until("a worker runs", 90, one)

    def tend(self):
        """Undoes what is due and takes note of who ended."""
        while self.undo and self.undo[0][0] <= time.monotonic():
            heapq.heappop(self.undo)[2]()
        for worker in self.workers:
            was_told = worker.ends_by is not None
            if was_told and time.monotonic() > worker.ends_by:
                self.violation(f"{worker.name} did not end in time after SIGTERM")
                worker.kill()
                self.later(0, lambda: self.launch(worker))
            code = worker.ended()
            if code is not None:
                self.note_exit(worker, code, was_told)
        if self.broker.process and self.broker.process.poll() is not None:
            raise RuntimeError("the broker ended by itself: see broker.log")

    def note_exit(self, worker, code, was_told):
        self.say(f"{worker.name} ended with {code}")
        kind = f"{'SIGTERM' if was_told else 'by itself'}: {code}"
        self.exits[kind] = self.exits.get(kind, 0) + 1
        if was_told:
            if code == TRY_AGAIN:
                self.broken("out of time")
            # A signal can come before the program has begun.
            elif code != 0 and not (code == -signal.SIGTERM and time.monotonic() - worker.started < 1):
                self.violation(f"{worker.name} ended with {code} after SIGTERM")
        else:
            self.broken("exit")
            # Who starts while no broker answers gives up in the end, and is started again by whoever runs it.
            if code != NO_SERVICE:
                self.violation(f"{worker.name} ended by itself with {code}")
        if worker is not self.workers[3]:
            self.later(self.chance.choice([0, 1]), lambda: self.launch(worker))

    def heal(self):
        """Undoes everything at once: three workers, all well."""
        self.say("healing everything")
        while self.undo:
            heapq.heappop(self.undo)[2]()
        self.kafka.heal()
        self.hss.heal()
        self.sandbox.faults()
        until("the broker answers", 90, lambda: (self.tend(), self.broker.answers())[1])
        self.say("all is well")

    def close(self):
        for worker in self.workers:
            worker.kill()
        if self.sandbox:
            self.sandbox.kill()
        self.broker.kill()
