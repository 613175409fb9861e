"""Judges results, one JSON value a line of standard input, by a schema: judge_results.py SCHEMA"""
import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    judge = Draft202012Validator(json.load(file))
results = [json.loads(line) for line in sys.stdin.buffer]
refused = [result for result in results if not judge.is_valid(result)]
print(f"{len(results)} results, {len(refused)} refused")
for result in refused[:3]:
    print(json.dumps(result)[:1000], [error.message[:300] for error in judge.iter_errors(result)])
