"""What schemathesis cannot know from the document, since OpenAPI cannot say it. Kept to that: whatever a schema can
express belongs into the document.

`before_call` gives requests a chance to get further than 404 and to be the first of their kind; `filter_failure` accepts
refusals by the rules below, each of which the document states in words, and nothing else.
"""

import atexit
import collections
import itertools
import json
import os
import re
import urllib.error
import urllib.request
import zlib

import schemathesis
from hypothesis import strategies as st

URL = os.environ["EMGATE_URL"]
TOKEN = os.environ["EMGATE_TOKEN"]

# Details of refusals that no schema can foresee, and why.
RULES = [
    # Two parameters of which a request may have one.
    (r"cannot be (combined|given together)", "at most one of several"),
    # A key names one request; `before_call` makes collisions rare, replayed requests of the stateful phase remain.
    (r"the key came with another request before", "depends on earlier requests"),
    (r"must not lie in the future", "depends on the clock"),
    # PUT takes the plan as read.
    (r"cannot be changed here; ", "depends on the state of the plan"),
    (r"is needed when the command is enabled", "depends on another member"),
    # The grammar of filters nests, and their fields depend on the type.
    (r"^(filter: )?at position \d+: ", "a grammar that is not regular"),
    (r"must be true, unless startDate bounds the restore points", "depends on another member"),
    # What the text of an address leads to.
    (r"this is not a URL such as |^the URL ", "URLs are no regular language, and some lead where nothing may be sent"),
    (r"this event is not in the log", "depends on the log"),
    # Parameters that depend on `type`.
    (r"^sort(Asc|Desc): must be one of |must be one of [A-Z]\w+, ", "depends on the type"),
]
# The same where the body depends on the parameter `action`.
RULES_OF_ACTIONS = [
    (r"this takes no body", "some actions take none"),
    (r"a JSON body is required", "some actions need one"),
    (r"EM's \w+ has no such field", "a member of another action's body"),
    (r"is required", "the other way around"),
]

# How often each rule was needed; told at the end, so that one that hides something is seen.
used = collections.Counter()
atexit.register(lambda: [print(f"api-fuzz: accepted {count} times: {rule}") for rule, count in used.most_common()])

# Statuses that tell of state, not of form: a precondition that does not hold.
PRECONDITION = 412

FRESH = itertools.count()
PLAN = re.compile(r"^/api/v1/(cloud-)?failover-plans/\{planId\}$")
EDITABLE = ("description", "preFailoverCommand", "postFailoverCommand")
ID = "3f56fa52-c902-4655-9774-2022fde214d2"
KEY = re.compile(r"^[!-~]{1,255}$")
# The gateway has at most 500 endpoints; each event is compared with each.
MOST_ENDPOINTS = 100
ENDPOINTS = "/api/v1/webhook-endpoints"
endpoints = []
known = {}


