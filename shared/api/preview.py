"""The preview of a change on the wire."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from shared.api.configuration import MAX_MEMBER, MAX_UNSET, ConfigurationChanges, read_changes, unset_fields
from shared.api.policy import PolicyContract
from shared.api.wire import WireModel, parse
from shared.domain.errors import InvalidRequestError


class PreviewRequest(WireModel):
    """The change that is thought of: any part of a configuration, and a policy; ``resetsPolicy`` stands for the app's own policy.

    ``unset`` names members of the configuration that would follow the app's settings again. ``keepsRetrainDays`` says that the days that
    are in force are to be the loop's own from now on, as if they were set.
    """

    model_config = ConfigDict(extra="forbid")

    configuration: Annotated[dict[str, Any], WithJsonSchema(ConfigurationChanges.model_json_schema())] | None = None
    policy: PolicyContract | None = None
    unset: Annotated[list[Annotated[str, StringConstraints(max_length=MAX_MEMBER)]], Field(max_length=MAX_UNSET)] | None = None
    resets_policy: bool = False
    keeps_retrain_days: bool = False

    def to_changes(self) -> dict[str, Any]:
        """Give the fields of `LoopSettings` that would be set; raises `InvalidConfigurationError`, in the words of the change itself."""
        return {} if self.configuration is None else read_changes(self.configuration, where=())

    def to_unset(self) -> list[str]:
        """Give the fields of `LoopSettings` that would be the app's again; raises `InvalidConfigurationError`."""
        return unset_fields(self.unset or [])


class PreviewResponse(WireModel):
    """What the change would do; ``message`` says it for people.

    ``events`` is what the next model will know, at least so many unless ``isExact``, ``ofEvents`` what the present one does.
    """

    is_learned_again: bool
    events: int
    of_events: int
    events_deleted: int
    is_exact: bool
    message: str


def read_preview(body: bytes) -> PreviewRequest:
    """Read the body; raises `InvalidRequestError`."""
    return parse(body, PreviewRequest, InvalidRequestError)
