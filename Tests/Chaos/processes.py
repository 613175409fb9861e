"""The sandbox and the workers, as processes that are killed, stopped and started again."""
import os
import signal
import subprocess
import time
import urllib.request

from cluster import GROUP, REQUESTS, RESULTS, until

SESSION = 3.0
# Calls outlast a SIGSTOP, so that an owner that was cut off wakes up with answers at hand.
SHUTDOWN = 8.0
CREDENTIALS = {"HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"}
NO_SERVICE, TRY_AGAIN = 69, 75
# What HSS allows, and the workers keep to: `CALLS/DURATION`. One of them calls at a time then.
QUOTA = os.environ.get("QUOTA", "off")


class Sandbox:
    def __init__(self, binary, directory, proxy):
        log = open(os.path.join(directory, "sandbox.log"), "ab")
        self.process = subprocess.Popen(
            [binary, "sandbox", "--listen", "127.0.0.1:0", "--quota", QUOTA, "--latency", "200ms"],
            stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        self.url = self.process.stdout.readline().decode().strip()
        host, port = self.url.removeprefix("http://").split(":")
        proxy.target = (host, int(port))
        self.through_proxy = f"http://127.0.0.1:{proxy.port}"

    def ask(self, path, body=None):
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def faults(self, *lines):
        self.ask("faults", "\n".join(lines).encode())

    def kill(self):
        self.process.kill()
        self.process.wait()


class Worker:
    """One place for a worker: a process at a time, its log kept over restarts."""

    def __init__(self, number, binary, broker, sandbox, directory):
        self.name = f"worker-{number}"
        self.log = os.path.join(directory, f"{self.name}.log")
        self.process = None
        self.is_stopped = False
        self.started = 0.0
        # Set after SIGTERM: by when it has to be over.
        self.ends_by = None
        properties = {
            "client.id": self.name, "fetch.wait.max.ms": 20}
        # One of three shares calls among what came together, so that calls are taken apart under chaos, too.
        hosts = 100 if QUOTA != "off" else 4 if number % 3 == 2 else 1
        self.command = [
            binary, "run", "--bootstrap-servers", broker.through_proxy, "--requests-topic", REQUESTS,
            "--results-topic", RESULTS, "--group", GROUP, "--endpoint", sandbox.through_proxy, "--quota", QUOTA,
            "--hosts-per-call", str(hosts), "--concurrency", "32", "--max-open", "1000", "--call-timeout", "8s",
            "--connect-timeout", "2s", "--retry-for", "2h", "--shutdown-timeout", f"{SHUTDOWN:.0f}s",
            "--session-timeout", f"{SESSION:.0f}s", "--admin-listen", "off", *os.environ.get("WORKER_FLAGS", "").split()]
        for name, value in properties.items():
            self.command += ["--kafka-property", f"{name}={value}"]

    @property
    def is_running(self):
        return self.process is not None and not self.is_stopped and self.ends_by is None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **CREDENTIALS})
        self.is_stopped, self.ends_by, self.started = False, None, time.monotonic()

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process, self.ends_by, self.is_stopped = None, None, False

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        # The drain's time, then leaving the group, with room for a machine that is busy.
        self.ends_by = time.monotonic() + SHUTDOWN + 12

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_stopped = True

    def proceed(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def ended(self):
        """The exit code of a process that ended by itself or by SIGTERM, once."""
        code = self.process.poll() if self.process else None
        if code is not None:
            self.process, self.ends_by, self.is_stopped = None, None, False
        return code

    def leave(self, seconds):
        """SIGTERM and its exit code."""
        self.terminate()
        process = self.process
        until(f"{self.name} ends after SIGTERM", seconds, lambda: process.poll() is not None)
        return self.ended()