def ask(path, method="GET"):
    """The gateway's answer as JSON; none when it is no success."""
    request = urllib.request.Request(URL + path, method=method, headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")
    except (urllib.error.HTTPError, ValueError):
        return None


def ids(collection):
    """Ids of what there is in a collection, asked for once."""
    if collection == ENDPOINTS:
        return endpoints
    if collection not in known:
        items = (ask(f"{collection}?pageSize=100") or {}).get("items", [])
        known[collection] = [item["id"] for item in items if isinstance(item, dict) and item.get("id")]
    return known[collection]


def is_positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def is_stateful(case):
    """Whether what the request is about comes from an earlier answer."""
    return case.meta.phase.name.value == "stateful"


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.path
    headers = case.headers or {}
    for name in headers:
        if name.lower() == "idempotency-key" and KEY.match(str(headers[name])):
            headers[name] = f"{headers[name][:200]}-{next(FRESH)}"
    if not is_positive(case):
        return
    # Most entity tags would end in 412. A tag that is none is what schemathesis falls back to where it finds no header
    # value of letters and digits alone.
    tags = next((name for name in headers if name.lower() == "if-match"), None)
    if tags and ('"' not in headers[tags] or next(FRESH) % 4):
        headers[tags] = "*"
    # Three of four requests are about something that is there.
    before, brace, rest = path.partition("/{")
    if brace and case.path_parameters and not is_stateful(case) and zlib.crc32(repr(case.path_parameters).encode()) % 4:
        there = ids(before)
        name = rest.partition("}")[0]
        if there and str(case.path_parameters.get(name)) not in there:
            case.path_parameters[name] = there[next(FRESH) % len(there)]
    # One order, one direction, and a filter that is one.
    query = case.query or {}
    for name, other in (("sortDesc", "sortAsc"), ("before", "after")):
        if name in query and other in query:
            del query[name]
    if "filter" in query:
        field = re.search(r"Fields: `(\w+)`", about(case, "filter"))
        if field:
            query["filter"] = f'{field[1]}=="{ID}"'
        else:
            for name in ("filter", "sortAsc", "sortDesc"):
                query.pop(name, None)
    # A plan is put back as it was read.
    if case.method.upper() == "PUT" and PLAN.match(path) and isinstance(case.body, dict):
        plan = ask(case.formatted_path)
        if plan:
            case.body = {**plan, **{name: case.body[name] for name in EDITABLE if plan[name] is not None}}


@schemathesis.hook
def after_call(context, case, response):
    """Removes the oldest endpoints, so that there is room for new ones."""
    if response.status_code == 201 and case.path == ENDPOINTS:
        endpoints.append(response.json()["id"])
        if len(endpoints) > MOST_ENDPOINTS:
            ask(f"{ENDPOINTS}/{endpoints.pop(0)}", "DELETE")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether it is one."""
    if failure.code == "ST202":
        if response.status_code == PRECONDITION:
            return accepted("a precondition that does not hold")
        problem = json.loads(response.content or b"{}")
        # Enterprise Manager knows more about its documents than its schema says.
        if problem.get("code") == "upstream-rejected":
            return accepted("what Enterprise Manager refuses")
        rules = RULES + RULES_OF_ACTIONS if has_actions(case) else RULES
        details = [fault["detail"] for fault in problem.get("errors", [])] or [problem.get("detail", "")]
        found = [next((pattern for pattern, _ in rules if re.search(pattern, detail)), None) for detail in details]
        return True if None in found else accepted(" and ".join(sorted(set(found))))
    # A precondition may be judged before the rest of a request.
    if failure.code == "ST201" and response.status_code == PRECONDITION:
        return accepted("a precondition that does not hold")
    if failure.code in ("ST104", "ST109") and not response.content and may_be_empty(case, response):
        return accepted("an answer that may be empty")
    return True


def accepted(rule):
    """Not a failure."""
    used[rule] += 1
    return False


def about(case, name):
    """What the document says of a parameter."""
    parameters = case.operation.definition.raw.get("parameters", [])
    return next((each.get("description", "") for each in parameters if each.get("name") == name), "")


def has_actions(case):
    """Whether the operation is several, told apart by a parameter."""
    parameters = case.operation.definition.raw.get("parameters", [])
    return any(parameter.get("name") == "action" for parameter in parameters)


def may_be_empty(case, response):
    """Whether the document says that this answer may have no body, which OpenAPI has no word for."""
    answers = case.operation.definition.raw.get("responses", {})
    answer = answers.get(str(response.status_code), {})
    return answer.get("x-may-be-empty") is True


# Addresses that may be delivered to, as far as their text tells; the gateway looks at what is behind a name.
schemathesis.openapi.format("uri", st.from_regex(r"https://[a-z]{1,20}\.example(/[a-z0-9]{0,20}){0,3}", fullmatch=True))
# Moments of the past.
schemathesis.openapi.format(
    "date-time",
    st.from_regex(r"20[01][0-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])", fullmatch=True),
)
