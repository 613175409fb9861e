"""The independent count: requests against results, results against commits, calls against results."""
import collections
import json
import os

from cluster import GROUP, REQUESTS, RESULTS
from load import KIND

Result = collections.namedtuple("Result", "partition offset status id time body key")
SHOWN = 10
# Two clocks' readings of one instant, the broker's and the sandbox's, both of this machine and in whole milliseconds.
SLACK = 5


class Findings:
    """What may not be, by rule; a few of each are shown."""

    def __init__(self):
        self.lines = collections.OrderedDict()

    def rule(self, text):
        return self.lines.setdefault(text, [])

    def print(self):
        for rule, found in self.lines.items():
            print(f"  {rule:<64}{len(found):>10}")
            for line in found[:SHOWN]:
                print(f"      {line}")

    def keep(self, directory, journal):
        with open(os.path.join(directory, "findings"), "w") as file:
            file.writelines(f"{rule}: {line}\n" for rule, found in self.lines.items() for line in found)
        with open(os.path.join(directory, "journal"), "w") as file:
            file.write(journal)

    @property
    def count(self):
        return sum(map(len, self.lines.values()))


def parse(records):
    """The results by their request's position, and those that tell of none."""
    found, foreign = collections.defaultdict(list), []
    for number, partition in enumerate(records):
        for message in partition:
            where = f"{RESULTS} {number}/{message.offset()}"
            try:
                body = json.loads(message.value())
                request = body["request"]
                headers = dict(message.headers())
                result = Result(request["partition"], request["offset"], body["status"], headers["ce_id"].decode(),
                                message.timestamp()[1], body, message.key())
            except (ValueError, KeyError, TypeError) as error:
                foreign.append(f"{where}: {error!r}")
                continue
            if request["topic"] != REQUESTS or result.partition != number:
                foreign.append(f"{where}: of {request}")
            else:
                found[number, result.offset].append(result)
    return found, foreign


def expected(requests):
    """What each request's result has to be, from the order of the keys in its partition."""
    statuses = {}
    for number, partition in enumerate(requests):
        first = {}
        for message in partition:
            kind = dict(message.headers())[KIND].decode()
            key, value = message.key(), message.value()
            if kind == "invalid":
                status = "rejected"
            elif key in first:
                status = "duplicate" if first[key] == value else "conflict"
            else:
                first[key] = value
                status = {"bad": "failed", "mixed": "partially_succeeded"}.get(kind, "succeeded")
            statuses[number, message.offset()] = status
    return statuses


def check_results(requests, results, foreign, may_repeat, findings):
    """Gives back how many results were repeated with the same id."""
    wanted = expected(requests)
    findings.rule("requests without a result").extend(f"{REQUESTS} {p}/{o}" for p, o in wanted if (p, o) not in results)
    findings.rule("results without a request, or in the wrong partition").extend(
        foreign + [f"{REQUESTS} {p}/{o}" for p, o in results if (p, o) not in wanted])
    differing = findings.rule("requests with two different results")
    repeats = findings.rule("results repeated although no owner was cut off")
    unexpected = findings.rule("results with another status than expected")
    keys = findings.rule("results with another key than their request's")
    originals = findings.rule("duplicates and conflicts whose original is missing")
    ids = {result.id for all_ in results.values() for result in all_}
    repeated = 0
    for (partition, offset), all_ in results.items():
        where, first = f"{REQUESTS} {partition}/{offset}", all_[0]
        if len({(each.id, each.status) for each in all_}) > 1:
            differing.append(f"{where}: {[each.status for each in all_]}")
        elif len(all_) > 1:
            repeated += len(all_) - 1
            if not may_repeat:
                repeats.append(f"{where}: at {[each.time for each in all_]}")
        if first.status != wanted.get((partition, offset)):
            unexpected.append(f"{where}: {first.status}, expected {wanted.get((partition, offset))}")
        if (partition, offset) in wanted and first.key != requests[partition][offset].key():
            keys.append(f"{where}: {first.key}")
        original = first.body.get("original")
        if first.status in ("duplicate", "conflict") and (
                original is None or original["id"] not in ids or original["offset"] >= offset):
            originals.append(f"{where}: {original}")
    return repeated


def check_commits(commits, requests, results, findings):
    """At a commit's time, all below its offset had a result in the topic, by the one clock of the broker."""
    latest = []
    for number, partition in enumerate(requests):
        so_far = [(0, None)]
        for offset in range(len(partition)):
            time = min((each.time for each in results.get((number, offset), [])), default=float("inf"))
            so_far.append(max(so_far[-1], (time, offset), key=lambda pair: pair[0]))
        latest.append(so_far)
    early = findings.rule("commits ahead of a result")
    beyond = findings.rule("commits past the end")
    for partition, offset, time in commits:
        if offset >= len(latest[partition]):
            beyond.append(f"{GROUP} {partition}: {offset}")
            continue
        due, position = latest[partition][offset]
        if due > time:
            early.append(f"{GROUP} {partition}: {offset} at {time}, but {partition}/{position} had its result at {due}")
