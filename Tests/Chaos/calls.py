"""Calls that were repeated: each has to be one whose result was not there yet when something broke."""
import bisect
import collections
import datetime
import json

from count import SLACK

# What takes nothing from a call by itself: only where a request is left half done does a move cost a repeat.
MILD = {"move", "answers lost"}
Start = collections.namedtuple("Start", "time went_wrong")
Calls = collections.namedtuple("Calls", "repeated half_done in_flight")


def check_calls(journal, requests, results, breaks, findings):
    """Counts starts of a host that were repeats, those of them that a half done request cost as its partition moved, and
    the starts whose result was not there at a SIGKILL."""
    starts = collections.defaultdict(list)
    for line in journal.splitlines():
        entry = json.loads(line)
        if entry["api"] == "start" and entry["http_status"] == 200:
            for host in entry["hosts"]:
                starts[host].append(Start(entry["time"], entry["fault"]))
    answered, together = answers(requests, results)
    spans = [(begin * 1000, end * 1000, what) for begin, end, what in breaks]
    unexplained = findings.rule("calls repeated although nothing broke between them")
    after = findings.rule("calls repeated after their result, by an owner not cut off")
    repeated = half_done = 0
    for host, calls in starts.items():
        for first, second in zip(calls, calls[1:]):
            repeated += 1
            between = {what for begin, end, what in spans if begin <= second.time + SLACK and end >= first.time - SLACK}
            done = answered.get(host, float("inf"))
            text = f"{host}: called at {first.time} and {second.time}, result at {done}; meanwhile: {sorted(between)}"
            is_half_done = first.went_wrong or "answers lost" in between or together.get(host, 1) > 1
            if not between - MILD:
                if "move" in between and is_half_done:
                    half_done += 1
                else:
                    unexplained.append(text)
            elif second.time > done + SLACK and not any(what.startswith(("stop", "hole")) for what in between):
                after.append(text)
    kills = sorted(begin for begin, _, what in spans if what == "kill")
    in_flight = 0
    for host, calls in starts.items():
        end = bisect.bisect_left(kills, answered.get(host, float("inf")))
        in_flight += max(0, end - bisect.bisect_left(kills, calls[0].time))
    return Calls(repeated, half_done, in_flight)


def check_callers(journal):
    """Who called, in order, one entry for each uninterrupted run of calls."""
    callers = []
    for line in journal.splitlines():
        entry = json.loads(line)
        if entry["api"] == "start" and entry["worker"] not in callers[-1:]:
            callers.append(entry["worker"])
    return callers


def moves(logs):
    """When partitions moved, as the workers logged it: on a busy machine that is later than what caused it."""
    found = []
    for log in logs:
        with open(log, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if "partitions revoked" in line or "partitions lost" in line:
                    time = datetime.datetime.fromisoformat(line.split(" ", 1)[0].replace("Z", "+00:00")).timestamp()
                    found.append((time - 1, time + 5, "move"))
    return found


def answers(requests, results):
    """For each host when its first result was there, and how many its request named."""
    answered, together = {}, {}
    for number, partition in enumerate(requests):
        for message in partition:
            names = hosts(message.value())
            times = [each.time for each in results.get((number, message.offset()), [])]
            for host in names:
                together[host] = len(names)
                # A repeat of a request names the same hosts, later.
                if times:
                    answered[host] = min(min(times), answered.get(host, float("inf")))
    return answered, together


def hosts(value):
    try:
        return json.loads(value)["host_id_list"]
    except (ValueError, KeyError, TypeError):
        return []
