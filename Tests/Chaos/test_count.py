"""Each rule of the count is seen to find what it is for: a count that cannot fail says nothing."""
import json
import unittest

from calls import check_calls
from cluster import REQUESTS
from count import Findings, check_commits, check_results, parse


class Message:
    def __init__(self, offset, key, body, headers, time=1000):
        self._all = (offset, key.encode(), json.dumps(body).encode(), headers, time)

    def offset(self): return self._all[0]
    def key(self): return self._all[1]
    def value(self): return self._all[2]
    def headers(self): return self._all[3]
    def timestamp(self): return (2, self._all[4])


def request(offset, key="k", hosts=("h",), kind="good"):
    return Message(offset, key, {"host_id_list": list(hosts)}, [("chaos-kind", kind.encode())])


def result(of, status="succeeded", time=1000, key="k", partition=0, topic=REQUESTS, original=None):
    body = {"status": status, "request": {"topic": topic, "partition": partition, "offset": of}}
    if original is not None:
        body["original"] = {"id": f"{original}/succeeded", "offset": original}
    return Message(0, key, body, [("ce_id", f"{of}/{status}".encode())], time)


class Count(unittest.TestCase):
    def found(self, requests, results, may_repeat=False, commits=(), starts=(), breaks=()):
        findings = Findings()
        by_position, foreign = parse([results])
        self.repeated = check_results([requests], by_position, foreign, may_repeat, findings)
        check_commits(commits, [requests], by_position, findings)
        journal = "\n".join(json.dumps(
            {"api": "start", "http_status": 200, "hosts": [host], "time": time, "fault": False}) for host, time in starts)
        self.calls = check_calls(journal, [requests], by_position, breaks, findings)
        return [rule for rule, lines in findings.lines.items() if lines]

    def test_a_run_as_promised(self):
        requests = [request(0), request(1), request(2, hosts=["other"])]
        results = [result(0), result(1, "duplicate", original=0), result(2, "conflict", original=0)]
        self.assertEqual(self.found(requests, results, commits=[(0, 3, 1000)], starts=[("h", 900)]), [])

    def test_results(self):
        two = [request(0), request(1, "other", ["other"])]
        self.assertEqual(self.found(two, [result(0)]), ["requests without a result"])
        self.assertEqual(self.found([request(0)], [result(0), result(1)])[0],
                         "results without a request, or in the wrong partition")
        self.assertEqual(self.found([request(0)], [result(0), result(0, partition=1)]),
                         ["results without a request, or in the wrong partition"])
        self.assertEqual(self.found([request(0)], [result(0), result(0, "failed")]), ["requests with two different results"])
        self.assertEqual(self.found([request(0)], [result(0), result(0)]),
                         ["results repeated although no owner was cut off"])
        self.assertEqual(self.found([request(0)], [result(0), result(0)], may_repeat=True), [])
        self.assertEqual(self.repeated, 1)
        self.assertEqual(self.found([request(0)], [result(0, "failed")]), ["results with another status than expected"])
        self.assertEqual(self.found([request(0)], [result(0, key="other")]),
                         ["results with another key than their request's"])
        self.assertEqual(self.found([request(0), request(1)], [result(0), result(1, "duplicate", original=7)]),
                         ["duplicates and conflicts whose original is missing"])

    def test_commits(self):
        requests, results = [request(0), request(1, "other")], [result(0, time=1000), result(1, time=2000, key="other")]
        self.assertEqual(self.found(requests, results, commits=[(0, 1, 1000), (0, 2, 2000)]), [])
        self.assertEqual(self.found(requests, results, commits=[(0, 2, 1999)]), ["commits ahead of a result"])
        self.assertEqual(self.found(requests, results, commits=[(0, 3, 3000)]), ["commits past the end"])
        self.assertEqual(self.found(requests, results[:1], commits=[(0, 2, 9000)]),
                         ["requests without a result", "commits ahead of a result"])

    def test_calls(self):
        requests, results = [request(0)], [result(0, time=2000)]
        twice = [("h", 1000), ("h", 1500)]
        self.assertEqual(self.found(requests, results, starts=twice),
                         ["calls repeated although nothing broke between them"])
        self.assertEqual(self.found(requests, results, starts=twice, breaks=[(1.2, 1.2, "kill")]), [])
        self.assertEqual((self.calls.repeated, self.calls.in_flight), (1, 1))
        late = [("h", 1000), ("h", 3000)]
        self.assertEqual(self.found(requests, results, starts=late, breaks=[(1.2, 1.2, "kill")]),
                         ["calls repeated after their result, by an owner not cut off"])
        self.assertEqual(self.found(requests, results, starts=late, breaks=[(1.2, 5.0, "stop")]), [])


if __name__ == "__main__":
    unittest.main()
