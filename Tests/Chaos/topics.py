"""Reads whole topics, the group's offsets and its commits, directly at the broker."""
import struct
import threading
import time

from confluent_kafka import Consumer, TopicPartition

from cluster import GROUP, PARTITIONS, QUIET, REQUESTS, RESULTS


class Topics:
    def __init__(self, bootstrap):
        self.consumer = Consumer({
            **QUIET, "bootstrap.servers": bootstrap, "group.id": GROUP, "enable.auto.commit": False,
            "auto.offset.reset": "error", "isolation.level": "read_uncommitted"})

    def ends(self, topic, partitions=PARTITIONS):
        return [self.consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                for number in range(partitions)]

    def committed(self):
        answer = self.consumer.committed([TopicPartition(REQUESTS, number) for number in range(PARTITIONS)], timeout=10)
        return [max(0, each.offset) for each in answer]

    def lag(self):
        return sum(end - offset for end, offset in zip(self.ends(REQUESTS), self.committed()))

    def read(self, topic, partitions=PARTITIONS):
        """All records up to the ends of now, by partition."""
        ends = self.ends(topic, partitions)
        records = [[] for _ in ends]
        self.consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        open_ = {number for number, end in enumerate(ends) if end > 0}
        deadline = time.monotonic() + 300
        while open_ and time.monotonic() < deadline:
            for message in self.consumer.consume(10_000, 0.5):
                if message.error():
                    raise RuntimeError(f"{topic} cannot be read: {message.error()}")
                records[message.partition()].append(message)
            for position in self.consumer.position([TopicPartition(topic, number) for number in open_]):
                if position.offset >= ends[position.partition]:
                    open_.discard(position.partition)
        self.consumer.unassign()
        if open_:
            raise TimeoutError(f"{topic}: partitions {sorted(open_)} were not read to their ends")
        return records

    def commits(self):
        """Every commit of the group: (partition, offset, broker's time in ms), in the log's order."""
        found = []
        names = self.consumer.list_topics("__consumer_offsets", timeout=10).topics["__consumer_offsets"].partitions
        for records in self.read("__consumer_offsets", len(names)):
            found += [commit for message in records if (commit := _commit(message))]
        return found

    def close(self):
        self.consumer.close()


class Tail:
    """Counts results as they come, on a thread of its own, so that a broker that is away holds nobody up."""

    def __init__(self, bootstrap):
        self.count, self.stopped = 0, False
        self.consumer = Consumer({
            **QUIET, "bootstrap.servers": bootstrap, "group.id": "chaos-tail", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(RESULTS, number, 0) for number in range(PARTITIONS)])
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopped:
            self.count += sum(message.error() is None for message in self.consumer.consume(1000, 0.2))

    def close(self):
        self.stopped = True
        self.thread.join()
        self.consumer.close()


def _commit(message):
    """Kafka's OffsetCommitKey (versions 0 and 1) and the beginning of OffsetCommitValue, common to its versions."""
    key, value = message.key(), message.value()
    if key is None or value is None or struct.unpack_from(">h", key)[0] > 1:
        return None
    texts, at = [], 2
    for _ in range(2):
        (length,) = struct.unpack_from(">h", key, at)
        texts.append(key[at + 2:at + 2 + length].decode())
        at += 2 + length
    if texts != [GROUP, REQUESTS]:
        return None
    (partition,) = struct.unpack_from(">i", key, at)
    _, offset = struct.unpack_from(">hq", value)
    return partition, offset, message.timestamp()[1]
