"""Calls that were repeated: each has to be one whose result was not there yet when something broke."""
import bisect
import collections
import json

from count import SLACK


def check_calls(journal, requests, results, breaks, findings):
    """Gives back how many starts of a host were repeats, and how many were without a result at the SIGKILLs."""
    starts = collections.defaultdict(list)
    for line in journal.splitlines():
        entry = json.loads(line)
        if entry["api"] == "start" and entry["http_status"] == 200:
            for host in entry["hosts"]:
                starts[host].append(entry["time"])
    answered = {}
    for number, partition in enumerate(requests):
        for message in partition:
            for host in hosts(message.value()):
                times = [each.time for each in results.get((number, message.offset()), [])]
                # A repeat of a request names the same hosts, later.
                if times:
                    answered[host] = min(min(times), answered.get(host, float("inf")))
    spans = [(begin * 1000, end * 1000, what) for begin, end, what in breaks]
    unexplained = findings.rule("calls repeated although nothing broke between them")
    after = findings.rule("calls repeated after their result, by an owner not cut off")
    repeated = 0
    for host, times in starts.items():
        for first, second in zip(times, times[1:]):
            repeated += 1
            between = {what for begin, end, what in spans if begin <= second + SLACK and end >= first - SLACK}
            done = answered.get(host, float("inf"))
            text = f"{host}: called at {first} and {second}, result at {done}; meanwhile: {sorted(between) or 'nothing'}"
            if not between:
                unexplained.append(text)
            elif second > done + SLACK and not any(what.startswith(("stop", "hole")) for what in between):
                after.append(text)
    kills = sorted(begin for begin, _, what in spans if what == "kill")
    in_flight = 0
    for host, times in starts.items():
        in_flight += bisect.bisect_left(kills, answered.get(host, float("inf"))) - bisect.bisect_left(kills, times[0])
    return repeated, in_flight


def hosts(value):
    try:
        return json.loads(value)["host_id_list"]
    except (ValueError, KeyError, TypeError):
        return []
