"""Makes requests from the request schema: valid ones, and ones that break exactly one of its rules.

    make_requests.py SCHEMA COUNT SEED FILE

Each request is judged by jsonschema before it is written. FILE gets a line for each: valid or invalid, the field, the
rule that it breaks, and the body, with tabs between them.
"""
import json
import random
import re
import sys

from jsonschema import Draft202012Validator

KNOWN = {"$comment", "$id", "$schema", "const", "default", "description", "else", "enum", "examples", "format", "if", "items",
         "maxLength", "minItems", "minLength", "not", "pattern", "properties", "required", "title", "type"}
LETTERS = ["a", "Z", "0", " ", ".", "%", "-", "_", "\"", "'", "<", "\\u0041", "\\", "/", "\n", "\u0000", "\u007f",
           "\u00e9", "e\u0301", "\u2028", "\u6f22", "\ufffe", "\U0001f600", "\U0010ffff"]
WRONG = {"string": [None, True, 7, 1.5, [], ["a"], {}, {"a": "b"}], "boolean": [None, "true", "", 0, 1, [], {}],
         "array": [None, "a", False, 0, {}, {"0": "a"}]}
# Names that are not close to one of the schema's: the worker rejects a misspelled one, which the schema does not state.
OTHERS = ["region", "labels", "x_note", "hosts", "", "\u6f22", "priority_class"]
DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


