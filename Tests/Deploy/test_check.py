"""Each mistake is found that check.py looks for, and what is right passes."""

import copy
import unittest

import check

OPERATIONS = """
## Metrics

| name | type | is |
|---|---|---|
| `calls_total{result}` | counter | calls |
| `active` | gauge | 1 |
| `call_seconds` | histogram | time |
| `process_open_fds` | gauge | files |

## Log
"""
KNOWN = check.metrics(OPERATIONS)
RULES = {
    "groups": [{
        "rules": [{
            "alert": "Down",
            "expr": "max by (job) (plugin_starter_active) == 0",
            "labels": {"severity": "page"},
            "annotations": {"runbook_url": "docs/runbook.md#down"},
        }]
    }]
}
TESTS = {"tests": [{"exp_samples": [{"labels": '{alertname="Down"}'}]}]}
RUNBOOK = "# Runbook\n\n## Down\n\n**page.** No worker.\n"
SETTINGS = r"""
| `--region TEXT` |  | run | region |
| `--mode a\|b` | `a` | run, plan | x |
| `--file FILE` |  | request | x |
"""


class Queries(unittest.TestCase):
    def test_right_queries_pass(self):
        for query in [
            'sum by (result) (rate(plugin_starter_calls_total{job="j",result=~"a|b{}"}[5m])) > 0.5 * 1e3',
            "histogram_quantile(0.5, sum by (le) (rate(plugin_starter_call_seconds_bucket[1m])))",
            "plugin_starter_active > 0 unless on (job, instance) process_open_fds offset 30m",
        ]:
            self.assertEqual(list(check.query_mistakes(query, KNOWN)), [], query)

    def test_wrong_queries_are_found(self):
        for query, mistake in [
            ("sum(plugin_starter_activ)", "plugin_starter_activ is not in the table"),
            ("up == 1", "up is not in the table"),
            ("plugin_starter_call_seconds", "plugin_starter_call_seconds is not in the table"),
            ('plugin_starter_active{result="a"}', "plugin_starter_active has no label result"),
            ("sum by (status) (plugin_starter_calls_total)", "has the label status"),
            ("1 + 1", "names no metric"),
        ]:
            found = list(check.query_mistakes(query, KNOWN))
            self.assertEqual(len(found), 1, query)
            self.assertIn(mistake, found[0])


class Alerts(unittest.TestCase):
    def found(self, rules=RULES, tests=TESTS, runbook=RUNBOOK):
        return list(check.alert_mistakes(rules, tests, runbook, KNOWN))

    def test_an_alert_with_section_and_test_passes(self):
        self.assertEqual(self.found(), [])

    def test_what_an_alert_lacks_is_found(self):
        self.assertIn("no section Down", self.found(runbook="# Runbook\n")[0])
        self.assertIn("begins with **page.**", self.found(runbook=RUNBOOK.replace("page", "ticket"))[0])
        self.assertIn("Other is no alert", self.found(runbook=RUNBOOK + "\n## Other\n")[0])
        self.assertIn("no test expects it", self.found(tests={"tests": []})[0])
        for part, key, value, mistake in [
            ("annotations", "runbook_url", "docs/runbook.md#up", "runbook_url must be"),
            ("labels", "severity", "high", "severity must be one of"),
        ]:
            rules = copy.deepcopy(RULES)
            rules["groups"][0]["rules"][0][part][key] = value
            self.assertTrue(any(mistake in found for found in self.found(rules)), mistake)


class Dashboard(unittest.TestCase):
    def found(self, *panels):
        variable = {"name": "job", "type": "query", "query": {"query": "label_values(plugin_starter_active, job)"}}
        dashboard = {"panels": panels, "annotations": {"list": []}, "templating": {"list": [variable]}}
        return list(check.dashboard_mistakes(dashboard, KNOWN))

    def panel(self, number, query, description="d"):
        return {"id": number, "type": "stat", "title": "T", "description": description, "targets": [{"expr": query}]}

    def test_panels_are_checked(self):
        self.assertEqual(self.found(self.panel(1, "plugin_starter_active"), self.panel(2, "process_open_fds")), [])
        self.assertIn("T: lag is not", self.found(self.panel(1, "lag"))[0])
        self.assertIn("same id", self.found(self.panel(1, "process_open_fds"), self.panel(1, "process_open_fds"))[0])
        self.assertIn("description", self.found(self.panel(1, "process_open_fds", ""))[0])


class Settings(unittest.TestCase):
    def test_only_settings_of_run_pass(self):
        known = check.settings(SETTINGS)
        self.assertEqual(known, {"region", "mode"})
        right = ["HUAWEICLOUD_SDK_AK_FILE", "PLUGIN_STARTER_REGION"]
        self.assertEqual(list(check.setting_mistakes(known, {"region": 1}, ["run", "--mode", "a"], right)), [])
        for arguments in [
            ({"file": 1}, [], []), ({}, ["--regio"], []), ({}, [], ["PLUGIN_STARTER_REGIO"]),
            ({}, [], ["HUAWEICLOUD_SDK_AK"]),
        ]:
            self.assertEqual(len(list(check.setting_mistakes(known, *arguments))), 1, arguments)


class Manifests(unittest.TestCase):
    def setUp(self):
        files = sorted((check.ROOT / "deploy/kubernetes").glob("*.yaml"))
        manifests = [check.yaml.safe_load(file.read_text()) for file in files]
        self.manifests = {manifest["kind"]: manifest for manifest in manifests}

    def found(self):
        return list(check.manifest_mistakes(self.manifests.values()))

    def test_the_manifests_pass(self):
        self.assertEqual(self.found(), [])

    def test_a_name_that_leads_nowhere_is_found(self):
        spec = self.manifests["Deployment"]["spec"]
        pod = spec["template"]["spec"]
        container = pod["containers"][0]
        changes = [
            (self.manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], "app", "x", "its selector"),
            (self.manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"], "app", "x", "its selector"),
            (self.manifests["Service"]["spec"]["selector"], "app", "x", "its selector"),
            (pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"], "app", "x", "its selector"),
            (container["livenessProbe"]["httpGet"], "port", "http", "http is no port"),
            (container["env"][0], "value", "/etc/key", "/etc/key is in no volume"),
            (container["args"], 2, "/etc/config", "/etc/config is in no volume"),
            (spec, "replicas", 1, "no standby"),
        ]
        for place, key, value, mistake in changes:
            before = copy.deepcopy(place)
            place[key] = value
            found = self.found()
            self.assertEqual(len(found), 1, mistake)
            self.assertIn(mistake, found[0])
            if isinstance(place, dict):
                place.clear()
                place.update(before)
            else:
                place[:] = before


if __name__ == "__main__":
    unittest.main()
