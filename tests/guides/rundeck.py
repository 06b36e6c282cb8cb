"""Rundeck: the job's script as Rundeck runs it, and what a webhook brings. Run by scripts/guides.sh."""
import json
import re
import shlex

import yaml

from gateway import GUIDES, PLAN, TOKEN, URL, Hiccups, Receiver, failed_failover, operations, registered, run, settings


def job():
    (definition,) = yaml.safe_load((GUIDES / "rundeck" / "test-plan.yaml").read_text())
    options = {option["name"]: option for option in definition["options"]}
    token = options["token"]
    assert token["secure"] and token["valueExposed"] and token["storagePath"].startswith("keys/"), token
    (step,) = definition["sequence"]["commands"]

    def play(execution, **given):
        values = {"url": URL, "plan": PLAN, "token": TOKEN, **given}
        assert values.keys() == options.keys(), options
        environment = {f"RD_OPTION_{name.upper()}": value for name, value in values.items()}
        return run(["bash", "-c", step["script"]], RD_JOB_EXECID=execution, RD_JOB_PROJECT="dr", **environment)

    before = operations()
    for url in (Hiccups().url, URL):
        played = play("17", url=url)
        assert played.returncode == 0 and "ABC Company Failover Plan: success" in played.stdout, played.stdout + played.stderr
    assert len(operations() - before) == 1, "an execution that is repeated tests once"
    played = play("18", plan="00000000-0000-0000-0000-000000000000")
    assert played.returncode == 1 and "the failover plan was not found" in played.stderr, played.stdout + played.stderr
    print("guides: the Rundeck job tests a plan once and waits for its end")


def webhook():
    """The handler "Run Job" puts members of the body into the job's options."""
    options = (GUIDES / "rundeck" / "run-job-options.txt").read_text()
    body = settings("rundeck/endpoint.json")
    receiver = Receiver()
    with registered({**body, "url": f"{receiver.url}/rundeck"}):
        failed_failover()
        ((headers, raw),) = receiver.at("/rundeck")
    assert headers["authorization"] == body["headers"]["Authorization"]
    scope = {"data": json.loads(raw)}

    def member(match):
        value = scope
        for name in match[1].split("."):
            value = value[name]
        return value

    words = shlex.split(re.sub(r"\$\{([\w.]+)\}", member, options))
    assert words[:4] == ["-plan", "ABC Company Failover Plan", "-result", "failed"], words
    assert words[4] == "-session" and len(words) == 6, words
    print("guides: Rundeck's webhook gets what the job's options name")


job()
webhook()
