"""Counts what is left after the run, and says whether it is as promised."""
import collections
import json
import subprocess

from calls import check_calls, check_callers, moves
from processes import QUOTA
from cluster import REQUESTS, RESULTS
from count import Findings, check_commits, check_results, parse

# After these an owner can be cut off from the group while it runs: the one way to a second result.
CUTS_OFF = {"stop", "hole-kafka"}



def check_quota(stage, journal, findings):
    """No sliding window at HSS holds more calls than it allows, and two workers never call at the same time."""
    summary = json.loads(stage.sandbox.ask("summary"))
    limit = int(QUOTA.split("/")[0])
    over = findings.rule("windows with more calls than the quota, or calls refused with 429")
    most, refused = summary["most_starts_in_window"], summary["calls"].get("start 429", 0)
    print(f"calls: {summary['start_calls']}, most in a window: {most} of {limit}, refused with 429: {refused}")
    if most > limit or refused:
        over.append(f"{most} in a window, {refused} refused")
    takeovers = 0
    for worker in stage.workers:
        with open(worker.log, encoding="utf-8", errors="replace") as lines:
            takeovers += sum("this worker is now the caller" in line for line in lines)
    callers = check_callers(journal)
    print(f"changes of the caller: {len(callers) - 1}, takeovers: {takeovers}")
    if len(callers) > takeovers:
        findings.rule("calls of two workers at the same time").append(f"{len(callers)} runs, {takeovers} takeovers")


def report(stage, topics, binary, directory, done):
    findings = Findings()
    requests = topics.read(REQUESTS)
    results, foreign = parse(topics.read(RESULTS))
    count = sum(map(len, requests))
    may_repeat = bool(done & CUTS_OFF)
    print(f"requests {count}, results {sum(map(len, results.values()))}")
    print(f"  {dict(collections.Counter(all_[0].status for all_ in results.values()).most_common())}")
    if count != stage.load.acknowledged:
        findings.rule("produced requests that are missing, or unexpected requests").append(
            f"{count} in the topic, {stage.load.acknowledged} acknowledged")
    repeated = check_results(requests, results, foreign, may_repeat, findings)
    commits = topics.commits()
    check_commits(commits, requests, results, findings)
    last = {partition: offset for partition, offset, _ in commits}
    findings.rule("partitions whose last commit is not the group's offset").extend(
        f"{partition}: {last.get(partition, 0)} and {offset}" for partition, offset in enumerate(topics.committed())
        if offset != last.get(partition, 0))
    journal = stage.sandbox.ask("journal").decode()
    breaks = stage.breaks + moves(worker.log for worker in stage.workers)
    calls = check_calls(journal, requests, results, breaks, findings)
    if QUOTA != "off":
        check_quota(stage, journal, findings)
    findings.rule("workers that ended unexpectedly").extend(stage.violations)
    findings.rule("findings of the program's own audit").extend(audit(stage.broker.bootstrap, binary, repeated))
    print(f"repeated with the same ce_id: {repeated}")
    print(f"calls repeated: {calls.repeated}; calls without a result at a SIGKILL: {calls.in_flight}")
    print(f"  of requests half done when their partitions moved: {calls.half_done}")
    print(f"commits audited: {len(commits)}")
    findings.print()
    if findings.count:
        findings.keep(directory, journal)
    print("all as promised" if findings.count == 0 else f"NOT as promised: {findings.count} findings")
    return findings.count == 0


def audit(bootstrap, binary, repeated):
    """The program's own audit, where this binary has it."""
    usage = subprocess.run([binary, "audit", "--help"], capture_output=True, text=True)
    if usage.returncode != 0:
        print("audit: not run, because the binary has no such command")
        return []
    command = [binary, "audit", "--bootstrap-servers", bootstrap, "--requests-topic", REQUESTS,
               "--results-topic", RESULTS]
    if repeated and "--allow-repeats" in usage.stdout:
        command.append("--allow-repeats")
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
    print(f"audit: exit {outcome.returncode}")
    if outcome.returncode == 0:
        return []
    return [f"exit {outcome.returncode}"] + (outcome.stdout + outcome.stderr).splitlines()
