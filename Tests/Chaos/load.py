"""Steady load: mostly first times, a tenth of repeats, some conflicts, invalid requests and bad hosts."""
import json
import random
import threading
import time

from confluent_kafka import Producer

from cluster import QUIET, REQUESTS

# What a record is, in a header that the worker does not know; the count derives from it what its result has to be.
KIND = "chaos-kind"
INVALID = ["", "{", "[]", "{}", '{"project_id":"p0"}', '{"project_id":"..","plugin_code":"ndr","host_id_list":["h"]}',
           '{"project_id":"p0","plugin_code":"ndr","host_id_list":[]}', '{"project_id":7,"plugin_code":"ndr"}']


class Load:
    """Produces up to `goal` records, which the schedule raises; each is retried until it is acknowledged."""

    def __init__(self, bootstrap, seed):
        self.random = random.Random(seed)
        self.sent, self.acknowledged, self.failed = 0, 0, []
        self.goal = 0
        self.bodies = []
        self.stopped = False
        self.producer = Producer({
            **QUIET, "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "message.timeout.ms": 0,
            "linger.ms": 5})
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped:
            while self.sent < self.goal and not self.stopped:
                self._send()
            self.producer.poll(0.01)

    def _send(self):
        kind, key, value = self._next()
        try:
            self.producer.produce(REQUESTS, value=value, key=key, headers={KIND: kind}, on_delivery=self._delivered)
            self.sent += 1
        except BufferError:
            self.producer.poll(0.1)

    def _delivered(self, error, _):
        if error:
            self.failed.append(str(error))
        else:
            self.acknowledged += 1

    def _next(self):
        chance, n = self.random.random(), self.sent
        if self.bodies and chance < 0.10:
            key, body = self.random.choice(self.bodies[-2000:])
            return "repeat", key, json.dumps(body)
        if self.bodies and chance < 0.12:
            key, body = self.random.choice(self.bodies[-2000:])
            return "conflict", key, json.dumps({**body, "host_id_list": [f"other-{n}"]})
        if chance < 0.15:
            return "invalid", f"invalid-{n}", self.random.choice(INVALID)
        kind, hosts = "good", [f"h-{n}"]
        if chance < 0.17:
            kind, hosts = "bad", [f"unknown-{n}"]
        elif chance < 0.18:
            kind, hosts = "mixed", [f"h-{n}-1", f"unknown-{n}", f"h-{n}-2"]
        elif chance < 0.25:
            hosts = [f"h-{n}-{i}" for i in range(3)]
        body = {"idempotency_key": f"k{n}", "project_id": f"p{n % 4}", "plugin_code": "ndr", "host_id_list": hosts,
                "correlation_id": f"incident-{n}"}
        self.bodies.append((f"k{n}", body))
        return kind, f"k{n}", json.dumps(body)

    def finish(self, seconds):
        """Waits until everything that was sent is acknowledged."""
        deadline = time.monotonic() + seconds
        while self.sent < self.goal and time.monotonic() < deadline:
            time.sleep(0.05)
        self.stopped = True
        self.thread.join(30)
        if self.producer.flush(max(1.0, deadline - time.monotonic())) or self.failed:
            raise RuntimeError(f"not every request could be produced: {self.failed[:3]}")
