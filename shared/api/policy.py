"""The learning policy on the wire."""

from typing import Annotated

from pydantic import StringConstraints

from shared.api.wire import WireModel, parse
from shared.domain.errors import InvalidPolicyContractError
from shared.domain.loop import MAX_ARGUMENTS, MAX_POLICY_NAME, LearningPolicy


class PolicyContract(WireModel):
    """A policy's name and its arguments.

    `shared.learning.arguments` reads these.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_POLICY_NAME)]
    arguments: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ARGUMENTS)]

    def to_policy(self) -> LearningPolicy:
        """Give the policy."""
        return LearningPolicy(self.name, self.arguments)

    @staticmethod
    def of(policy: LearningPolicy) -> "PolicyContract":
        """Give the body for a policy."""
        return PolicyContract(name=policy.name, arguments=policy.arguments)


def read_policy(body: bytes) -> LearningPolicy:
    """Read a policy; raises `InvalidPolicyContractError`."""
    return parse(body, PolicyContract, InvalidPolicyContractError).to_policy()
