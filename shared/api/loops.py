"""Loops on the wire."""

from typing import Annotated, Any

from pydantic import ConfigDict, WithJsonSchema

from shared.api.configuration import ConfigurationChanges, ConfigurationResponse, read_changes, write_configuration
from shared.api.times import Time
from shared.api.wire import WireModel, one_of, parse
from shared.domain.errors import InvalidRequestError
from shared.domain.loop import LoopRecord, LoopSettings, Tier


class LoopRequest(WireModel):
    """The body of PUT loops/{loop}: ``configuration`` is any part of a service configuration."""

    model_config = ConfigDict(extra="forbid")

    tier: Annotated[str, one_of(Tier)] | None = None
    configuration: Annotated[dict[str, Any], WithJsonSchema(ConfigurationChanges.model_json_schema())] | None = None

    def to_tier(self) -> Tier | None:
        """Give the tier; raises `InvalidRequestError`."""
        if self.tier is None:
            return None
        if self.tier.upper() not in Tier.__members__:
            raise InvalidRequestError(f"tier: must be one of {', '.join(Tier)}", target="tier")
        return Tier[self.tier.upper()]

    def to_changes(self) -> dict[str, Any]:
        """Give the fields of `LoopSettings` that are set; raises `InvalidConfigurationError`."""
        return {} if self.configuration is None else read_changes(self.configuration)


class LoopBody(WireModel):
    """A loop that is there; ``keys`` only where they are new."""

    name: str
    endpoint: str
    tier: Annotated[str, one_of(Tier)]
    created_at: Time | None
    configuration: ConfigurationResponse
    keys: list[str] | None = None


class LoopsResponse(WireModel):
    """All loops."""

    value: list[LoopBody]


class KeyResponse(WireModel):
    """A key that was made, which is told this once; a client key has no number."""

    number: int | None = None
    key: str


def read_loop(body: bytes) -> LoopRequest:
    """Read the body of PUT loops/{loop}; none at all asks for a loop with the defaults. Raises `InvalidRequestError`."""
    return parse(body, LoopRequest, InvalidRequestError) if body else LoopRequest()


def write_loop(record: LoopRecord, settings: LoopSettings, *, endpoint: str, version: str, keys: tuple[str, ...] = ()) -> LoopBody:
    """Give the body for a loop."""
    return LoopBody(
        name=record.name,
        endpoint=endpoint,
        tier=record.tier.value,
        created_at=record.created_at,
        configuration=write_configuration(settings, version),
        keys=list(keys) or None,
    )
