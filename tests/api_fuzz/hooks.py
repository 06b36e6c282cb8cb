"""What schemathesis cannot know from the document, since OpenAPI cannot say it. Kept to that: whatever a schema can
express belongs into the document.

`before_call` gives requests a chance to get further than 404 and to be the first of their kind; `filter_failure` accepts
refusals by the rules below, each of which the document states in words, and nothing else.
"""

import atexit
import collections
import datetime
import itertools
import json
import os
import re
import urllib.error
import urllib.request
import zlib

import schemathesis
from hypothesis import strategies as st

URL = os.environ["EMGATE_SERVER"]
TOKEN = os.environ["EMGATE_TOKEN"]

# Details of refusals that no schema can foresee, and why.
RULES = [
    # Two parameters of which a request may have one.
    (r"cannot be (combined|given together)", "at most one of several"),
    # A key names one request; `before_call` makes collisions rare, replayed requests of the stateful phase remain.
    (r"the key was used for another request", "depends on earlier requests"),
    (r"must not be in the future", "depends on the clock"),
    (r"only test and start take a purpose", "depends on the action"),
    (r"entries about this failover already", "depends on earlier requests"),
    # When a plan is tested by itself.
    (r"is no cron expression|must be five fields|is never due within", "cron expressions are no regular language"),
    (r"is no time zone of the IANA database", "names of a list that is long, and not the gateway's"),
    (r"a test that is scheduled follows no incident|a test is no real failover", "depends on the operation"),
    # PUT takes the plan as read.
    (r"cannot be changed here; ", "depends on the state of the plan"),
    (r"is needed when the command is enabled", "depends on another member"),
    (r"give secret or secretText, not both", "at most one of several"),
    # What an endpoint's format takes beside its URL.
    (r"only the format|needs no bot|needs the integration's routing key", "depends on another member"),
    (r"a bot has a token|a bot writes |the bot of this format has", "depends on another member"),
    (r"belongs to a template", "depends on another member"),
    (r" \(with the example of |the result is not JSON|line \d+, column \d+", "templates are no regular language"),
    # Names of headers count in any letter case.
    (r"name the same header", "names of members that differ in case alone"),
    # The grammar of filters nests, and their fields depend on the type.
    (r"^(filter: )?at position \d+: ", "a grammar that is not regular"),
    (r"must be true, unless startDate bounds the restore points", "depends on another member"),
    # What the text of an address leads to.
    (r"this is not a URL such as |^the URL |^the proxy |^a proxy's URL ", "URLs are no regular language, and some lead where nothing may be sent"),
    (r"this event is not in the log", "depends on the log"),
    (r"no tenant that you see has this id or exact name", "depends on the tenants"),
    (r"in PEM|not PEM|cannot be an authority|does not belong to the certificate", "PEM is no regular language"),
    (r"is needed beside its key|certificate has a private key", "depends on another member"),
    # Parameters that depend on `type`.
    (r"^sort(Asc|Desc): must be one of |must be one of [A-Z]\w+, ", "depends on the type"),
]
# The same where the body depends on the parameter `action`.
RULES_OF_ACTIONS = [
    (r"this request has no body", "some actions take none"),
    (r"a JSON body is required", "some actions need one"),
    (r"EM's \w+ has no such field", "a member of another action's body"),
    (r"is required", "the other way around"),
]

# How often each rule was needed; told at the end, so that one that hides something is seen.
used = collections.Counter()
atexit.register(lambda: [print(f"api-fuzz: accepted {count} times: {rule}") for rule, count in used.most_common()])

# Statuses that tell of state, not of form: a precondition that does not hold.
PRECONDITION = 412
TAGS = re.compile(r'^(?:W/)?"[!#-~]*"(?:[ \t]*,[ \t]*(?:W/)?"[!#-~]*")*$')

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
# The entity tags that resources had just before a request that names some, by case.
tags_before = {}


