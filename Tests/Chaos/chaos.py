"""The chaos run: workers, broker, HSS and network are broken for a while; then everything is counted.

KILLS=10 SIGKILLs of workers, BROKER_KILLS (a seventh of that), REQUESTS (500 for each kill), SEED=1, ACTIONS=kill,term,...
(only these), KAFKA_HOME, PLUGIN_STARTER (the binary). Exit 1, with the evidence kept, where anything is not as promised.
"""
import os
import shutil
import signal
import sys
import tempfile
import time

import report
from actions import Actions, plan
from cluster import until
from stage import Stage
from topics import Tail, Topics

STEP = 1.2
# Results that show that the group works again.
WORKS = 30


def setting(name, default):
    return int(os.environ.get(name) or default)


def perform(stage, actions, steps, requests):
    """The schedule, with the load spread over it; between actions the group often gets to work again, often not."""
    tail = Tail(stage.broker.bootstrap)
    for number, (name, settles) in enumerate(steps):
        actions.act(name)
        began, before = time.monotonic(), tail.count
        planned = STEP * (2 if settles else stage.chance.uniform(0.2, 1.2))
        while True:
            stage.tend()
            passed = time.monotonic() - began
            stage.load.goal = int(requests * (number + min(1.0, passed / planned)) / len(steps))
            if passed >= planned and (not settles or tail.count >= before + WORKS or passed >= 15):
                break
            time.sleep(0.05)
    stage.load.goal = requests
    tail.close()


def finish(stage):
    """All well again: every record is answered and committed, and the workers go."""
    stage.heal()
    stage.load.finish(120)
    topics = Topics(stage.broker.bootstrap)
    seen = {"lag": -1, "at": time.monotonic()}

    def is_done():
        stage.tend()
        lag = topics.lag()
        if lag != seen["lag"]:
            seen.update(lag=lag, at=time.monotonic())
        if time.monotonic() - seen["at"] > 90:
            raise TimeoutError(f"the committed lag stays at {lag} although nothing is broken")
        return lag == 0

    until("all requests are committed", 900, is_done, 0.5)
    stage.say("committed lag 0")
    for worker in stage.workers:
        if worker.process:
            code = worker.leave(30)
            stage.say(f"{worker.name} ended with {code}")
            if code != 0:
                stage.violation(f"{worker.name} ended with {code} when nothing was left to do")
    return topics


def run(home, binary, directory, log):
    kills = setting("KILLS", 10)
    broker_kills, requests = setting("BROKER_KILLS", max(1, kills // 7)), setting("REQUESTS", kills * 500)
    seed, only = setting("SEED", 1), os.environ.get("ACTIONS", "").split(",")
    began = time.time()

    def say(text):
        log.write(f"{time.strftime('%H:%M:%S', time.localtime())}.{int(time.time() % 1 * 1000):03} {text}\n")
        log.flush()

    steps = plan(kills, broker_kills, seed, [name for name in only if name])
    head = f"seed {seed}: {len(steps)} actions, {requests} requests"
    say(head)
    print(f"{head}; log: {log.name}", flush=True)
    stage = Stage(home, binary, directory, seed, say)
    try:
        stage.start()
        actions = Actions(stage)
        perform(stage, actions, steps, requests)
        broken = time.time() - began
        topics = finish(stage)
        print(f"actions {dict(sorted(actions.done.items()))}")
        print(f"worker exits {dict(sorted(stage.exits.items()))}")
        print(f"{broken:.0f} s of chaos, {time.time() - began - broken:.0f} s until all was committed", flush=True)
        return report.report(stage, topics, binary, directory, set(actions.done))
    finally:
        stage.close()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = os.environ.get("KAFKA_HOME")
    binary = os.path.abspath(os.environ.get("PLUGIN_STARTER") or ".build/debug/plugin-starter")
    if not home:
        sys.exit("set KAFKA_HOME to an Apache Kafka distribution")
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not built")
    directory = tempfile.mkdtemp(prefix="chaos-")
    is_well = False
    try:
        with open(os.path.join(directory, "chaos.log"), "w") as log:
            is_well = run(home, binary, directory, log)
    except (TimeoutError, RuntimeError) as error:
        print(f"FAILED: {error}")
    finally:
        if is_well:
            shutil.rmtree(directory)
        else:
            print(f"evidence: {directory}")
    sys.exit(0 if is_well else 1)


main()
