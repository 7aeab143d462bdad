"""The model in its owner's hands: what goes out comes back to the byte, and whatever is done by hand loses no event."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import pytest

from shared.domain.clock import EPOCH
from shared.domain.errors import (
    BusyError,
    ConflictError,
    InvalidModelImportFormatError,
    InvalidModelImportSignatureError,
    ResourceNotFoundError,
    UnusableModelError,
)
from shared.domain.ledger import ModelKind, Pointer
from shared.domain.models import SignedModel
from shared.learning import artifact
from shared.learning.learner import Learner
from shared.services.models.replay import Replay
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from shared.storage.signing_keys import FileModelSigner
from tests.builders import after
from tests.clocks import SetClock
from tests.keeping import content_of, keeper, pointer_of, provenance_of, replayed
from tests.prepared import Prepared
from tests.reliability.world import FIRST, LOOP, SECOND, retention, trainer, write_log
from tests.stores import opened, overwrite

STORE = "kept"
NOW = after(150)
LATER = after(200)


@pytest.fixture
def storage(storage: str, prepared: Prepared, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty store; for a test that asks for `half`, one with the log, of which the first window is learned."""
    with prepared.copy(first_window) if "half" in request.fixturenames else nullcontext(storage) as place:
        yield place


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
async def half(account) -> Pointer:
    """The log, of which the first window is learned."""
    return await pointer_of(account, STORE)


async def first_window(account: Storage) -> None:
    await write_log(account)
    await trainer(account, FIRST, store=STORE, max_events=16).run()


@pytest.fixture
def keeping(account):
    return keeper(account, NOW, store=STORE)


async def learn_the_rest(account) -> Pointer:
    await trainer(account, SECOND, store=STORE).run()
    return await pointer_of(account, STORE)


async def signed(account, model: bytes) -> SignedModel:
    return await FileModelSigner(account, clock=SetClock(NOW)).sign(model)


def log_side(pointer: Pointer) -> Pointer:
    """A pointer without what it tells of the model."""
    nothing = Pointer(sequence=0, version="", published_at=EPOCH, watermark=pointer.watermark)
    mine = ("sequence", "version", "published_at", "learned", "previous", "resets", "origin")
    return replace(pointer, **{name: getattr(nothing, name) for name in mine})


# --- out and back ---


async def test_a_model_is_handed_out_as_the_state_that_the_trainer_goes_on_from(account, half, keeping):
    exported = await keeping.export()
    assert exported.model == (await content_of(account, STORE, half.version))[0]
    assert exported.modified_at == half.published_at


async def test_before_there_is_a_model_one_that_knows_nothing_is_handed_out_and_can_be_brought_back(account, keeping):
    package, exported = await keeping.export_signed()
    assert (exported.model, exported.modified_at) == (artifact.dump_state(Learner.cold()), None)
    assert await keeping.times() is None
    await keeping.import_(package)
    assert (await pointer_of(account, STORE)).learned == 0
    assert (await keeping.export()).model == exported.model


async def test_what_is_handed_out_deleted_and_brought_back_is_the_same_model_and_hands_out_the_same_bytes(account, half, keeping):
    package, _ = await keeping.export_signed()
    await keeping.delete()
    assert (await pointer_of(account, STORE)).version == ""
    await keeping.import_(package)
    back = await pointer_of(account, STORE)
    assert await content_of(account, STORE, back.version) == await content_of(account, STORE, half.version)
    assert (await keeping.export_signed())[0] == package
    assert back.version > half.version


async def test_an_imported_model_is_gone_on_from_without_losing_an_event(account, half, keeping):
    package, _ = await keeping.export_signed()
    await keeping.import_(package)  # as it is published already, there is nothing to do
    assert await pointer_of(account, STORE) == half
    await keeping.delete()
    await keeping.import_(package)
    imported = await pointer_of(account, STORE)
    assert log_side(imported) == log_side(half)
    made_of = await provenance_of(account, STORE, imported.version)
    assert (made_of.kind, made_of.parent, made_of.learned) == (ModelKind.IMPORTED, "", half.learned)
    done = await learn_the_rest(account)
    expected = await pointer_of(account, "expected")
    assert (done.counters, done.watermark) == (expected.counters, expected.watermark)
    assert done.learned == half.learned + done.counters.learned - half.counters.learned
    assert (await provenance_of(account, STORE, done.version)).parent == imported.version


