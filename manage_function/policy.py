"""HTTP: the learning policy."""

import azure.functions as func

from shared.api.policy import PolicyContract, read_policy
from shared.runtime.http import Call, Operation, answer


async def get(call: Call) -> func.HttpResponse:
    """Answer with the policy in force, as it is stored now."""
    settings = await call.services.configurator.read()
    return answer(200, PolicyContract.of(settings.policy))


async def put(call: Call) -> func.HttpResponse:
    """Explore by this policy from now on."""
    return answer(200, PolicyContract.of(await call.services.configurator.set_policy(read_policy(call.body))))


async def delete(call: Call) -> func.HttpResponse:
    """Go back to the app's own policy, and answer with it."""
    return answer(200, PolicyContract.of(await call.services.configurator.reset_policy()))


OPERATIONS = (
    Operation("policy_get", "GET", "configurations/policy", get),
    Operation("policy_put", "PUT", "configurations/policy", put),
    Operation("policy_delete", "DELETE", "configurations/policy", delete),
)
