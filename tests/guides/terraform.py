"""The endpoints of docs/guides/terraform, through the requests that the provider Mastercard/restapi makes of them: POST, GET,
PUT of the whole data, GET, DELETE. Terraform and the provider are not run. Run by scripts/guides.sh."""
import json
import re

import hcl2

from gateway import GUIDES, TOKEN, URL, ask

with (GUIDES / "terraform" / "main.tf").open() as text:
    document = hcl2.load(text)
VARIABLES = {"emgate_token": TOKEN, "slack_url": "https://hooks.slack.com/services/T00000000/B00000000/X0X0X0X0"}


def bare(value):
    """A value without the quotation marks of its source, and with the variables that it names."""
    if isinstance(value, dict):
        return {bare(name): bare(member) for name, member in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [bare(item) for item in value]
    if not isinstance(value, str):
        return value
    encoded = re.fullmatch(r"\$\{jsonencode\((.*)\)\}", value, re.DOTALL)
    if encoded:
        return bare(hcl2.loads(f"it = {encoded[1]}\n")["it"])
    value = re.sub(r"\$\{var\.(\w+)\}", lambda name: VARIABLES[name[1]], value)
    return value[1:-1] if value.startswith('"') else value


provider = bare(document["provider"][0])["restapi"]
assert provider["write_returns_object"] is True and provider["id_attribute"] == "id", provider
resources = {}
for kind in document["resource"]:
    resources.update(bare(kind)["restapi_object"])


def request(method, path, data=None):
    address = provider["uri"].replace("https://dr.example", URL) + path
    body = None if data is None else json.dumps(data).encode()
    return ask(method, address, provider["headers"], body)


def drift(wanted, read, additions, ignored):
    """The members that the provider would change back, as its comparison finds them; with `additions` also the server's own."""
    found = []
    for name, value in wanted.items():
        if name in ignored:
            continue
        if isinstance(value, dict) and isinstance(read.get(name), dict):
            inner = [path.removeprefix(f"{name}.") for path in ignored if path.startswith(f"{name}.")]
            found += [f"{name}.{path}" for path in drift(value, read[name], additions, inner)]
        elif read.get(name) != value:
            found.append(name)
    if additions:
        found += [name for name in read if name not in wanted and name not in ignored]
    return found


for name, resource in resources.items():
    path, data, ignored = resource["path"], resource["data"], resource.get("ignore_changes_to", [])
    additions = not resource["ignore_server_additions"]
    status, made = request("POST", path, data)
    assert status == 201, made
    assert made["secret"].startswith("whsec_"), made
    own = f"{path}/{made[provider['id_attribute']]}"
    status, read = request("GET", own)
    assert (status, drift(data, read, additions, ignored)) == (200, []), (name, read)
    assert "health" in drift(data, read, True, []), "the comparison finds nothing"
    changed = {**data, "description": "changed"}
    assert drift(changed, read, additions, ignored) == ["description"]
    status, answer = request("PUT", own, changed)
    assert status == 200 and "secret" not in answer, answer
    status, read = request("GET", own)
    assert (status, drift(changed, read, additions, ignored)) == (200, []), (name, read)
    _, kept = request("GET", f"{own}/secret")
    assert kept["secret"] == made["secret"], "a PUT keeps the secret"
    assert request("DELETE", own)[0] == 204
    assert request("GET", own)[0] == 404, "an endpoint that somebody removed is made anew"
assert "url" in resources["slack"]["ignore_changes_to"]
(output,) = document["output"]
assert "restapi_object.portal.create_response).secret" in str(output), output
print(f"guides: Terraform's requests make, change and remove {len(resources)} endpoints, and find no drift")
