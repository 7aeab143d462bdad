"""GET events on the wire: the latest ones, and how their rewards are spread."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from shared.api.paging import read_number, refuse
from shared.api.times import Time, read_time
from shared.api.wire import WireModel, one_of
from shared.domain.errors import InvalidRequestError
from shared.domain.events import LearningMode

DEFAULT_TOP: Final = 50
MOST: Final = 500
LONGEST_ACTION_ID: Final = 2_048


class EventBody(WireModel):
    """An event in short; ``GET events/{eventId}`` tells all of it."""

    event_id: str
    slot_id: str | None
    ranked_at: Time
    reward_action_id: str
    probability: float
    is_explored: bool
    model_version: str | None
    learning_mode: Annotated[str, one_of(LearningMode)]
    fate: Annotated[str, one_of(("pending", "learned", "skipped"))]
    reason: str | None
    reward: float | None
    default_reward_used: bool
    rewards: int
    late_rewards: int
    delay_seconds: float | None


class LookedAtBody(WireModel):
    """What the answer is made of: so many events, the newest ones of the time; ``isCut`` if there are more."""

    events: int
    since: Time | None
    until: Time | None
    is_cut: bool


class BinBody(WireModel):
    """How many values lie from ``low`` to below ``high``: at ``low`` where both are the same, without an end where ``high`` is null."""

    low: float
    high: float | None
    count: int


class EarnedBody(WireModel):
    """What learned events earned that a model chose; the version is null where no model did."""

    model_version: str | None
    events: int
    average_reward: float


class EventsResponse(WireModel):
    """The latest events that are wanted, and the spreads of all that were looked at."""

    value: list[EventBody]
    looked_at: LookedAtBody
    rewards: list[BinBody]
    delays: list[BinBody]
    models: list[EarnedBody]

    def to_wire(self) -> bytes:
        """Write as JSON; what is not known is null."""
        return self.model_dump_json(by_alias=True).encode()


class EventsQuery(WireModel):
    """Which events are wanted; null: whatever they are."""

    action: str | None = None
    rewarded: bool | None = None
    late: bool | None = None
    explored: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    top: int = DEFAULT_TOP


def read_events_query(params: Mapping[str, str]) -> EventsQuery:
    """Read the query; raises `InvalidRequestError`, naming the parameter."""
    top = read_number(params, "top", DEFAULT_TOP, lowest=1)
    if top > MOST:
        refuse("top", f"must be a whole number from 1 to {MOST}")
    action = params.get("action") or None
    if action is not None and len(action) > LONGEST_ACTION_ID:
        refuse("action", f"must have at most {LONGEST_ACTION_ID} characters")
    since, until = _time(params, "since"), _time(params, "until")
    if since is not None and until is not None and until <= since:
        refuse("until", "must be later than since")
    flags = {name: _flag(params, name) for name in ("rewarded", "late", "explored")}
    return EventsQuery(action=action, since=since, until=until, top=top, **flags)


def _flag(params: Mapping[str, str], name: str) -> bool | None:
    text = params.get(name, "").lower()
    if text not in ("", "true", "false"):
        refuse(name, "must be true or false")
    return None if not text else text == "true"


def _time(params: Mapping[str, str], name: str) -> datetime | None:
    if not params.get(name):
        return None
    try:
        return read_time(params[name])
    except ValueError as cause:
        raise InvalidRequestError(f"{name}: {cause}", target=name) from cause
