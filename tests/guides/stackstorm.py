"""StackStorm: the action's workflow, its expressions evaluated by yaql and its requests sent, and the rule held against a real
delivery. The conductor is a model of Orquesta's: one task after the other. Run by scripts/guides.sh."""
import json
import re

import jinja2
import yaml
import yaql

from gateway import GUIDES, PLAN, TOKEN, URL, Receiver, ask, failed_failover, operations, registered, settings

PACK = GUIDES / "stackstorm"


class Workflow:
    def __init__(self, inputs):
        assert yaml.safe_load((PACK / "pack.yaml").read_text())["ref"] == "emgate"
        self.action = yaml.safe_load((PACK / "actions" / "test_plan.yaml").read_text())
        self.spec = yaml.safe_load((PACK / "actions" / self.action["entry_point"]).read_text())
        assert (self.action["pack"], self.action["runner_type"]) == ("emgate", "orquesta") and self.spec["version"] == 1.0
        assert set(self.spec["input"]) == set(self.action["parameters"])
        self.context = {**inputs, "st2": {"action_execution_id": "5f0c"}}
        for variable in self.spec["vars"]:
            self.context.update(variable)
        self.engine = yaql.YaqlFactory().create()

    def evaluated(self, value, result=None, status="succeeded"):
        """A value with its expressions, as the workflow sees them after a task."""
        if isinstance(value, dict):
            return {name: self.evaluated(member, result, status) for name, member in value.items()}
        if not isinstance(value, str):
            return value
        scope = yaql.create_context()
        functions = {
            "ctx": lambda name=None: self.context if name is None else self.context[name],
            "st2kv": lambda key, decrypt=False: TOKEN if (key, decrypt) == ("system.emgate_token", True) else None,
            "result": lambda: result,
            "succeeded": lambda: status == "succeeded",
            "failed": lambda: status == "failed",
        }
        for name, function in functions.items():
            scope.register_function(function, name=name)
        expressions = re.findall(r"<%\s*(.*?)\s*%>", value)
        values = [self.engine(expression).evaluate(context=scope) for expression in expressions]
        if re.fullmatch(r"<%.*?%>", value):
            return values[0]
        for one in values:
            value = re.sub(r"<%.*?%>", lambda _, one=one: str(one), value, count=1)
        return value

    def http(self, task):
        """core.http: 2xx up to 206 succeeds."""
        assert task["action"] == "core.http", task
        wanted = self.evaluated(task["input"])
        assert set(wanted) <= {"method", "url", "headers", "body", "timeout"}, wanted
        status, body = ask(wanted["method"], wanted["url"], wanted["headers"])
        return {"status_code": status, "body": body}, "succeeded" if 200 <= status <= 206 else "failed"

    def conduct(self):
        """How it ended, and its output."""
        name = "start"
        while name:
            task = self.spec["tasks"][name]
            for _ in range(task["retry"]["count"] + 1):
                result, status = self.http(task)
                # The pauses are left out.
                if not self.evaluated(task["retry"]["when"], result, status):
                    break
            name = None
            ended = status
            for transition in task["next"]:
                if self.evaluated(transition["when"], result, status):
                    for variable in transition.get("publish", []):
                        self.context.update(self.evaluated(variable, result, status))
                    name = transition.get("do")
                    break
            if name == "fail":
                return "failed", None
        output = {}
        for variable in self.spec["output"]:
            output.update(self.evaluated(variable))
        return ended, output


def action():
    before = operations()
    for _ in range(2):
        status, output = Workflow({"plan": PLAN, "url": URL}).conduct()
        assert (status, output["result"]) == ("succeeded", "success"), output
    assert operations() - before == {output["operation"]}, "an execution that is repeated tests once"
    status, _ = Workflow({"plan": "00000000-0000-0000-0000-000000000000", "url": URL}).conduct()
    assert status == "failed"
    print("guides: the StackStorm action tests a plan once and waits for its end")


def rule():
    definition = yaml.safe_load((PACK / "rules" / "failover_failed.yaml").read_text())
    body = settings("stackstorm/endpoint.json")
    trigger = definition["trigger"]
    assert trigger["type"] == "core.st2.webhook"
    assert body["url"].endswith(f"/api/v1/webhooks/{trigger['parameters']['url']}"), body["url"]
    receiver = Receiver()
    with registered({**body, "url": f"{receiver.url}/st2"}):
        session = failed_failover()
        ((headers, raw),) = receiver.at("/st2")
    assert headers["st2-api-key"] == body["headers"]["St2-Api-Key"]
    scope = {"trigger": {"body": json.loads(raw)}}

    def member(path):
        value = scope
        for name in path.split("."):
            value = value[name]
        return value

    for path, criterion in definition["criteria"].items():
        assert criterion["type"] == "eq" and member(path) == criterion["pattern"], (path, member(path))
    message = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(definition["action"]["parameters"]["message"])
    assert message.render(scope).startswith("ABC Company Failover Plan failed: "), message.render(scope)
    assert session in message.render(scope), message.render(scope)
    print("guides: the StackStorm rule fires when a failover has failed")


action()
rule()
