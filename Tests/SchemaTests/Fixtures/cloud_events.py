"""Requests and results as the library cloudevents writes and reads them. Headers are lists of [name, text].

    cloud_events.py write    prints requests: {"mode", "headers", "value", "id", "source", "correlationid"}
    cloud_events.py read     reads results from standard input, {"key", "headers", "value"}, and prints their attributes
"""
import json
import sys

from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

IDS = ["1", "a%20b", "%E6%BC%A2", "\u6f22\u5b57", "\U0001f600 x", "100%", "a/b?c=d&e#f", "\"quoted\"", "a+b", "e\u0301"]


def lines(headers):
    return [[name, value.decode()] for name, value in headers.items()]


def write():
    for number, name in enumerate(IDS):
        attributes = {
            "type": "alert.raised", "source": f"/siem/rules/{number}", "id": name, "correlationid": f"incident {name}",
            "expirytime": "2030-01-02T03:04:05Z", "datacontenttype": "application/json", "subject": name,
            "traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{number + 1:016x}-01"}
        data = {"project_id": "p", "plugin_code": "ndr", "host_id_list": [f"host {name}"]}
        for mode, convert in (("binary", kafka.to_binary_event), ("structured", kafka.to_structured_event)):
            message = convert(CloudEvent(attributes=dict(attributes), data=data))
            print(json.dumps({"mode": mode, "headers": lines(message.headers), "value": message.value.decode(),
                              "id": name, "source": attributes["source"], "correlationid": attributes["correlationid"]}))


def read():
    for line in sys.stdin.buffer:
        record = json.loads(line)
        headers = {name: text.encode() for name, text in record["headers"]}
        message = kafka.KafkaMessage(headers=headers, key=record["key"].encode(), value=record["value"].encode())
        event = kafka.from_kafka_event(message)
        # What the library read must be what it writes, in both modes.
        for back in (kafka.from_kafka_event(kafka.to_binary_event(event)),
                     kafka.from_kafka_event(kafka.to_structured_event(event))):
            assert back.get_attributes() == event.get_attributes() and back.get_data() == event.get_data(), record
        attributes = {name: str(value) for name, value in event.get_attributes().items()}
        print(json.dumps({"attributes": attributes, "data": event.get_data()}))


{"write": write, "read": read}[sys.argv[1]]()
