"""Event-Driven Ansible: a real delivery against the check of the source ansible.eda.webhook, the rule's condition, and the
playbook run by ansible-core. ansible-rulebook itself, which needs Java, is not run. Run by scripts/guides.sh."""
import hashlib
import hmac
import json
import secrets
import sys
from pathlib import Path

import jinja2
import jinja2.nativetypes
import yaml

from gateway import GUIDES, Receiver, api, failed_failover, registered, run, settings

FOLDER = GUIDES / "event-driven-ansible"


def believed(source, headers, body):
    """What the source does with a request, line by line: a header with or without the algorithm's name, hexadecimal digits of
    the HMAC of the body as text, by the secret's own characters."""
    given = headers.get(source["hmac_header"])
    if given is None:
        return False
    given = given.strip().removeprefix(f"{source['hmac_algo']}=")
    text = body.decode("utf-8")
    made = hmac.new(source["hmac_secret"].encode(), text.encode(), source["hmac_algo"])
    assert source["hmac_format"] == "hex" and source["hmac_algo"] in hashlib.algorithms_available
    return hmac.compare_digest(given, made.hexdigest())


class Members(dict):
    """An object whose members are reached by a dot, as in conditions."""

    __getattr__ = dict.__getitem__


(rulebook,) = yaml.safe_load((FOLDER / "rulebook.yml").read_text())
(source,) = [source["ansible.eda.webhook"] for source in rulebook["sources"]]
(rule,) = rulebook["rules"]
as_it_stands = settings("event-driven-ansible/endpoint.json")
refusal = api("POST", "/webhook-endpoints", as_it_stands, expected=(422,))
assert refusal["errors"][0]["pointer"] == "/secretText", "whoever forgets the secret is told"
endpoint = {**as_it_stands, "secretText": secrets.token_urlsafe(24)}
receiver = Receiver()
with registered({**endpoint, "url": f"{receiver.url}/emgate"}):
    session = failed_failover()
    ((headers, body),) = receiver.at("/emgate")

assert source["hmac_secret"] == "{{ EMGATE_SECRET }}"
source = {**source, "hmac_secret": endpoint["secretText"]}
assert believed(source, headers, body)
assert not believed(source, headers, body + b" "), "a changed body"
assert not believed({**source, "hmac_secret": "another secret of 24 characters"}, headers, body)
assert not believed(source, {}, body), "no signature"

# As the source puts it into the queue.
meta = {"endpoint": "emgate", "headers": dict(headers)}
event = json.loads(json.dumps({"payload": json.loads(body), "meta": meta}), object_hook=Members)
assert eval(rule["condition"], {"event": event}), "the rule does not fire"
for path in rule["throttle"]["group_by_attributes"]:
    assert eval(path, {"event": event}) == session
event.payload.data.session["result"] = "success"
assert not eval(rule["condition"], {"event": event}), "the rule fires for a success"
event.payload.data.session["result"] = "failed"

play = rule["action"]["run_playbook"]
assert play["name"] == "follow-up.yml"
native = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
variables = {name: native.from_string(text).render(event=event) for name, text in play["extra_vars"].items()}
playbook = Path(sys.executable).with_name("ansible-playbook")
played = run([playbook, FOLDER / play["name"], "-e", json.dumps(variables)])
assert played.returncode == 0, played.stdout + played.stderr
told = f"ABC Company Failover Plan: failed, "
assert told in played.stdout and f"({headers['webhook-id']})" in played.stdout, played.stdout
print("guides: the Event-Driven Ansible rulebook believes the gateway, and its playbook tells what failed")
