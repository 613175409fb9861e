"""Checks that what deploy/ names exists: metrics and labels, sections of the runbook, settings, labels of pods.

check.py             prints each mistake; exits 1 if there is one
check.py rules FILE  writes the dashboard's queries as a rules file, for promtool to parse
"""

import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = "plugin_starter_"
# Prometheus adds the first two, and makes the metric ALERTS with the others.
COMMON_LABELS = {"job", "instance", "alertname", "alertstate"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "on", "ignoring", "by", "without", "group_left", "group_right"}
SEVERITIES = {"page", "ticket"}


def metrics(operations):
    """The table of docs/operations.md: each metric's full name, with its labels."""
    found = {"ALERTS": set()}
    section = operations.split("\n## Metrics\n")[1].split("\n## ")[0]
    for name, labels, kind in re.findall(r"^\| `(\w+)(?:{([\w,]+)})?` \| (\w+) \|", section, re.M):
        name = name if name.startswith("process_") else PREFIX + name
        labels = set(labels.split(",")) if labels else set()
        if kind == "histogram":
            found |= {name + "_bucket": labels | {"le"}, name + "_sum": labels, name + "_count": labels}
        else:
            found[name] = labels
    return found


def query_mistakes(query, known):
    """Metrics and labels of a PromQL expression that nothing exports."""
    used, labels = set(), set()
    bare = re.sub(r"\[[^\]]*\]", "", re.sub(r'"[^"]*"', '""', query))
    for name, matchers in re.findall(r"(\w+)\s*{([^}]*)}", bare):
        own = set(re.findall(r"(\w+)\s*[=!]", matchers))
        for label in sorted(own - known.get(name, own) - COMMON_LABELS):
            yield f"{name} has no label {label}"
    bare = re.sub(r"{[^}]*}", "", bare)
    for names in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", bare):
        labels |= set(re.findall(r"\w+", names))
    bare = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\boffset\s+\w+", "", bare)
    for name in re.findall(r"(?<![\w.])([A-Za-z_]\w*)\b(?!\s*\()", bare):
        if name not in KEYWORDS:
            used.add(name)
    if not used:
        yield "names no metric"
    for name in sorted(used - known.keys()):
        yield f"{name} is not in the table of docs/operations.md"
    exported = set().union(*(known.get(name, set()) for name in used))
    for label in sorted(labels - exported - COMMON_LABELS):
        yield f"no metric of the expression has the label {label}"


def alert_mistakes(rules, tests, runbook, known):
    """`rules` and `tests` are parsed, `runbook` is text."""
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    sections = re.findall(r"^## (\w+)\n\n\*\*(\w+)\.\*\*", runbook, re.M)
    expected = [(alert["alert"], alert["labels"]["severity"]) for alert in alerts]
    for name, severity in sorted(set(expected) - set(sections)):
        yield f"docs/runbook.md has no section {name} that begins with **{severity}.**"
    for name in re.findall(r"^## (\w+)$", runbook, re.M):
        if name not in dict(expected):
            yield f"docs/runbook.md: {name} is no alert"
    fired = set(re.findall(r'alertname="(\w+)"', json.dumps(tests).replace("\\", "")))
    for alert in alerts:
        name = alert["alert"]
        for mistake in query_mistakes(alert["expr"], known):
            yield f"{name}: {mistake}"
        if alert["labels"]["severity"] not in SEVERITIES:
            yield f"{name}: severity must be one of {', '.join(sorted(SEVERITIES))}"
        if alert["annotations"].get("runbook_url") != f"docs/runbook.md#{name.lower()}":
            yield f"{name}: runbook_url must be docs/runbook.md#{name.lower()}"
        if name not in fired:
            yield f"{name}: no test expects it to fire"


