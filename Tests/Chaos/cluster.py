"""A real Apache Kafka broker of our own, reached by the workers through a proxy and by the count directly."""
import os
import socket
import subprocess
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 12
# Own clients say nothing of a broker that is away: it is meant to be.
QUIET = {"log_level": 2, "reconnect.backoff.max.ms": 1000}
REQUESTS, RESULTS, GROUP = "chaos.requests", "chaos.results", "chaos"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def until(what, seconds, fact, step=0.1):
    """Asks for the fact until it is there, and gives it back; raises when it is not there in time."""
    deadline = time.monotonic() + seconds
    while True:
        if value := fact():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(step)


class Broker:
    def __init__(self, home, directory, proxy):
        self.home, self.directory = home, directory
        self.process = None
        direct, controller, behind = free_ports(3)
        self.bootstrap = f"127.0.0.1:{direct}"
        proxy.target = ("127.0.0.1", behind)
        self.through_proxy = f"127.0.0.1:{proxy.port}"
        self.file = os.path.join(directory, "server.properties")
        with open(self.file, "w") as file:
            file.write(self._properties(direct, controller, behind, proxy.port))
        storage = os.path.join(home, "bin", "kafka-storage.sh")
        cluster = subprocess.run([storage, "random-uuid"], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([storage, "format", "--cluster-id", cluster, "--config", self.file],
                       check=True, capture_output=True)

    def _properties(self, direct, controller, behind, proxied):
        # No cleaner: every commit stays to be audited. The audit's clock is the broker's own, for commits and results alike.
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{direct},CONTROLLER://127.0.0.1:{controller},PROXIED://127.0.0.1:{behind}
advertised.listeners=PLAINTEXT://127.0.0.1:{direct},PROXIED://127.0.0.1:{proxied}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={self.directory}/data
auto.create.topics.enable=false
log.cleaner.enable=false
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
controlled.shutdown.enable=false
"""

    def spawn(self):
        with open(os.path.join(self.directory, "broker.log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.home, "bin", "kafka-server-start.sh"), self.file], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "LOG_DIR": self.directory})

    def answers(self):
        if self.process is None:
            return False
        try:
            host, port = self.bootstrap.split(":")
            socket.create_connection((host, int(port)), 1).close()
            AdminClient({**QUIET, "bootstrap.servers": self.bootstrap}).list_topics(timeout=2)
            return True
        except (OSError, KafkaException):
            return False

    def kill(self):
        """SIGKILL, as in a crash; the data stay."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def create_topics(self):
        admin = AdminClient({**QUIET, "bootstrap.servers": self.bootstrap})
        topics = [NewTopic(REQUESTS, PARTITIONS, 1),
                  NewTopic(RESULTS, PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"})]
        for future in admin.create_topics(topics).values():
            future.result(30)
        # Each partition has its leader before anything is written. Once, under load, the first two records of a partition
        # that was 0.2 s old were acknowledged and not in its log.
        consumer = Consumer({**QUIET, "bootstrap.servers": self.bootstrap, "group.id": "chaos-leaders"})

        def are_led():
            try:
                for topic in (REQUESTS, RESULTS):
                    for number in range(PARTITIONS):
                        consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=5)
                return True
            except KafkaException:
                return False
        until("each partition has its leader", 60, are_led)
        consumer.close()
