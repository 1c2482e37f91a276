"""One case of the tables -> what the translation makes of it."""

import copy
from typing import Any, Final

import orjson

from gateway.translate.contract import Context, LineError, Policy, Rendered, Translation
from gateway.translate.endpoints import ENDPOINTS
from tests.translate.checks import hints_of

CONTEXT: Final = Context(batch_id="batch_" + "0" * 32, line=17, created=1_790_000_000)


def translated(case: dict[str, Any]) -> Translation | LineError:
    """One request, everything made anew."""
    policy = Policy.from_json(case.get("policy", {}))
    body = copy.deepcopy(case["openai"])
    return ENDPOINTS[case["endpoint"]].to_gemini(body, policy, case["model"])


def rendered(case: dict[str, Any]) -> Rendered:
    """One answer, everything made anew."""
    path = case["endpoint"]
    policy = Policy.from_json(case.get("policy", {}))
    answers = copy.deepcopy(case["gemini"])
    context = CONTEXT._replace(policy=policy)
    return ENDPOINTS[path].from_gemini(told(path, case, policy), answers, context)


def told(path: str, case: dict[str, Any], policy: Policy) -> Any:
    """What the answer is told of its request: Responses repeat it, so they have a real one."""
    if path != "/v1/responses":
        schema = {"schema": orjson.dumps(case["schema"]).decode()} if "schema" in case else {}
        return {**case.get("echo", {"model": "m"}), **schema}
    body = {"model": "gemini-3.6-flash", "input": "Hi", **case.get("request", {})}
    made = ENDPOINTS[path].to_gemini(body, policy, body["model"])
    assert not isinstance(made, LineError), made
    return hints_of(made)