async def test_a_model_of_another_loop_is_brought_into_an_empty_one(account, half, keeping):
    package, exported = await keeping.export_signed()
    other = keeper(account, NOW, store="other")
    await other.import_(package)
    assert (await other.export()).model == exported.model
    published = await pointer_of(account, "other")
    assert (published.counters.learned, published.learned) == (0, half.learned)
    await trainer(account, SECOND, store="other").run()
    assert (await pointer_of(account, "other")).counters == (await pointer_of(account, "expected")).counters


@pytest.mark.parametrize("part", ["model", "signature"])
async def test_a_model_whose_signature_does_not_fit_is_refused(account, half, keeping, part):
    package, _ = await keeping.export_signed()
    content = getattr(package, part)
    with pytest.raises(InvalidModelImportSignatureError, match="signature"):
        await keeping.import_(replace(package, **{part: content[:-1] + bytes([content[-1] ^ 1])}))
    assert await pointer_of(account, STORE) == half


async def test_what_is_signed_but_no_model_is_refused_and_says_why(account, half, keeping):
    state, model = await content_of(account, STORE, half.version)
    for nonsense in (b"", b"nonsense", model, state + b"\0", state[:-1]):
        with pytest.raises(InvalidModelImportFormatError, match=r"model\.vw"):
            await keeping.import_(await signed(account, nonsense))
    assert await pointer_of(account, STORE) == half


# --- gone ---


async def test_a_deleted_model_leaves_the_counters_and_the_watermark_and_what_comes_next_is_learned_from_nothing(account, half, keeping):
    await keeping.delete()
    deleted = await pointer_of(account, STORE)
    assert (deleted.version, deleted.previous, deleted.learned) == ("", half.version, 0)
    assert log_side(deleted) == log_side(half)
    assert (await keeping.export()).model == artifact.dump_state(Learner.cold())
    done = await learn_the_rest(account)
    expected = await pointer_of(account, "expected")
    assert (done.counters, done.watermark) == (expected.counters, expected.watermark)
    assert 0 < done.learned == done.counters.learned - half.counters.learned
    assert (await provenance_of(account, STORE, done.version)).parent == ""


async def test_a_model_that_is_not_there_is_deleted_without_a_commit(account, half, keeping):
    await keeper(account, NOW, store="other").delete()
    assert await FileModelStore(account, loop="other").pointer() is None
    await keeping.delete()
    once = await pointer_of(account, STORE)
    await keeping.delete()
    assert await pointer_of(account, STORE) == once


async def test_a_model_began_when_it_was_first_learned_deleted_or_imported(account, half, keeping):
    at_first = await keeping.times()
    assert at_first is not None
    assert (at_first.created_at, at_first.modified_at) == (FIRST, FIRST)
    package, _ = await keeping.export_signed()
    await learn_the_rest(account)
    later = await keeping.times()
    assert (later.created_at, later.modified_at) == (FIRST, SECOND)
    await keeping.delete()
    gone = await keeping.times()
    assert (gone.created_at, gone.modified_at) == (NOW, NOW)
    await keeper(account, LATER, store=STORE).import_(package)
    back = await keeping.times()
    assert (back.created_at, back.modified_at) == (LATER, LATER)


# --- versions ---


async def test_versions_are_told_newest_first_with_what_they_were_made_of(account, half, keeping):
    learned = [*await FileModelStore(account, loop=STORE).replaced()]
    assert len(learned) > 2
    told = await keeping.versions()
    assert [each.version for each in told] == learned[::-1]
    assert [each.version for each in told if each.is_published] == [half.version]
    assert [each.parent for each in told] == [*learned[:-1][::-1], ""]
    assert {each.kind for each in told} == {ModelKind.TRAINED}
    assert (told[0].published_at, told[0].learned, told[0].until) == (FIRST, half.learned, half.watermark)
    assert all(newer.since >= older.until for newer, older in pairwise(told))


async def test_what_a_lost_commit_left_behind_is_no_version(account, half, keeping):
    before = await keeping.versions()
    stray = replace(await provenance_of(account, STORE, half.version), parent=before[1].version)
    await FileModelStore(account, loop=STORE).write_artifact("00000002-lost", b"lost", provenance=stray)
    assert await keeping.versions() == before


