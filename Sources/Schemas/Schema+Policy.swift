// swift-format-ignore-file
// Made from schemas/policy.schema.json by Tests/SchemaTests/SchemaFileTests.swift.
extension Schema {
    static let policyText = #"""
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:plugin-starter:schema:policy:v1",
  "title": "Policy",
  "description": "The YAML file of --policy: what requests may ask for, and when calls may go. In lists of names * stands for any run of characters and ? for one. What each key means is in docs/operations.md.",
  "$comment": "Left out because a schema cannot state it: names are unique over rules, limits and maintenance, from and to of a daily time differ, a one-time to is after from. The reader also takes true, yes, on and 1 for each flag, and numbers in quotation marks.",
  "type": ["object", "null"],
  "properties": {
    "allow-operate-all": {"type": "boolean", "description": "Leave for operate_all in every project and for every plugin."},
    "allow-all-granted-eps": {"type": "boolean", "description": "The same for enterprise_project_id all_granted_eps."},
    "projects": {"$ref": "#/$defs/list", "description": "The projects that may be named. Absent: all."},
    "plugins": {"$ref": "#/$defs/list", "description": "The plugin codes that may be named. Absent: all."},
    "max-hosts": {"$ref": "#/$defs/count", "description": "The most hosts that one request may name."},
    "default": {"enum": ["allow", "deny"], "description": "What becomes of a request that no rule matches: allow if absent."},
    "dry-run": {"type": "boolean", "description": "No call is made. Results tell what would have been done."},
    "rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}},
    "limits": {"type": "array", "items": {"$ref": "#/$defs/limit"}},
    "maintenance": {"type": "array", "items": {"$ref": "#/$defs/maintenance"}}
  },
  "additionalProperties": false,
  "$defs": {
    "list": {"type": "array", "items": {"type": "string", "minLength": 1}},
    "names": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    "count": {"type": "integer", "minimum": 1, "maximum": 1000000},
    "name": {
      "type": "string",
      "pattern": "^[A-Za-z0-9._-]{1,64}$",
      "not": {"enum": ["default", "projects", "plugins", "max-hosts", "allow-operate-all", "allow-all-granted-eps", "dry-run"]}
    },
    "rule": {
      "type": "object",
      "properties": {
        "name": {"$ref": "#/$defs/name"},
        "effect": {"enum": ["allow", "deny"], "description": "A rule that denies comes before every rule that allows."},
        "projects": {"$ref": "#/$defs/names"},
        "enterprise-projects": {"$ref": "#/$defs/names", "description": "A request without one counts as 0."},
        "plugins": {"$ref": "#/$defs/names"},
        "producers": {"$ref": "#/$defs/names", "description": "requested_by, else the CloudEvents source, else the header requested-by."},
        "hosts": {"$ref": "#/$defs/names", "description": "Only with effect deny: requests that name one of them, and every operate_all."},
        "operate-all": {"type": "boolean", "description": "With allow: leave for operate_all. With deny: only operate_all."},
        "all-granted-eps": {"type": "boolean", "description": "The same for all_granted_eps."}
      },
      "required": ["name", "effect"],
      "additionalProperties": false,
      "if": {"properties": {"effect": {"const": "allow"}}},
      "then": {
        "properties": {"hosts": false},
        "allOf": [
          {
            "if": {"properties": {"all-granted-eps": {"const": true}}, "required": ["all-granted-eps"]},
            "then": {"required": ["projects", "plugins"], "properties": {"enterprise-projects": false}}
          },
          {
            "if": {"properties": {"operate-all": {"const": true}}, "required": ["operate-all"]},
            "then": {"required": ["projects", "plugins"]}
          }
        ]
      }
    },
    "limit": {
      "type": "object",
      "properties": {
        "name": {"$ref": "#/$defs/name"},
        "projects": {"$ref": "#/$defs/names"},
        "enterprise-projects": {"$ref": "#/$defs/names"},
        "plugins": {"$ref": "#/$defs/names"},
        "producers": {"$ref": "#/$defs/names"},
        "hosts-per-request": {"$ref": "#/$defs/count"},
        "hosts-per-project": {"$ref": "#/$defs/count", "description": "In any window of that length."},
        "requests-per-producer": {"$ref": "#/$defs/count", "description": "In any window of that length."},
        "window": {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h)$", "description": "1s to 24h, such as 60s, 5m or 1h."}
      },
      "required": ["name"],
      "additionalProperties": false,
      "oneOf": [
        {"required": ["hosts-per-request"], "properties": {"window": false}},
        {"required": ["hosts-per-project", "window"]},
        {"required": ["requests-per-producer", "window"]}
      ]
    },
    "maintenance": {
      "type": "object",
      "properties": {
        "name": {"$ref": "#/$defs/name"},
        "projects": {"$ref": "#/$defs/names"},
        "enterprise-projects": {"$ref": "#/$defs/names"},
        "plugins": {"$ref": "#/$defs/names"},
        "days": {
          "type": "array",
          "minItems": 1,
          "items": {"enum": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]},
          "description": "Days on which the time begins. Absent: every day."
        },
        "from": {"$ref": "#/$defs/time"},
        "to": {"$ref": "#/$defs/time", "description": "On the next day where it is not after from."},
        "except": {"const": "critical", "description": "Critical requests are called all the same."}
      },
      "required": ["name", "from", "to"],
      "additionalProperties": false,
      "oneOf": [
        {"properties": {"from": {"$ref": "#/$defs/daily", "not": {"const": "24:00"}}, "to": {"$ref": "#/$defs/daily"}}},
        {"properties": {"from": {"$ref": "#/$defs/date"}, "to": {"$ref": "#/$defs/date"}, "days": false}}
      ]
    },
    "time": {"type": "string", "description": "A time of the day in UTC such as 22:00, or an RFC 3339 time."},
    "daily": {"pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"},
    "date": {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"}
  }
}

"""#
}
