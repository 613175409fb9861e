// swift-format-ignore-file
// Made from schemas/asyncapi.json by Tests/SchemaTests/SchemaFileTests.swift.
extension Schema {
    static let asyncapiText = #"""
{
  "asyncapi": "3.1.0",
  "info": {
    "title": "plugin-starter",
    "version": "1.2.0",
    "description": "Takes requests to start a Huawei Cloud HSS plugin on hosts, and answers each request record with one result. Topic names, group and numbers of partitions are settings of the worker and its cluster; the defaults are written here.",
    "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
  },
  "defaultContentType": "application/json",
  "channels": {
    "requests": {
      "address": "plugin.start.requests",
      "title": "Start requests",
      "description": "Written by response pipelines, alert rules and operators. A repeat of a key is recognized within its partition only, so the record's key should be the idempotency key.",
      "messages": {
        "startRequest": {"$ref": "#/components/messages/startRequest"},
        "startRequestBinaryEvent": {"$ref": "#/components/messages/startRequestBinaryEvent"},
        "startRequestStructuredEvent": {"$ref": "#/components/messages/startRequestStructuredEvent"}
      },
      "bindings": {
        "kafka": {"topic": "plugin.start.requests", "partitions": 12, "bindingVersion": "0.5.0"}
      }
    },
    "results": {
      "address": "plugin.start.results",
      "title": "Start results",
      "description": "Written by the worker only, because the topic is its memory. A result goes to the partition number of its request, so this topic needs at least as many partitions. It must not be compacted, and must keep records at least as long as the dedupe window.",
      "messages": {
        "succeeded": {"$ref": "#/components/messages/succeeded"},
        "partiallySucceeded": {"$ref": "#/components/messages/partiallySucceeded"},
        "failed": {"$ref": "#/components/messages/failed"},
        "rejected": {"$ref": "#/components/messages/rejected"},
        "duplicate": {"$ref": "#/components/messages/duplicate"},
        "conflict": {"$ref": "#/components/messages/conflict"},
        "expired": {"$ref": "#/components/messages/expired"}
      },
      "bindings": {
        "kafka": {
          "topic": "plugin.start.results",
          "partitions": 12,
          "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": 604800000},
          "bindingVersion": "0.5.0"
        }
      }
    }
  },
  "operations": {
    "startPlugin": {
      "action": "receive",
      "title": "Start a plugin",
      "description": "Takes a request record and answers it with one result, whatever the record holds.",
      "channel": {"$ref": "#/channels/requests"},
      "messages": [
        {"$ref": "#/channels/requests/messages/startRequest"},
        {"$ref": "#/channels/requests/messages/startRequestBinaryEvent"},
        {"$ref": "#/channels/requests/messages/startRequestStructuredEvent"}
      ],
      "reply": {
        "channel": {"$ref": "#/channels/results"},
        "messages": [
          {"$ref": "#/channels/results/messages/succeeded"},
          {"$ref": "#/channels/results/messages/partiallySucceeded"},
          {"$ref": "#/channels/results/messages/failed"},
          {"$ref": "#/channels/results/messages/rejected"},
          {"$ref": "#/channels/results/messages/duplicate"},
          {"$ref": "#/channels/results/messages/conflict"},
          {"$ref": "#/channels/results/messages/expired"}
        ]
      },
      "bindings": {
        "kafka": {"groupId": {"type": "string", "default": "plugin-starter"}, "bindingVersion": "0.5.0"}
      }
    },
    "publishResult": {
      "action": "send",
      "title": "Publish a result",
      "description": "The reply of startPlugin, for applications that only read results. A result can be published twice after an owner was cut off; both have the same ce_id.",
      "channel": {"$ref": "#/channels/results"},
      "messages": [
        {"$ref": "#/channels/results/messages/succeeded"},
        {"$ref": "#/channels/results/messages/partiallySucceeded"},
        {"$ref": "#/channels/results/messages/failed"},
        {"$ref": "#/channels/results/messages/rejected"},
        {"$ref": "#/channels/results/messages/duplicate"},
        {"$ref": "#/channels/results/messages/conflict"},
        {"$ref": "#/channels/results/messages/expired"}
      ]
    }
  },
  "components": {
    "messages": {
      "startRequest": {
        "title": "Request as plain JSON",
        "headers": {"$ref": "#/components/schemas/requestHeaders"},
        "payload": {"$ref": "#/components/schemas/request"},
        "correlationId": {"$ref": "#/components/correlationIds/key"},
        "bindings": {"$ref": "#/components/messageBindings/request"}
      },
      "startRequestBinaryEvent": {
        "title": "Request as a CloudEvent in binary mode",
        "headers": {"$ref": "#/components/schemas/eventHeaders"},
        "payload": {"$ref": "#/components/schemas/request"},
        "correlationId": {"$ref": "#/components/correlationIds/key"},
        "bindings": {"$ref": "#/components/messageBindings/request"}
      },
      "startRequestStructuredEvent": {
        "title": "Request as a CloudEvent in structured mode",
        "contentType": "application/cloudevents+json",
        "headers": {
          "type": "object",
          "properties": {
            "content-type": {"type": "string", "description": "application/cloudevents+json, matched without case."}
          },
          "required": ["content-type"]
        },
        "payload": {"$ref": "#/components/schemas/structuredEvent"},
        "correlationId": {
          "description": "Where data has no key, the event's source and id make it.",
          "location": "$message.payload#/data/idempotency_key"
        },
        "bindings": {"$ref": "#/components/messageBindings/request"}
      },
      "succeeded": {
        "title": "HSS accepted the request",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/succeeded"}
      },
      "partiallySucceeded": {
        "title": "HSS accepted some of the hosts",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/partiallySucceeded"}
      },
      "failed": {
        "title": "HSS refused the request, or attempts ended",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/failed"}
      },
      "rejected": {
        "title": "The request is invalid, or the policy refuses it",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/rejected"}
      },
      "duplicate": {
        "title": "The request repeats an earlier one",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/duplicate"}
      },
      "conflict": {
        "title": "The key was used for another action",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/conflict"}
      },
      "expired": {
        "title": "The request's time was over before a call",
        "traits": [{"$ref": "#/components/messageTraits/result"}],
        "payload": {"$ref": "#/components/schemas/expired"}
      }
    },
    "messageTraits": {
      "result": {
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/resultHeaders"},
        "correlationId": {"$ref": "#/components/correlationIds/key"},
        "bindings": {
          "kafka": {
            "key": {
              "type": "string",
              "description": "The idempotency key; without one the request's own key; without either the ce_id."
            },
            "bindingVersion": "0.5.0"
          }
        }
      }
    },
    "messageBindings": {
      "request": {
        "kafka": {
          "key": {"type": "string", "description": "The idempotency key, so that repeats meet in one partition."},
          "schemaIdLocation": "payload",
          "schemaIdPayloadEncoding": "4",
          "bindingVersion": "0.5.0"
        }
      }
    },
    "correlationIds": {
      "key": {
        "description": "The idempotency key. A request may have it in a header, or as a CloudEvent's source and id; the result names the record that it answers in request, too.",
        "location": "$message.payload#/idempotency_key"
      }
    },
    "schemas": {
      "request": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-request.schema.json"}},
      "structuredEvent": {
        "schemaFormat": "application/schema+json;version=draft-2020-12",
        "schema": {
          "type": "object",
          "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1},
            "type": {"type": "string", "minLength": 1},
            "correlationid": {"type": ["string", "null"], "maxLength": 256},
            "expirytime": {"type": ["string", "null"], "format": "date-time"},
            "traceparent": {"type": ["string", "null"]},
            "tracestate": {"type": ["string", "null"]},
            "data_base64": false,
            "data": {"$ref": "start-request.schema.json"}
          },
          "required": ["specversion", "id", "source", "type", "data"]
        }
      },
      "succeeded": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/succeeded"}},
      "partiallySucceeded": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/partially_succeeded"}},
      "failed": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/failed"}},
      "rejected": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/rejected"}},
      "duplicate": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/duplicate"}},
      "conflict": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/conflict"}},
      "expired": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": "start-result.schema.json#/$defs/expired"}},
      "requestHeaders": {
        "type": "object",
        "properties": {
          "idempotency-key": {"type": "string", "description": "The key, where the value has none."},
          "requested-by": {"type": "string", "description": "The producer as the worker's policy knows it, where the value has no requested_by."},
          "traceparent": {"type": "string", "description": "W3C trace context of the sender's span."},
          "tracestate": {"type": "string"}
        }
      },
      "eventHeaders": {
        "type": "object",
        "description": "Names are matched without case. Values are UTF-8 as they stand, without percent-encoding.",
        "properties": {
          "content-type": {"type": "string", "description": "The datacontenttype, such as application/json."},
          "ce_specversion": {"const": "1.0"},
          "ce_id": {"type": "string", "description": "With ce_source the key, where there is no other."},
          "ce_source": {"type": "string"},
          "ce_type": {"type": "string", "description": "Not read."},
          "ce_correlationid": {"type": "string", "description": "Where the data has no correlation_id."},
          "ce_expirytime": {"type": "string", "description": "Where the data has no expires_at."},
          "ce_traceparent": {"type": "string", "description": "Trace context in which the event was made."},
          "ce_tracestate": {"type": "string"},
          "idempotency-key": {"type": "string", "description": "The key, where the data has none."},
          "traceparent": {"type": "string", "description": "W3C trace context of the sender's span."},
          "tracestate": {"type": "string"}
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"]
      },
      "resultHeaders": {
        "type": "object",
        "description": "A CloudEvent in binary mode. The value alone holds everything that a consumer needs.",
        "properties": {
          "content-type": {"const": "application/json"},
          "ce_specversion": {"const": "1.0"},
          "ce_id": {"type": "string", "description": "TOPIC/PARTITION/OFFSET/STATUS of the request. Deduplicate by it."},
          "ce_source": {"type": "string", "description": "/plugin-starter/TOPIC, with the requests topic."},
          "ce_type": {"type": "string", "description": "hss.plugin.start.STATUS.v1"},
          "ce_time": {"type": "string", "format": "date-time"},
          "ce_subject": {"type": "string", "description": "The idempotency key."},
          "ce_correlationid": {"type": "string"},
          "ce_causationid": {"type": "string", "description": "TOPIC/PARTITION/OFFSET of the request."},
          "traceparent": {"type": "string", "description": "The worker's span, a child of the request's."},
          "tracestate": {"type": "string"},
          "ce_traceparent": {"type": "string", "description": "As the request's event has it."},
          "ce_tracestate": {"type": "string"},
          "starter-ledger": {"type": "string", "description": "For the worker: which record was answered, and how."}
        },
        "required": [
          "content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_causationid", "starter-ledger"
        ]
      }
    }
  }
}

"""#
}