async def test_versions_are_still_told_when_the_model_was_deleted_and_anew_after_that(account, half, keeping):
    before = [each.version for each in await keeping.versions()]
    await keeping.delete()
    told = await keeping.versions()
    assert [each.version for each in told] == before
    assert not any(each.is_published for each in told)
    done = await learn_the_rest(account)
    assert [each.version for each in await keeping.versions()] == [done.version, *before]


async def test_a_version_is_restored_as_a_copy_and_learned_on_from_there(account, half, keeping):
    versions = await keeping.versions()
    old = versions[-1]
    restored = await keeping.restore(old.version)
    assert (restored.kind, restored.parent, restored.learned, restored.is_published) == (ModelKind.RESTORED, old.version, old.learned, True)
    assert await content_of(account, STORE, restored.version) == await content_of(account, STORE, old.version)
    published = await pointer_of(account, STORE)
    assert log_side(published) == log_side(half)
    assert [each.version for each in await keeping.versions()] == [restored.version, *[each.version for each in versions]]
    done = await learn_the_rest(account)
    assert done.counters == (await pointer_of(account, "expected")).counters
    assert done.learned == old.learned + done.counters.learned - half.counters.learned


async def test_restoring_what_is_published_changes_nothing(account, half, keeping):
    assert (await keeping.restore(half.version)).version == half.version
    again = await keeping.restore((await keeping.versions())[-1].version)
    assert (await keeping.restore((await keeping.versions())[-1].version)).version == again.version


@pytest.mark.parametrize("unknown", ["00000001-nobody", "", "../../pointer", "x" * 5000])
async def test_a_version_that_is_not_kept_is_not_restored(half, keeping, unknown):
    with pytest.raises(ResourceNotFoundError, match="no model"):
        await keeping.restore(unknown)


async def test_a_damaged_version_is_not_restored(account, half, keeping):
    old = (await keeping.versions())[-1].version
    await overwrite(account, names.MODELS, names.state_file(STORE, old), b"nonsense")
    with pytest.raises(UnusableModelError, match=old):
        await keeping.restore(old)
    assert await pointer_of(account, STORE) == half


async def test_a_version_that_goes_while_it_is_gone_back_to_is_one_that_is_not_kept(account, half, keeping):
    oldest = (await keeping.versions())[-1].version

    class Passing(FileModelStore):
        async def state(self, version: str) -> bytes:
            await self.delete(oldest)
            return await super().state(version)

    keeping._store = Passing(account, loop=STORE)
    with pytest.raises(ResourceNotFoundError, match="no model"):
        await keeping.restore(oldest)
    assert await pointer_of(account, STORE) == half


async def test_retention_never_deletes_what_is_published_nor_the_one_before_nor_what_it_was_copied_to(account, half, keeping):
    oldest = (await keeping.versions())[-1]
    await keeping.restore(oldest.version)
    restored = await pointer_of(account, STORE)
    for _ in range(2):
        await retention(account, store=STORE, models_kept=1).run()
        assert [each.version for each in await keeping.versions()] == [restored.version, half.version]
        assert await content_of(account, STORE, restored.version)
    with pytest.raises(ResourceNotFoundError):
        await keeping.restore(oldest.version)
    await keeping.delete()
    await retention(account, store=STORE, models_kept=1).run()
    assert [each.version for each in await keeping.versions()] == [restored.version, half.version]


# --- at the same time ---


class Interrupted(FileModelStore):
    """Lets others commit right before each of its own first commits."""

    def __init__(self, account, *, loop, others) -> None:
        super().__init__(account, loop=loop)
        self._others = list(others)

    async def commit(self, pointer, *, expected):
        if self._others:
            await self._others.pop(0)()
        return await super().commit(pointer, expected=expected)


@pytest.mark.parametrize("what", ["import", "restore", "delete"])
async def test_a_trainer_that_commits_first_stands_and_the_change_is_made_after_it(account, half, what):
    keeping = keeper(account, NOW, store=STORE)
    package, _ = await keeping.export_signed()
    oldest = (await keeping.versions())[-1].version
    if what == "import":
        await keeping.delete()
    keeping._store = Interrupted(account, loop=STORE, others=[trainer(account, SECOND, store=STORE).run])
    await change(keeping, what, package, oldest)
    done, expected = await pointer_of(account, STORE), await pointer_of(account, "expected")
    assert (done.counters, done.watermark) == (expected.counters, expected.watermark)
    trained = done.previous or (await provenance_of(account, STORE, done.version)).replaced
    assert (await provenance_of(account, STORE, trained)).kind is ModelKind.TRAINED
    assert trained > half.version


