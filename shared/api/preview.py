"""The preview of a change on the wire."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from shared.api.configuration import MAX_MEMBER, MAX_UNSET, ConfigurationChanges, read_changes, unset_fields, write_configuration
from shared.api.policy import PolicyContract
from shared.api.wire import WireModel, parse
from shared.domain.errors import InvalidRequestError
from shared.domain.loop import LoopSettings

Value = str | int | float | bool | None
"""What a member of a configuration may hold."""


class PreviewRequest(WireModel):
    """The change that is thought of: any part of a configuration, and a policy; ``resetsPolicy`` stands for the app's own policy.

    ``unset`` names members of the configuration that would follow the app's settings again. ``ownsUnchanged`` asks for what
    ``POST configurations/set`` does: members that are sent as they are in force become the loop's own as well.
    """

    model_config = ConfigDict(extra="forbid")

    configuration: Annotated[dict[str, Any], WithJsonSchema(ConfigurationChanges.model_json_schema())] | None = None
    policy: PolicyContract | None = None
    unset: Annotated[list[Annotated[str, StringConstraints(max_length=MAX_MEMBER)]], Field(max_length=MAX_UNSET)] | None = None
    resets_policy: bool = False
    owns_unchanged: bool = False

    def to_changes(self) -> dict[str, Any]:
        """Give the fields of `LoopSettings` that would be set; raises `InvalidConfigurationError`, in the words of the change itself."""
        return {} if self.configuration is None else read_changes(self.configuration, where=())

    def to_unset(self) -> list[str]:
        """Give the fields of `LoopSettings` that would be the app's again; raises `InvalidConfigurationError`."""
        return unset_fields(self.unset or [])


class ChangedMember(WireModel):
    """A member of the configuration that would have another value: what it is now, and what it would be."""

    member: str
    before: Value
    after: Value


class PreviewResponse(WireModel):
    """The effect of the change; ``message`` says it for people, and ``changes`` has the values.

    ``events`` is what the next model will know, at least so many unless ``isExact``, ``ofEvents`` what the present one does. Where it
    ``isLossy``, something that was learned or logged is lost by it, now or in time, or may be: ask before such a change.
    """

    is_learned_again: bool
    events: int
    of_events: int
    events_deleted: int
    is_exact: bool
    is_lossy: bool
    message: str
    changes: list[ChangedMember]


class LoopPreviewResponse(PreviewResponse):
    """The effect that PUT loops/{loop} would have: make the loop, unless it ``isThere``, or change it.

    A change of its tier is one of the ``changes``.
    """

    is_there: bool


def read_preview(body: bytes) -> PreviewRequest:
    """Read the body; raises `InvalidRequestError`."""
    return parse(body, PreviewRequest, InvalidRequestError)


def changed_members(before: LoopSettings, after: LoopSettings) -> list[ChangedMember]:
    """List the members of the configuration and of the policy that are another afterwards.

    >>> changed_members(LoopSettings(), LoopSettings(default_reward=0.5))
    [ChangedMember(member='defaultReward', before=0.0, after=0.5)]
    """
    old, new = _members(before), _members(after)
    return [ChangedMember(member=name, before=old[name], after=new[name]) for name in old if old[name] != new[name]]


def _members(settings: LoopSettings) -> dict[str, Value]:
    told = write_configuration(replace(settings, edited_at=None), "2022-09-01-preview").model_dump(by_alias=True, mode="json")
    return {**told, "policy.name": settings.policy.name, "policy.arguments": settings.policy.arguments}
