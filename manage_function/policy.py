"""HTTP: the learning policy."""

from collections.abc import Mapping

import azure.functions as func

from shared.api.conditions import etag, read_condition
from shared.api.policy import PolicyContract, read_policy
from shared.domain.errors import InvalidPolicyConfigurationError
from shared.domain.loop import LearningPolicy
from shared.learning.arguments import without_effect
from shared.runtime.http import Call, Operation, answer
from shared.services.loops.configuring import policy_tag

WITHOUT_EFFECT = "x-personalizer-without-effect"


async def get(call: Call) -> func.HttpResponse:
    """Answer with the policy in force, as it is stored now."""
    return _answer((await call.services.configurator.read()).policy)


async def put(call: Call) -> func.HttpResponse:
    """Explore by this policy from now on."""
    return _answer(await call.services.configurator.set_policy(read_policy(call.body), only_if=read_condition(call.request.headers)))


async def delete(call: Call) -> func.HttpResponse:
    """Go back to the app's own policy, and answer with it."""
    return _answer(await call.services.configurator.reset_policy(only_if=read_condition(call.request.headers)))


def _answer(policy: LearningPolicy) -> func.HttpResponse:
    """Answer with a policy and its tag, and name in a header which of its options are taken without effect."""
    return answer(200, PolicyContract.of(policy), headers={**etag(policy_tag(policy)), **_told(policy.arguments)})


def _told(arguments: str) -> Mapping[str, str]:
    try:
        idle = without_effect(arguments)
    except InvalidPolicyConfigurationError:  # of a later release
        return {}
    return {WITHOUT_EFFECT: ", ".join(idle)} if idle else {}


OPERATIONS = (
    Operation("policy_get", "GET", "configurations/policy", get),
    Operation("policy_put", "PUT", "configurations/policy", put),
    Operation("policy_delete", "DELETE", "configurations/policy", delete),
)
