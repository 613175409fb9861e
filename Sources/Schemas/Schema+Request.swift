// swift-format-ignore-file
// Made from schemas/start-request.schema.json by Tests/SchemaTests/SchemaFileTests.swift.
extension Schema {
    static let requestText = #"""
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:plugin-starter:schema:start-request:v1",
  "title": "Start request",
  "description": "Value of a record on the requests topic: plain, or the data of a CloudEvent 1.0. Members that are not listed are ignored.",
  "$comment": "The worker also rejects what JSON Schema cannot state, because a schema judges a value and not its text: a member name that appears twice, an unpaired surrogate, a number beyond 64-bit floating point, nesting deeper than 64, more than --max-request-bytes bytes. Left out as well: a misspelled name of an absent member (expire_at), because it would take one pattern for every letter of every name; a time whose offset leads out of the years 0000 to 9999; a key that is absent both here and in the headers; the policy.",
  "type": "object",
  "properties": {
    "idempotency_key": {
      "description": "Makes repeats harmless, within a project. Else the header idempotency-key, else a CloudEvent's source and id.",
      "type": "string",
      "minLength": 1,
      "maxLength": 256
    },
    "project_id": {
      "description": "Becomes one segment of the URL's path.",
      "type": "string",
      "minLength": 1,
      "maxLength": 256,
      "pattern": "^[^/\\\\]*$",
      "not": {"enum": [".", ".."]}
    },
    "enterprise_project_id": {
      "description": "Absent is not sent, and HSS then takes 0. all_granted_eps only where the policy allows it.",
      "type": "string",
      "minLength": 1,
      "maxLength": 256
    },
    "plugin_code": {
      "description": "Such as ndr.",
      "type": "string",
      "minLength": 1,
      "maxLength": 64
    },
    "operate_all": {
      "description": "Every host of the scope; overrides host_id_list. Only where the policy allows it.",
      "type": "boolean",
      "default": false
    },
    "host_id_list": {
      "description": "Required and not empty unless operate_all is true. A host that is repeated counts once.",
      "type": "array",
      "items": {"type": "string", "minLength": 1, "maxLength": 128}
    },
    "expires_at": {
      "description": "RFC 3339 time. Past it no call is made. A validator that asserts the format may refuse a space in place of T, or a leap second, which the worker accepts.",
      "$comment": "The lookahead is for engines in which $ also matches before a line feed at the end.",
      "type": "string",
      "maxLength": 64,
      "format": "date-time",
      "pattern": "^(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$(?!\\n)"
    },
    "priority": {
      "description": "Which waiting requests get the next call.",
      "enum": ["critical", "normal", "bulk"],
      "default": "normal"
    },
    "correlation_id": {"description": "Copied to the result.", "type": "string", "maxLength": 256},
    "requested_by": {"description": "Copied to the result.", "type": "string", "maxLength": 256},
    "reason": {"description": "Copied to the result.", "type": "string", "maxLength": 1024}
  },
  "required": ["project_id", "plugin_code"],
  "if": {"properties": {"operate_all": {"const": true}}, "required": ["operate_all"]},
  "else": {"properties": {"host_id_list": {"minItems": 1}}, "required": ["host_id_list"]},
  "examples": [
    {
      "idempotency_key": "alert-7f3a/ndr",
      "project_id": "0123456789abcdef0123456789abcdef",
      "enterprise_project_id": "0",
      "plugin_code": "ndr",
      "host_id_list": ["11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"],
      "priority": "critical",
      "correlation_id": "incident-42",
      "requested_by": "soar/playbook-17",
      "reason": "lateral movement suspected"
    }
  ]
}

"""#
}
