"""The guides of chat services: their endpoints registered as they stand, and beside doubles of the services, which take a message
or answer as the pages' tables say; emgate has to do what stands there. Run by scripts/guides.sh."""
import json
import re
import tempfile
from contextlib import ExitStack

import yaml

from gateway import GUIDES, TOKEN, URL, Hiccups, Receiver, api, failed_failover, registered, run, settings, until

SERVICES = ["slack", "teams", "mattermost", "discord", "google-chat"]
# What each service says when it has the message, and the bytes that it takes.
TAKEN = {
    "slack": (200, "ok", 40_000),
    "teams": (202, "", 28_000),
    "mattermost": (200, "ok", 16_383),
    "discord": (200, '{"id": "1"}', 6_000),
    "google-chat": (200, "{}", 32_000),
}
ROW = re.compile(r"\| `(\d{3}) ?([^`]*)` \| ([^|]+) \| \*\*(.+?)\*\*([^|]*)\|")


def first_line(service):
    """What the page says that arrives."""
    return re.search(r"```text\n(.+)\n```", (GUIDES / f"{service}.md").read_text())[1]


def files():
    """Every body as it stands is an endpoint, of an address that looks like the service's."""
    names = sorted(path.name for path in (GUIDES / "chat").glob("*.json"))
    for name in names:
        with registered(settings(f"chat/{name}")) as made:
            assert made["warnings"] == [], f"{name}: {made['warnings']}"
            link = f"/webhook-endpoints/{made['id']}"
            shown = json.dumps(api("GET", link))
            assert "the-" not in shown, f"{name} shows its credential: {shown}"
            body = api("POST", f"{link}/preview", {"eventType": "failover.session.finished"})["body"]
            assert "Success: test of ABC Company Failover Plan" in body, body
    manifest = yaml.safe_load((GUIDES / "chat" / "slack-app.yaml").read_text())
    assert manifest["oauth_config"]["scopes"]["bot"] == ["incoming-webhook", "chat:write"], manifest
    print(f"guides: {len(names)} endpoints of chat services are accepted as they stand")


def connecting(receiver):
    """The script of the pages, beside a service that takes the message and one that does not."""
    for path, code, url in (("/tried/slack", 0, Hiccups().url), ("/refused/slack", 1, URL)):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({**settings("chat/slack.json"), "url": receiver.url + path}, file)
            file.flush()
            script = str(GUIDES / "chat" / "connect.sh")
            played = run(["bash", script, file.name], EMGATE_SERVER=url, EMGATE_TOKEN=TOKEN)
        assert played.returncode == code, played.stdout + played.stderr
        assert "warning: this does not look like an address of Slack" in played.stdout, played.stdout
        told = "it answered 200 ok\nThe test was delivered." if code == 0 else "it answered 404 no_service"
        assert told in played.stdout, played.stdout
        made = re.search(r"endpoint (ep_\S+)", played.stdout)[1]
        api("DELETE", f"/webhook-endpoints/{made}")
    print("guides: connect.sh makes an endpoint, sends a test and tells what came of it")


def outcome(delivery, endpoint):
    """What emgate did about an answer, in the word of the tables."""
    attempt = delivery["attempts"][0] if delivery["attempts"] else {}
    if not endpoint["enabled"]:
        return "disables"
    if delivery["state"] == "delivered":
        return "warns" if attempt["warning"] else "delivered"
    assert delivery["state"] == "pending", delivery
    if endpoint["health"] == "down":
        return "asks once an hour"
    return "waits" if attempt["status"] == 429 or attempt["error"] == "throttled" else "sends again"


def tables(receiver, answers):
    """One failover that fails, told to a double for each row, and to one for each service that takes it."""
    rows, made = [], {}
    with ExitStack() as stack:

        def register(path, service):
            wanted = {**settings(f"chat/{service}.json"), "url": receiver.url + path}
            wanted["eventTypes"] = ["failover.session.finished"]
            return stack.enter_context(registered(wanted))["id"]

        for service in SERVICES:
            found = ROW.findall((GUIDES / f"{service}.md").read_text())
            assert len(found) >= 4, f"{service}: {found}"
            for status, text, because, does, _ in found:
                path = f"/row/{len(rows)}"
                answers[path] = (int(status), {"Retry-After": "30"} if status == "429" else {}, text)
                rows.append((service, f"{status} {text}", because.strip(), does))
                made[register(path, service)] = len(rows) - 1
            register(f"/taken/{service}", service)
        failed_failover()

        def attempted(list):
            mine = [item for item in list["items"] if item["endpointId"] in made]
            done = [item for item in mine if item["state"] != "sending" and (item["attempts"] or item["state"] == "held")]
            return len(done) == len(made)

        list = until("/webhook-deliveries?eventType=failover.session.finished&pageSize=100", attempted)
        endpoints = {item["id"]: item for item in api("GET", "/webhook-endpoints?pageSize=100")["items"]}
        for delivery in list["items"]:
            if delivery["endpointId"] in made:
                service, answer, _, does = rows[made[delivery["endpointId"]]]
                seen = outcome(delivery, endpoints[delivery["endpointId"]])
                assert seen == does, f"{service}.md: after {answer} emgate {seen}: {delivery}"
        reasons = told(made)
        for id, row in made.items():
            service, answer, because, does = rows[row]
            if does in ("disables", "asks once an hour"):
                assert because.split(":")[0] in reasons[id], f"{service}.md: after {answer} emgate says {reasons[id]}"
        for service in SERVICES:
            ((headers, body),) = receiver.at(f"/taken/{service}")
            text = body.decode().replace("\\\\", "")
            assert first_line(service) in text, f"{service}: {text}"
            assert len(body) <= TAKEN[service][2] and headers["content-type"].startswith("application/json")
            assert "filesrv06" in text and "no free address" in text, text
            json.loads(body)
    print(f"guides: emgate does about {len(rows)} answers of chat services what the pages say")


def told(made):
    """The reasons of endpoints that are down, as the event log has them."""
    reasons, after = {}, "/events?pageSize=100"
    while after:
        page = api("GET", after)
        for event in page["items"]:
            if event["type"] in ("webhook.endpoint.failing", "webhook.endpoint.disabled"):
                endpoint = event["data"]["endpoint"]
                if endpoint["id"] in made:
                    reasons[endpoint["id"]] = endpoint["reason"]
        after = (page["page"]["next"] or "").removeprefix("/api/v1")
    return reasons


ANSWERS = {f"/taken/{service}": (status, {}, text) for service, (status, text, _) in TAKEN.items()}
ANSWERS["/tried/slack"] = ANSWERS["/taken/slack"]
ANSWERS["/refused/slack"] = (404, {}, "no_service")
double = Receiver(lambda path: ANSWERS[path.split("?")[0]])
files()
connecting(double)
tables(double, ANSWERS)
