"""The rules, their tests and their pages against each other, and the names of metrics against the program's table.

    static.py PROMTOOL
"""

import copy
import pathlib
import re
import subprocess
import sys
import tempfile

import dashboards
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FILES = ROOT / "helm" / "emgate" / "files"
RULES = FILES / "rules.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
# What a histogram is asked for beside its name.
PARTS = re.compile(r"_(bucket|sum|count)$")


def fail(message):
    raise SystemExit(f"prometheus: {message}")


def known_metrics():
    """The names of the program's table."""
    return set(re.findall(r'= (?:Counter|Gauge|Histogram) "(emgate_\w+)"', (ROOT / "src/telemetry/metrics.rs").read_text()))


def check_names():
    known = known_metrics()
    if len(known) < 40:
        fail("the table of metrics was not found")
    texts = [RULES, *FILES.glob("dashboards/*.json"), *RUNBOOKS.glob("*.md"), HERE / "rules_test.yaml"]
    for path in texts:
        for name in set(re.findall(r"\bemgate_\w+", path.read_text())):
            if PARTS.sub("", name) not in known:
                fail(f"{path.relative_to(ROOT)} names {name}, which is no metric")
    return len(known)


def check_pages(rules):
    pages = {path.stem for path in RUNBOOKS.glob("*.md")}
    alerts = {rule["alert"] for rule in rules}
    if pages != alerts:
        fail(f"alerts without a page or pages without an alert: {sorted(pages ^ alerts)}")
    for rule in rules:
        said = rule["annotations"]
        if rule["labels"].get("severity") not in ("critical", "warning", "info"):
            fail(f"{rule['alert']} has no severity")
        if not said.get("summary") or not said.get("description"):
            fail(f"{rule['alert']} has no summary or no description")
        if said.get("runbook_url") != f"docs/runbooks/{rule['alert']}.md":
            fail(f"{rule['alert']} does not lead to its page")


def check_cases(promtool, groups):
    """The cases pass, and each rule has one in which it fires and one in which its alert is silent."""
    groups = copy.deepcopy(groups)
    rules = [rule for group in groups["groups"] for rule in group["rules"]]
    for rule in rules:
        del rule["annotations"]
    cases = (HERE / "rules_test.yaml").read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "rules.yaml").write_text(yaml.safe_dump(groups))
        (folder / "rules_test.yaml").write_text(cases)
        done = subprocess.run([promtool, "test", "rules", folder / "rules_test.yaml"], capture_output=True, text=True)
        if done.returncode:
            fail(done.stdout + done.stderr)
    tests = yaml.safe_load(cases)["tests"]
    fired, silent = set(), set()
    for case in (case for test in tests for case in test["alert_rule_test"]):
        if not case["exp_alerts"]:
            silent.add(case["alertname"])
        for alert in case["exp_alerts"]:
            fired.add((case["alertname"], alert["exp_labels"]["severity"]))
    for rule in rules:
        if (rule["alert"], rule["labels"]["severity"]) not in fired or rule["alert"] not in silent:
            fail(f"{rule['alert']} ({rule['labels']['severity']}) has no firing or no silent case")
    return len(tests)


def main():
    promtool = sys.argv[1]
    groups = yaml.safe_load(RULES.read_text())
    rules = [rule for group in groups["groups"] for rule in group["rules"]]
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True)
    if done.returncode:
        fail(done.stdout + done.stderr)
    check_pages(rules)
    for fault in dashboards.faults(promtool):
        fail(fault)
    known, cases = check_names(), check_cases(promtool, groups)
    print(f"prometheus: {len(rules)} rules with a page each, {cases} cases; all names are among {known} metrics")
    print(f"prometheus: {len(dashboards.DASHBOARDS)} dashboards keep {len(dashboards.RULES)} rules")


main()
