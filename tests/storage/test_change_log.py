"""The list of what was changed in a loop: no change without a word of it, whoever dies; bounded; read by later releases."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from shared.domain.changes import MOST_TOLD, Change, ChangeKind, Member
from shared.domain.errors import ConflictError, NewerFormatError
from shared.domain.loop import LoopRecord
from shared.storage import names
from shared.storage.change_log import FORMAT, LARGEST, FileChangeLog
from shared.storage.files import Files
from shared.storage.loop_store import FileLoopStore
from tests.builders import T0
from tests.stores import overwrite

BEFORE, AFTER = LoopRecord("default"), LoopRecord("default", {"default_reward": 0.5})


class Killed(BaseException):
    """The end of the process."""


def change(number: int = 0, *, text: str = "0.5") -> Change:
    return Change(T0 + timedelta(seconds=number), "key 1", ChangeKind.SETTINGS, (Member("defaultReward", "0", text),), id=f"{number}")


@pytest.fixture
def store(account) -> FileLoopStore:
    return FileLoopStore(account)


@pytest.fixture
def log(account) -> FileChangeLog:
    return FileChangeLog(Files(account, names.MODELS), loop="default")


async def test_a_change_is_told_with_who_when_and_from_what_to_what(store):
    await store.write(AFTER, expected=None, change=change())
    assert await store.changes(AFTER) == [replace(change(), is_certain=True)]


async def test_a_change_that_another_came_before_leaves_nothing(store):
    await store.write(BEFORE, expected=None)
    with pytest.raises(ConflictError):
        await store.write(AFTER, expected='"0x1"', change=change())
    assert await store.changes(BEFORE) == []


class Dying(Files):
    """Files of a process that dies at a write: before it, or when it is done."""

    def __init__(self, account, *, at: int, is_done: bool) -> None:
        super().__init__(account, names.MODELS)
        self.left, self.is_done = at, is_done

    async def replace(self, name, data, *, expected, metadata=None):
        if self.left:
            self.left -= 1
            return await super().replace(name, data, expected=expected, metadata=metadata)
        if self.is_done:
            await super().replace(name, data, expected=expected, metadata=metadata)
        raise Killed


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2], ids=["noting", "changing", "confirming"])
async def test_whoever_dies_at_any_write_leaves_no_change_untold_and_the_next_reader_confirms_it(account, store, at, is_done):
    dying = FileLoopStore(account)
    dying._files = Dying(account, at=at, is_done=is_done)
    with pytest.raises(Killed):
        await dying.write(AFTER, expected=None, change=change())
    stored = await store.read("default")
    told = await store.changes(stored[0] if stored else BEFORE)
    if stored:
        assert told == [replace(change(), is_certain=True)]
    else:
        assert [each.is_certain for each in told] in ([], [False]), "it was begun, and never made"


async def test_what_the_next_change_confirms_stays_confirmed(log, store):
    await log.begin(change(1), leaves=b"a record")
    await log.begin(change(2), present=b"a record")
    assert [each.is_certain for each in await log.read()] == [True, False]


async def test_a_note_whose_record_is_not_there_is_not_confirmed_by_another_record(log):
    await log.begin(change(1), leaves=b"a record")
    assert [each.is_certain for each in await log.read(present=b"another")] == [False]
    assert [each.is_certain for each in await log.read(present=b"")] == [False]


async def test_the_newest_are_kept_bounded_in_number(account, log):
    await overwrite(account, names.MODELS, names.changes_file("default"), b'{"format":1,"changes":[' + b",".join(notes(MOST_TOLD)) + b"]}")
    await log.begin(change(MOST_TOLD))
    kept = await log.read()
    assert [each.id for each in kept] == [str(number) for number in range(1, MOST_TOLD + 1)]


async def test_the_newest_are_kept_bounded_in_bytes(account, log):
    text = "x" * 4000
    for number in range(3):
        await log.begin(change(number, text=text))
    await overwrite(
        account, names.MODELS, names.changes_file("default"), b'{"format":1,"changes":[' + b",".join(notes(200, text=text)) + b"]}"
    )
    await log.begin(change(200, text=text))
    file = await Files(account, names.MODELS).read(names.changes_file("default"))
    assert file is not None
    assert len(file.data) <= LARGEST
    kept = await log.read()
    assert kept[-1].id == "200"
    assert len(kept) > 50


def notes(count: int, *, text: str = "0.5") -> list[bytes]:
    return [
        orjson.dumps(
            {"id": str(number), "at": T0, "by": "key 1", "kind": "settings", "members": [["defaultReward", "0", text]], "certain": True}
        )
        for number in range(count)
    ]


async def test_a_damaged_list_begins_anew_and_hinders_no_change(account, store):
    await overwrite(account, names.MODELS, names.changes_file("default"), b"nonsense")
    await store.write(AFTER, expected=None, change=change())
    assert len(await store.changes(AFTER)) == 1


async def test_a_list_of_a_later_format_is_refused_and_left_as_it_is(account, store):
    files = Files(account, names.MODELS)
    later = orjson.dumps({"format": FORMAT + 1, "changes": {"another": "shape"}})
    await files.replace(names.changes_file("default"), later, expected=None)
    with pytest.raises(NewerFormatError):
        await store.changes(BEFORE)
    with pytest.raises(NewerFormatError):
        await store.write(AFTER, expected=None, change=change())
    kept = await files.read(names.changes_file("default"))
    assert kept is not None
    assert kept.data == later
    assert await store.read("default") is None


async def test_kinds_and_members_of_a_later_release_hinder_nothing(account, store):
    later = orjson.dumps({"format": FORMAT, "changes": [{"id": "x", "at": T0, "by": "key 1", "kind": "weather", "mood": 1}], "more": 1})
    await overwrite(account, names.MODELS, names.changes_file("default"), later)
    await store.write(AFTER, expected=None, change=change())
    assert [each.kind for each in await store.changes(AFTER)] == [ChangeKind.SETTINGS]
