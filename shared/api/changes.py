"""What was changed in a loop, on the wire."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from shared.api.paging import read_number, refuse
from shared.api.times import Time
from shared.api.wire import WireModel, one_of
from shared.domain.changes import MOST_TOLD, Change, ChangeKind


class ChangedMemberBody(WireModel):
    """What was changed: a member of the configuration, the policy's arguments, the model's version, or a key, which is not told."""

    name: str
    old: str | None
    new: str | None


class ChangeBody(WireModel):
    """A change. ``isCertain`` is false where it was begun and no process has seen that it was stored."""

    changed_at: Time
    by: str
    kind: Annotated[str, one_of(ChangeKind)]
    members: list[ChangedMemberBody]
    is_certain: bool

    @staticmethod
    def write(change: Change) -> "ChangeBody":
        """Write a change."""
        members = [ChangedMemberBody(name=each.name, old=each.old, new=each.new) for each in change.members]
        return ChangeBody(changed_at=change.at, by=change.by, kind=change.kind.value, members=members, is_certain=change.is_certain)


class ChangesBody(WireModel):
    """The changes that are kept, newest first."""

    value: list[ChangeBody]

    def to_wire(self) -> bytes:
        """Write as JSON; what a member did not have is null."""
        return self.model_dump_json(by_alias=True).encode()

    @staticmethod
    def write(changes: Sequence[Change]) -> "ChangesBody":
        """Write changes."""
        return ChangesBody(value=[ChangeBody.write(each) for each in changes])


def read_top(params: Mapping[str, str]) -> int:
    """Read how many changes are wanted; raises `InvalidRequestError`."""
    top = read_number(params, "top", MOST_TOLD, lowest=1)
    if top > MOST_TOLD:
        refuse("top", f"must be a whole number from 1 to {MOST_TOLD}")
    return top