def queries(dashboard):
    """The title of each panel or variable with its queries."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])[1]


def dashboard_mistakes(dashboard, known):
    numbers = [panel["id"] for panel in dashboard["panels"]]
    if len(set(numbers)) < len(numbers):
        yield "two panels have the same id"
    for panel in dashboard["panels"]:
        if panel["type"] != "row" and not (panel.get("description") and panel.get("targets")):
            yield f"{panel['title']}: a panel needs a description and a query"
    for title, query in queries(dashboard):
        for mistake in query_mistakes(query, known):
            yield f"{title}: {mistake}"


def rules_file(dashboard):
    """Grafana's variables get values that Prometheus can parse."""
    rules = [
        {"record": f"dashboard:query_{number}", "expr": query.replace("$__rate_interval", "1m").replace("$job", "j")}
        for number, (_, query) in enumerate(queries(dashboard))
    ]
    return yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]})


def settings(table):
    """The settings of `run` in docs/settings.md."""
    rows = re.findall(r"^\| `--([\w-]+)[^|]*\|(?:[^|\\]|\\.)*\| ([^|]*) \|", table.replace("\\|", "/"), re.M)
    return {name for name, commands in rows if {"run", "all"} & set(commands.split(", "))}


def setting_mistakes(known, config, words, environment):
    """`words` is the command line; `environment` has the names of variables."""
    used = list(config) + [word[2:].split("=")[0] for word in words if word.startswith("--")]
    for name in environment:
        if name.startswith("PLUGIN_STARTER_"):
            used.append(name.removeprefix("PLUGIN_STARTER_").lower().replace("_", "-"))
        elif not re.fullmatch(r"HUAWEICLOUD_SDK_(AK|SK|SECURITY_TOKEN|USERNAME|PASSWORD|DOMAIN)_FILE", name):
            yield f"{name} is no setting, and no file of a credential"
    for name in used:
        if name not in known:
            yield f"{name} is not a setting of run in docs/settings.md"


def manifest_mistakes(manifests):
    """What the API's schemas cannot see: one part naming another."""
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    pod = by_kind["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    container = pod["spec"]["containers"][0]
    selectors = {
        "Deployment": by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
        "PodDisruptionBudget": by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        "Service": by_kind["Service"]["spec"]["selector"],
    }
    for spread in pod["spec"]["topologySpreadConstraints"]:
        selectors[spread["topologyKey"]] = spread["labelSelector"]["matchLabels"]
    for kind, selector in selectors.items():
        if not selector or not selector.items() <= labels.items():
            yield f"{kind}: its selector does not select the pods"
    ports = {port["name"] for port in container["ports"]}
    named = [container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")]
    named += [port["targetPort"] for port in by_kind["Service"]["spec"]["ports"]]
    named += [port["port"] for rule in by_kind["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]]
    for port in named:
        if port not in ports:
            yield f"{port} is no port of the container"
    folders = tuple(mount["mountPath"] + "/" for mount in container["volumeMounts"])
    files = [variable["value"] for variable in container["env"] if variable["name"].endswith("_FILE")]
    files += [word for word in container["args"] if word.startswith("/")]
    for file in files:
        if not file.startswith(folders):
            yield f"{file} is in no volume"
    if by_kind["Deployment"]["spec"]["replicas"] < 2:
        yield "Deployment: one replica has no standby"


def read(path):
    return (ROOT / path).read_text()


def mistakes(dashboard):
    known = metrics(read("docs/operations.md"))
    rules = yaml.safe_load(read("deploy/prometheus/alerts.yml"))
    tests = yaml.safe_load(read("deploy/prometheus/alerts.test.yml"))
    yield from alert_mistakes(rules, tests, read("docs/runbook.md"), known)
    yield from dashboard_mistakes(dashboard, known)
    manifests = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))]
    yield from manifest_mistakes(manifests)
    config = yaml.safe_load(read("deploy/config.yaml"))
    run = settings(read("docs/settings.md"))
    container = next(m for m in manifests if m["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    yield from setting_mistakes(run, config, container["args"], [variable["name"] for variable in container["env"]])
    unit = read("deploy/systemd/plugin-starter.service")
    words = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].split()
    yield from setting_mistakes(run, {}, words, re.findall(r"^Environment=(\w+)=", unit, re.M))


def main(arguments):
    dashboard = json.loads(read("deploy/grafana/dashboard.json"))
    if arguments[:1] == ["rules"]:
        pathlib.Path(arguments[1]).write_text(rules_file(dashboard))
        return 0
    found = list(mistakes(dashboard))
    print("\n".join(found) or "deploy: everything that is named exists")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