class Requests:
    def __init__(self, schema, chance):
        self.schema, self.chance = schema, chance
        self.known(schema)
        # Field, rule, and whether the rule is one for the items of the field.
        self.rules = [("value", "type", None)]
        for name in schema["required"] + schema["else"]["required"]:
            self.rules.append((name, "required", None))
        self.rules.append(("host_id_list", "minItems", None))
        for name, rules in schema["properties"].items():
            self.rules += [(name, rule, None) for rule in self.breakable(rules)]
            self.rules += [(name, rule, "items") for rule in self.breakable(rules.get("items", {}))]

    def known(self, schema):
        """Stops at a rule that this program does not know, so that it does not go unnoticed."""
        if set(schema) - KNOWN:
            sys.exit(f"no request is made for {set(schema) - KNOWN}")
        inner = [schema[key] for key in ("items", "not", "if", "else") if key in schema]
        for part in [*schema.get("properties", {}).values(), *inner]:
            self.known(part)

    def breakable(self, rules):
        names = ("type", "enum", "minLength", "maxLength", "pattern", "not")
        return [name for name in names if rules.get(name) not in (None, 0)]

    def text(self, least, most, allowed=lambda text: True):
        while True:
            kind = self.chance.random()
            count = least if kind < 0.1 else most if kind < 0.14 else self.chance.randint(least, min(most, least + 24))
            letters = [self.chance.choice(LETTERS) for _ in range(count)]
            text = "".join(letters)[:count] if count else ""
            if len(text) >= least and allowed(text):
                return text

    def time(self):
        pick = self.chance.randint
        year, month = pick(0, 9999), pick(1, 12)
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        day = pick(1, DAYS[month - 1] + (1 if leap and month == 2 else 0))
        # At the ends of the calendar an offset can lead out of it, which the schema does not state.
        edge = year in (0, 9999)
        second = f"{pick(0, 59 if edge else 60):02}"
        if pick(0, 2) == 0:
            second += "." + "".join(self.chance.choices("0123456789", k=pick(1, 12)))
        zone = self.chance.choice("Zz")
        if not edge and pick(0, 1):
            zone = f"{self.chance.choice('+-')}{pick(0, 23):02}:{pick(0, 59):02}"
        date = f"{year:04}-{month:02}-{day:02}"
        return f"{date}{self.chance.choice('Tt ')}{pick(0, 23):02}:{pick(0, 59):02}:{second}{zone}"

    def no_time(self):
        """A time with one fault."""
        good = f"{self.chance.randint(1, 9998):04}-01-02T03:04:05.5Z"
        start, end, text = self.chance.choice([
            (5, 7, "00"), (5, 7, "13"), (8, 10, "00"), (8, 10, "32"), (11, 13, "24"), (14, 16, "60"), (17, 19, "61"),
            (4, 5, "/"), (5, 10, "04-31"), (5, 10, "02-30"), (0, 10, "2100-02-29"), (0, 10, "2023-02-29"), (10, 11, ""),
            (10, 11, "_"), (10, 19, ""), (13, 19, ""), (19, 21, "."), (19, 21, ",5"), (17, 19, "-1"), (21, 22, ""),
            (21, 22, "+24:00"), (21, 22, "+1:00"), (21, 22, "+0100"), (21, 22, "+01:60"), (21, 22, "\u221201:00"),
            (21, 22, "UTC"), (22, 22, "\n"), (22, 22, " "), (0, 0, " "), (0, 0, "1"), (0, 0, "+"), (0, 22, ""),
            (0, 22, "1767225600"), (0, 4, "\u0662\u0660\u0662\u0666")])
        return good[:start] + text + good[end:]

    def make(self, name, rules):
        if "enum" in rules:
            return self.chance.choice(rules["enum"])
        if rules["type"] == "boolean":
            return self.chance.random() < 0.5
        if rules["type"] == "array":
            count = self.chance.choice([1, 1, 1, 2, 3, 12])
            hosts = [self.make(name, rules["items"]) for _ in range(count)]
            return hosts + hosts[:1] if self.chance.random() < 0.1 else hosts
        if rules.get("format") == "date-time":
            return self.time()

        def allowed(text):
            return re.search(rules.get("pattern", ""), text) and text not in rules.get("not", {}).get("enum", [])
        return self.text(rules.get("minLength", 0), rules["maxLength"], allowed)

    def broken(self, rules, rule):
        """A value that breaks this rule and no other."""
        pick = self.chance.choice
        if rule == "type":
            return pick(WRONG[rules["type"]])
        if rule == "enum":
            first = rules["enum"][0]
            return pick([value.upper() for value in rules["enum"]] + ["", "urgent", first + " ", None, 1, [first]])
        if rule == "minLength":
            return ""
        if rule == "maxLength":
            if rules.get("format") == "date-time":
                return f"2026-01-02T03:04:05.{'0' * self.chance.choice([44, 45, 200])}Z"
            count = rules["maxLength"] + pick([1, 1, 2, 300])
            return "".join(pick(["a", "\u00e9", "\U0001f600"]) for _ in range(count))
        if rule == "not":
            return pick(rules["not"]["enum"])
        if rules.get("format") == "date-time":
            return self.no_time()
        return "a" + pick(["/", "\\", "/../", "/.."]) + pick(["", "b"])

    def valid(self):
        names = self.schema["properties"]
        chosen = [name for name in names if name in self.schema["required"] or self.chance.random() < 0.5]
        request = {name: self.make(name, names[name]) for name in chosen}
        if request.get("operate_all") is not True or self.chance.random() < 0.3:
            request["host_id_list"] = self.make("host_id_list", names["host_id_list"])
        elif self.chance.random() < 0.3:
            request["host_id_list"] = []
        for name in OTHERS:
            if self.chance.random() < 0.1:
                request[name] = self.chance.choice([None, 1, -0.5, 1e300, "x", [[], {}], {"expire_at": 1}, True])
        return request

    def invalid(self):
        field, rule, items = self.chance.choice(self.rules)
        request = self.valid()
        if field == "value":
            return field, rule, self.chance.choice([None, True, 1, "x", [], [request]])
        if field == "host_id_list" and rule in ("required", "minItems"):
            request.pop("operate_all", None)
            if self.chance.random() < 0.5:
                request["operate_all"] = False
        if rule == "required":
            request.pop(field, None)
        elif rule == "minItems":
            request[field] = []
        elif items:
            hosts = request.setdefault(field, [])
            place = self.chance.randint(0, len(hosts))
            hosts.insert(place, self.broken(self.schema["properties"][field]["items"], rule))
            field = f"{field}[{place}]"
        else:
            if field == "operate_all":
                request.setdefault("host_id_list", ["h"])
                request["host_id_list"] = request["host_id_list"] or ["h"]
            request[field] = self.broken(self.schema["properties"][field], rule)
        return field, rule, request

    def text_of(self, request):
        if isinstance(request, dict):
            members = list(request.items())
            self.chance.shuffle(members)
            request = dict(members)
        between = self.chance.choice([(",", ":"), (", ", ": "), (" ,\r", " :  ")])
        return json.dumps(request, ensure_ascii=self.chance.random() < 0.5, separators=between)


def main(path, count, seed, out):
    with open(path, encoding="utf-8") as file:
        schema = json.load(file)
    requests, judge = Requests(schema, random.Random(int(seed))), Draft202012Validator(schema)
    with open(out, "w", encoding="utf-8", newline="") as file:
        for _ in range(int(count)):
            if requests.chance.random() < 0.5:
                verdict, field, rule, request = "valid", "", "", requests.valid()
            else:
                verdict, (field, rule, request) = "invalid", requests.invalid()
            body = requests.text_of(request)
            found = [error.validator for error in judge.iter_errors(json.loads(body))]
            if found != ([rule] if rule else []):
                sys.exit(f"jsonschema finds {found} and not {rule or 'nothing'} in {body}")
            file.write(f"{verdict}\t{field}\t{rule}\t{body}\n")


main(*sys.argv[1:])