async def change(keeping, what, package, version) -> None:
    if what == "import":
        await keeping.import_(package)
    elif what == "restore":
        await keeping.restore(version)
    else:
        await keeping.delete()


@pytest.mark.parametrize("what", ["import", "restore", "delete"])
async def test_a_trainer_that_is_overtaken_drops_its_work_and_learns_the_window_from_the_new_model(account, half, what):
    keeping = keeper(account, NOW, store=STORE)
    package, _ = await keeping.export_signed()
    oldest = (await keeping.versions())[-1]
    if what == "import":
        await keeping.delete()
    store = Interrupted(account, loop=STORE, others=[lambda: change(keeping, what, package, oldest.version)])
    overtaken = trainer(account, SECOND, store=STORE, kept=store)
    assert await overtaken.run() == []
    changed = await pointer_of(account, STORE)
    assert log_side(changed) == log_side(half)
    await overtaken.run()
    done = await pointer_of(account, STORE)
    assert done.counters == (await pointer_of(account, "expected")).counters
    begun = {"import": half.learned, "restore": oldest.learned, "delete": 0}[what]
    assert done.learned == begun + done.counters.learned - half.counters.learned
    assert len(await replayed(account, STORE)) >= 1


async def test_many_changes_at_once_are_all_made_one_after_another(account, half):
    versions = await keeper(account, NOW, store=STORE).versions()
    keepers = [keeper(account, NOW, store=STORE) for _ in range(3)]
    await asyncio.gather(*(each.restore(kept.version) for each, kept in zip(keepers, versions[1:], strict=False)))
    after_all = await pointer_of(account, STORE)
    made = min(3, len(versions) - 1)
    assert after_all.sequence == half.sequence + made
    assert log_side(after_all) == log_side(half)
    assert [each.kind for each in await keepers[0].versions()][:made] == [ModelKind.RESTORED] * made


async def test_where_others_are_always_first_the_caller_is_asked_to_come_again(account, half, monkeypatch):
    async def taken(self, pointer, *, expected):
        raise ConflictError("another")

    monkeypatch.setattr(FileModelStore, "commit", taken)
    with pytest.raises(BusyError, match="repeat the call"):
        await keeper(account, NOW, store=STORE).delete()
    assert await pointer_of(account, STORE) == half


# --- replay ---


async def test_a_restored_model_and_what_was_learned_from_it_is_rebuilt_without_what_it_went_back_behind(account, half, keeping):
    versions = [each.version for each in await keeping.versions()][::-1]
    restored = (await keeping.restore(versions[1])).version
    assert await replayed(account, STORE, restored) == [versions[0], restored]
    done = await learn_the_rest(account)
    assert await replayed(account, STORE) == [versions[0], restored, done.version]
    assert await replayed(account, STORE, versions[-1]) == versions


async def test_the_history_of_an_imported_model_ends_with_it_and_that_is_said(account, half, keeping):
    package, _ = await keeping.export_signed()
    await keeping.delete()
    await keeping.import_(package)
    imported = (await pointer_of(account, STORE)).version
    replay = Replay(FileColdLog(account, loop=STORE), FileModelStore(account, loop=STORE))
    with pytest.raises(ResourceNotFoundError, match=f"model {imported} was imported"):
        await replay.plan()
    done = await learn_the_rest(account)
    route = await replay.plan()
    assert (route.start, "imported" in route.reason) == (imported, True)
    assert await replayed(account, STORE) == [done.version]


async def test_what_is_learned_after_a_deletion_is_rebuilt_from_nothing_and_the_chunks_since(account, half, keeping):
    await keeping.delete()
    done = await learn_the_rest(account)
    route = await Replay(FileColdLog(account, loop=STORE), FileModelStore(account, loop=STORE)).plan()
    assert (route.start, route.reason) == ("", "")
    assert await replayed(account, STORE) == [done.version]


async def test_a_change_after_settings_did_takes_the_place_of_the_reset_they_asked_for(account, half):
    changed = replace(LOOP, resets=3)
    await keeper(account, NOW, store=STORE, loop=changed).restore(half.version)
    restored = await pointer_of(account, STORE)
    assert (restored.resets, restored.learned) == (3, half.learned)
    await trainer(account, SECOND, store=STORE, loop=changed).run()
    assert (await pointer_of(account, STORE)).learned > half.learned
