// swift-format-ignore-file
// Made from schemas/start-result.schema.json by Tests/SchemaTests/SchemaFileTests.swift.
extension Schema {
    static let resultText = #"""
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:plugin-starter:schema:start-result:v1",
  "title": "Start result",
  "description": "Value of a record on the results topic: what became of one request record. Each status has a shape of its own. Absent means not applicable; nothing is null. Later versions of the worker may add members, so ignore those that you do not know.",
  "type": "object",
  "required": ["status"],
  "oneOf": [
    {"$ref": "#/$defs/succeeded"},
    {"$ref": "#/$defs/partially_succeeded"},
    {"$ref": "#/$defs/failed"},
    {"$ref": "#/$defs/rejected"},
    {"$ref": "#/$defs/duplicate"},
    {"$ref": "#/$defs/conflict"},
    {"$ref": "#/$defs/expired"}
  ],
  "$defs": {
    "succeeded": {
      "title": "HSS accepted a call for each of its hosts, or a read showed them as started",
      "$ref": "#/$defs/valid",
      "properties": {"status": {"const": "succeeded"}, "error": false, "failed_hosts": false, "original": false},
      "required": ["call"],
      "examples": [{"status":"succeeded","idempotency_key":"alert-1/ndr","project_id":"0123456789abcdef0123456789abcdef","plugin_code":"ndr","operate_all":false,"host_id_list":["11111111-2222-3333-4444-555555555555","66666666-7777-8888-9999-000000000000"],"correlation_id":"incident-42","requested_by":"soar/playbook-17","reason":"lateral movement suspected","request":{"topic":"plugin.start.requests","partition":0,"offset":0,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":1,"call":{"id":"call-1","http_status":200,"requests":1,"hosts":2,"latency_ms":0}}]
    },
    "partially_succeeded": {
      "title": "Some of its hosts were accepted, and others refused or not called in time",
      "$comment": "A result that is too large for its topic goes out without the lists of hosts.",
      "$ref": "#/$defs/valid",
      "properties": {"status": {"const": "partially_succeeded"}, "original": false},
      "required": ["call", "error"],
      "dependentRequired": {"host_id_list": ["failed_hosts"]},
      "examples": [{"status":"partially_succeeded","idempotency_key":"alert-3/ndr","project_id":"0123456789abcdef0123456789abcdef","plugin_code":"ndr","operate_all":false,"host_id_list":["11111111-2222-3333-4444-555555555555","66666666-7777-8888-9999-000000000000","noagent-77777777-8888-9999-aaaa-bbbbbbbbbbbb"],"request":{"topic":"plugin.start.requests","partition":0,"offset":4,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":2,"call":{"id":"call-4","http_status":400,"requests":1,"hosts":1,"latency_ms":0},"failed_hosts":[{"host_id":"noagent-77777777-8888-9999-aaaa-bbbbbbbbbbbb","error":{"type":"urn:plugin-starter:error:host","title":"The host has no agent","status":400,"detail":"The agent is not installed on the server.","code":"HSS.1001","category":"host","retryable":false}}],"error":{"type":"urn:plugin-starter:error:host","title":"The host has no agent","status":400,"detail":"The agent is not installed on the server.","code":"HSS.1001","category":"host","retryable":false}}]
    },
    "failed": {
      "title": "HSS refused it for good, or the retry budget or expires_at ended it after a call",
      "$ref": "#/$defs/valid",
      "properties": {"status": {"const": "failed"}, "failed_hosts": false, "original": false},
      "required": ["error"],
      "anyOf": [{"required": ["call"]}, {"required": ["evidence"]}],
      "examples": [{"status":"failed","idempotency_key":"alert-2/ndr","project_id":"0123456789abcdef0123456789abcdef","plugin_code":"ndr","operate_all":false,"host_id_list":["noagent-77777777-8888-9999-aaaa-bbbbbbbbbbbb"],"request":{"topic":"plugin.start.requests","partition":0,"offset":3,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":1,"call":{"id":"call-2","http_status":400,"requests":1,"hosts":1,"latency_ms":0},"error":{"type":"urn:plugin-starter:error:host","title":"The host has no agent","status":400,"detail":"The agent is not installed on the server.","code":"HSS.1001","category":"host","retryable":false}}]
    },
    "rejected": {
      "title": "It cannot be decoded, is invalid, or is refused by the policy",
      "$ref": "#/$defs/uncalled",
      "properties": {
        "status": {"const": "rejected"},
        "error": {"properties": {"category": {"enum": ["invalid", "policy"]}}},
        "original": false
      },
      "required": ["error"],
      "examples": [{"status":"rejected","idempotency_key":"alert-4/ndr","project_id":"0123456789abcdef0123456789abcdef","request":{"topic":"plugin.start.requests","partition":0,"offset":5,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":0,"error":{"type":"urn:plugin-starter:error:invalid","title":"Not a valid request","detail":"plugin_code is required","code":"invalid","category":"invalid","retryable":false}}]
    },
    "duplicate": {
      "title": "Key and action of an earlier request in the window; carries its outcome",
      "allOf": [{"$ref": "#/$defs/valid"}, {"$ref": "#/$defs/uncalled"}],
      "properties": {"status": {"const": "duplicate"}},
      "required": ["original"],
      "if": {"properties": {"original": {"properties": {"status": {"const": "succeeded"}}}}},
      "then": {"properties": {"error": false}},
      "else": {"required": ["error"]},
      "examples": [{"status":"duplicate","idempotency_key":"alert-1/ndr","project_id":"0123456789abcdef0123456789abcdef","plugin_code":"ndr","operate_all":false,"host_id_list":["66666666-7777-8888-9999-000000000000","11111111-2222-3333-4444-555555555555"],"request":{"topic":"plugin.start.requests","partition":0,"offset":1,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":0,"original":{"id":"plugin.start.requests/0/0/succeeded","status":"succeeded","offset":0}}]
    },
    "conflict": {
      "title": "Key of an earlier request in the window, with another action",
      "allOf": [{"$ref": "#/$defs/valid"}, {"$ref": "#/$defs/uncalled"}],
      "properties": {"status": {"const": "conflict"}},
      "required": ["error", "original"],
      "examples": [{"status":"conflict","idempotency_key":"alert-1/ndr","project_id":"0123456789abcdef0123456789abcdef","plugin_code":"ndr","operate_all":false,"host_id_list":["aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"],"request":{"topic":"plugin.start.requests","partition":0,"offset":2,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":0,"error":{"type":"urn:plugin-starter:error:request","title":"The key was used for another action","code":"conflict","category":"request","retryable":false},"original":{"id":"plugin.start.requests/0/0/succeeded","status":"succeeded","offset":0}}]
    },
    "expired": {
      "title": "expires_at passed, or no call could be made before it",
      "allOf": [{"$ref": "#/$defs/valid"}, {"$ref": "#/$defs/uncalled"}],
      "properties": {
        "status": {"const": "expired"},
        "error": {"properties": {"category": {"const": "expired"}}},
        "original": false
      },
      "required": ["error"],
      "examples": [{"status":"expired","idempotency_key":"alert-5/ndr","project_id":"0123456789abcdef0123456789abcdef","plugin_code":"ndr","operate_all":false,"host_id_list":["11111111-2222-3333-4444-555555555555"],"request":{"topic":"plugin.start.requests","partition":0,"offset":6,"timestamp":"2026-01-01T00:00:00.000Z"},"completed_at":"2026-01-01T00:00:00.000Z","attempts":0,"error":{"type":"urn:plugin-starter:error:expired","title":"Expired before a call could be made","detail":"expires_at was 2020-01-01T00:00:00.000Z","code":"expired","category":"expired","retryable":false}}]
    },
    "valid": {
      "description": "Of a request that could be read.",
      "$ref": "#/$defs/result",
      "required": ["idempotency_key", "project_id", "plugin_code", "operate_all"]
    },
    "uncalled": {
      "description": "Of a request for which no call was made.",
      "$ref": "#/$defs/result",
      "properties": {"attempts": {"const": 0}, "call": false, "failed_hosts": false}
    },
    "result": {
      "type": "object",
      "properties": {
        "status": {"type": "string"},
        "idempotency_key": {"type": "string", "minLength": 1},
        "project_id": {"type": "string", "minLength": 1},
        "enterprise_project_id": {"type": "string", "minLength": 1},
        "plugin_code": {"type": "string", "minLength": 1},
        "operate_all": {"type": "boolean"},
        "host_id_list": {
          "description": "As the request has it, each host once. Absent with operate_all, and where the result would be too large.",
          "type": "array",
          "minItems": 1,
          "items": {"type": "string", "minLength": 1}
        },
        "correlation_id": {"type": "string"},
        "requested_by": {"type": "string"},
        "reason": {"type": "string"},
        "request": {
          "description": "The record that this answers.",
          "type": "object",
          "properties": {
            "topic": {"type": "string"},
            "partition": {"type": "integer", "minimum": 0},
            "offset": {"type": "integer", "minimum": 0},
            "timestamp": {"type": "string", "format": "date-time"}
          },
          "required": ["topic", "partition", "offset"]
        },
        "completed_at": {"type": "string", "format": "date-time"},
        "attempts": {
          "description": "Calls that covered it and were answered; those that were throttled do not count.",
          "type": "integer",
          "minimum": 0
        },
        "call": {
          "description": "The last call that covered it. Results with the same id shared the call.",
          "type": "object",
          "properties": {
            "id": {"type": "string", "minLength": 1},
            "http_status": {"type": "integer"},
            "request_id": {"description": "HSS's own id of the call.", "type": "string"},
            "requests": {"description": "Requests that shared the call.", "type": "integer", "minimum": 1},
            "hosts": {"description": "Hosts of the call.", "type": "integer", "minimum": 0},
            "latency_ms": {"type": "integer", "minimum": 0}
          },
          "required": ["id", "requests", "hosts", "latency_ms"]
        },
        "failed_hosts": {
          "type": "array",
          "minItems": 1,
          "items": {
            "type": "object",
            "properties": {"host_id": {"type": "string"}, "error": {"$ref": "#/$defs/error"}},
            "required": ["host_id", "error"]
          }
        },
        "error": {"$ref": "#/$defs/error"},
        "evidence": {
          "description": "observed: ListPluginStatus showed hosts of the request as started, after an answer was lost or a call was refused.",
          "enum": ["observed"]
        },
        "original": {
          "description": "The request that had this key before, in the same partition.",
          "type": "object",
          "properties": {
            "id": {"description": "The ce_id of its result.", "type": "string", "minLength": 1},
            "status": {"enum": ["succeeded", "partially_succeeded", "failed"]},
            "offset": {"type": "integer", "minimum": 0}
          },
          "required": ["id", "status", "offset"]
        }
      },
      "required": ["status", "request", "completed_at", "attempts"]
    },
    "error": {
      "description": "The members of RFC 9457, and the code with what it means.",
      "type": "object",
      "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"description": "HTTP status of the answer.", "type": "integer"},
        "detail": {"type": "string", "maxLength": 4096},
        "code": {"description": "HSS's, its gateway's or the worker's own.", "type": "string"},
        "category": {
          "enum": ["invalid", "policy", "expired", "throttled", "transient", "auth", "host", "request", "unknown"]
        },
        "retryable": {"description": "Whether sending the same key again can help.", "type": "boolean"}
      },
      "required": ["type", "title", "code", "category", "retryable"]
    }
  }
}

"""#
}
