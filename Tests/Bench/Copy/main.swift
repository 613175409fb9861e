// Copies a topic to another one and does nothing else: the most that a worker on librdkafka could do.
// bench-copy BOOTSTRAP FROM TO COUNT prints "records/s CPU-microseconds-a-record".

import Core
import Glibc
import Kafka

let arguments = CommandLine.arguments
guard arguments.count == 5, let count = Int(arguments[4]) else {
    print("usage: bench-copy BOOTSTRAP FROM TO COUNT")
    exit(64)
}
let kafka = ClientConfiguration(bootstrapServers: arguments[1])
let reader = try PartitionReader(kafka, topic: arguments[2], defaults: PartitionReader.bulk)
let producer = try Producer(kafka, topic: arguments[3])

func cpu() -> Double { Double(clock()) / Double(CLOCKS_PER_SEC) }
func uptime() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

let partitions = try reader.partitionCount(milliseconds: 10_000)
try reader.read((0..<Int32(partitions)).map { ($0, .beginning) })
var (read, written) = (0, 0)
var waiting: Record?
var events: [ProducerEvent] = []
var start: (wall: Double, cpu: Double)?
while written < count {
    for _ in 0..<256 where read < count {
        if waiting == nil {
            guard case .record(let record)? = reader.next(milliseconds: read == 0 ? 100 : 0) else { break }
            waiting = record
        }
        guard let record = waiting else { break }
        start = start ?? (uptime(), cpu())
        let outcome = producer.produce(
            id: 1, partition: record.position.partition, key: record.key, value: record.value, headers: record.headers)
        guard case .queued = outcome else { break }
        (waiting, read) = (nil, read + 1)
    }
    events.removeAll(keepingCapacity: true)
    while producer.next(into: &events, milliseconds: read == count ? 10 : 0) {}
    for case .acknowledged in events { written += 1 }
}
let begun = start ?? (0, 0)
print(Int(Double(count) / (uptime() - begun.wall)), Int((cpu() - begun.cpu) / Double(count) * 10e6) / 10)
exit(0)
