"""The dashboards against what Grafana's users expect of one: the rules that grafana/dashboard-linter names, those about logs
aside, and that it fits on a screen. Each rule is a row: its name, and what it finds."""

import json
import pathlib
import re
import subprocess
import tempfile

import yaml

DASHBOARDS = sorted((pathlib.Path(__file__).resolve().parents[2] / "helm/emgate/files/dashboards").glob("*.json"))
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$__interval": "1m", "$job": "emgate", "$instance": ".+", "$tenant": ".*"}
# Panels of one dashboard at the most; more are not looked at.
MOST = 24
COUNTER = re.compile(r"\b\w+_(?:total|bucket|count|sum)\b(?=\{)")


def plain(expression):
    """The expression as Prometheus gets it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board):
    return [(panel["title"], target) for panel in panels(board) for target in panel["targets"]]


def variables(board):
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def selectors(expression):
    return re.findall(r"\{[^}]*\}", expression)


def has_source(board):
    variable = variables(board).get("datasource", {})
    if (variable.get("type"), variable.get("query")) != ("datasource", "prometheus"):
        yield "no variable chooses the source of data"


def has_variables(board):
    for name in ("job", "instance"):
        variable = variables(board).get(name, {})
        if variable.get("datasource") != SOURCE or not variable.get("multi") or variable.get("allValue") != ".+":
            yield f"no variable chooses among all values of {name}"


def follows_time(board):
    for name, variable in variables(board).items():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield f"{name} is not read again when the time range changes"


def uses_source(board):
    for panel in panels(board):
        for part in (panel, *panel["targets"]):
            if part.get("datasource") != SOURCE:
                yield f"{panel['title']} has a source of data of its own"


def is_described(board):
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']} has no title or no description"


def has_units(board):
    for panel in panels(board):
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{panel['title']} has no unit"


def has_targets(board):
    for panel in panels(board):
        if not panel.get("targets"):
            yield f"{panel['title']} asks for nothing"
    for title, target in targets(board):
        if not target.get("legendFormat"):
            yield f"{title} has a line without a name"


def is_confined(board):
    for title, target in targets(board):
        for selector in selectors(target["expr"]):
            if 'job=~"$job"' not in selector or 'instance=~"$instance"' not in selector:
                yield f"{title} shows other jobs or instances as well"


def rates_counters(board):
    for title, target in targets(board):
        expression = target["expr"]
        for found in COUNTER.finditer(expression):
            before = expression[: found.start()]
            if not re.search(r"(?:rate|increase)\($", before):
                yield f"{title} shows a counter as it is"
        for window in re.findall(r"\brate\([^\[]*\[([^\]]*)\]", expression):
            if window != "$__rate_interval":
                yield f"{title} has a rate over {window}, which is wrong for other intervals of scraping"


def is_kept(board):
    if board.get("editable") is not False:
        yield "it can be edited, and the changes would be lost"


def fits(board):
    if len(panels(board)) > MOST:
        yield f"it has {len(panels(board))} panels"
    seen = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            yield f"{panel['title']} is wider than the page"
        for place in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if place in seen:
                yield f"{panel['title']} lies on {seen[place]}"
                break
            seen[place] = panel["title"]
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have one id"


RULES = (
    has_source,
    has_variables,
    follows_time,
    uses_source,
    is_described,
    has_units,
    has_targets,
    is_confined,
    rates_counters,
    is_kept,
    fits,
)


def expressions():
    """Every expression of every dashboard, those of annotations included."""
    found = set()
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        found |= {target["expr"] for _, target in targets(board)}
        found |= {note["expr"] for note in board["annotations"]["list"]}
    return sorted(found)


def faults(promtool):
    """What is wrong, a sentence each."""
    found = []
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        found += [f"{path.name}: {fault}" for rule in RULES for fault in rule(board)]
    rules = [{"record": f"expression:{number}", "expr": plain(text)} for number, text in enumerate(expressions())]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}, file)
        file.flush()
        done = subprocess.run([promtool, "check", "rules", file.name], capture_output=True, text=True)
    if done.returncode:
        found.append(done.stdout + done.stderr)
    return found