def answer_to(path, method="GET"):
    """The gateway's answer as JSON, and its entity tag; none when it is no success."""
    request = urllib.request.Request(URL + path, method=method, headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null"), answer.headers["ETag"]
    except (urllib.error.HTTPError, ValueError):
        return None, None


def ask(path, method="GET"):
    """The gateway's answer as JSON; none when it is no success."""
    return answer_to(path, method)[0]


def if_match(headers):
    """The name under which the precondition was sent."""
    return next((name for name in headers if name.lower() == "if-match"), None)


def is_stale(case, sent):
    """Whether a precondition names another state than the resource had; what cannot be read has none that was named."""
    if sent is None or not TAGS.match(sent):
        return False
    # Compared strongly: a weak tag is never the same (RFC 9110, section 13.1.1).
    return tags_before.get(case.id) not in re.split(r"[ \t]*,[ \t]*", sent)


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
    # A tag that is none is what schemathesis falls back to where it finds no header value of letters and digits alone;
    # whatever else is wrong with a request would hide behind it.
    tags = if_match(headers)
    if tags and not TAGS.match(str(headers[tags])) and wrong_parameter(case) != tags:
        headers[tags] = "*"
    if not is_positive(case):
        return
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
    # Where a precondition may be named, a quarter of the requests each: none, any state, the present one, another.
    if takes(case, "If-Match"):
        if tags:
            del headers[tags]
        turn = next(FRESH) % 4
        if turn == 1:
            headers["If-Match"] = "*"
        elif turn > 1:
            _, present = answer_to(case.formatted_path)
            tags_before[case.id] = present
            headers["If-Match"] = present if turn == 2 and present else f'"{next(FRESH)}"'
        case.headers = headers
    # Every other schedule is one, and not due for long.
    if case.method.upper() == "PUT" and path.endswith("/schedule") and isinstance(case.body, dict) and next(FRESH) % 2:
        case.body = {**case.body, "cron": "0 3 29 2 *", "timeZone": "Europe/Berlin"}
    # Every other plan is put back as it was read.
    if case.method.upper() == "PUT" and PLAN.match(path) and isinstance(case.body, dict) and next(FRESH) % 2:
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
    sent = response.request.headers.get("If-Match")
    if failure.code in ("ST201", "ST202") and response.status_code == PRECONDITION:
        return True if not is_stale(case, sent) else accepted("a precondition that does not hold")
    if failure.code == "ST201" and rehearsed(response):
        return accepted("a dry run answers 200 and says what would be refused")
    if failure.code == "ST202":
        problem = json.loads(response.content or b"{}")
        rules = RULES + RULES_OF_ACTIONS if has_actions(case) else RULES
        faults = problem.get("errors", []) or [problem]
        found = [next((rule[0] for rule in rules if re.search(rule[0], fault.get("detail", ""))), None) for fault in faults]
        if None in found or any(is_untrue(case, fault) for fault in faults):
            return True
        return accepted(" and ".join(sorted(set(found))))
    if failure.code in ("ST104", "ST109") and not response.content and may_be_empty(case, response):
        return accepted("an answer that may be empty")
    return True


def is_untrue(case, fault):
    """Whether a fault says of a plan's member that it may not be changed, and it was sent as the plan has it."""
    if "cannot be changed here; " not in fault["detail"]:
        return False
    sent, is_now = case.body, ask(case.formatted_path)
    for part in fault.get("pointer", "").split("/")[1:]:
        if not isinstance(sent, dict) or part not in sent or not isinstance(is_now, dict):
            return False
        sent, is_now = sent[part], is_now.get(part)
    return sent == is_now


@schemathesis.check
def preconditions_hold(context, response, case):
    """A change whose precondition does not hold is not made."""
    changes = response.request.method in ("PUT", "PATCH", "POST", "DELETE")
    if changes and response.status_code < 300 and is_stale(case, response.request.headers.get("If-Match")):
        if "precondition-failed" in rehearsed(response):
            return
        raise AssertionError(f"If-Match named another state than {tags_before[case.id]}, and {response.status_code} came")


def rehearsed(response):
    """The codes of the problems that a dry run tells: it changes nothing and answers 200."""
    body = json.loads(response.content or b"{}") if response.status_code == 200 else {}
    return [problem["code"] for problem in body["problems"]] if "wouldBe" in body else []


def accepted(rule):
    """Not a failure."""
    used[rule] += 1
    return False


def about(case, name):
    """What the document says of a parameter."""
    parameters = case.operation.definition.raw.get("parameters", [])
    return next((each.get("description", "") for each in parameters if each.get("name") == name), "")


def takes(case, name):
    """Whether the document has a parameter of this name for the operation."""
    return any(parameter.name == name for parameter in case.operation.iter_parameters())


def has_actions(case):
    """Whether the operation is several, told apart by a parameter."""
    return takes(case, "action")


def wrong_parameter(case):
    """The parameter that was made wrong on purpose, as far as that is known."""
    return getattr(case.meta.phase.data, "parameter", None) if case.meta else None


def may_be_empty(case, response):
    """Whether the document says that this answer may have no body, which OpenAPI has no word for."""
    answers = case.operation.definition.raw.get("responses", {})
    answer = answers.get(str(response.status_code), {})
    return answer.get("x-may-be-empty") is True


# Addresses that may be delivered to, as far as their text tells; the gateway looks at what is behind a name. Built and
# not drawn from a regular expression, which takes seconds to prepare.
WORD = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20)
PATH = st.lists(st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=20), max_size=3)
schemathesis.openapi.format(
    "uri", st.builds(lambda host, path: "/".join([f"https://{host}.example", *path]), WORD, PATH)
)
# Moments of the past.
schemathesis.openapi.format(
    "date-time",
    st.builds(
        lambda moment, zone: moment.isoformat() + zone,
        st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2019, 12, 28)),
        st.sampled_from(["Z", "+00:00", "+02:00", "-09:30", "+13:45"]),
    ),
)
