import asyncio
from dataclasses import replace

import orjson
import pytest

from shared.domain.apprentice import LATEST, ApprenticeMetrics
from shared.domain.clock import to_micros
from shared.domain.errors import ConflictError, NewerFormatError, UnreadableError
from shared.domain.identity import report_id, report_tag
from shared.domain.ledger import Counters, LogEpoch, ModelKind, Origin, Pointer, Provenance
from shared.domain.lookback import Lookback, Run, Seen
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from shared.storage.pointers import read_pointer, write_pointer
from shared.storage.polling import FileModelFeed
from shared.storage.provenance import read_provenance, write_provenance
from tests.builders import T0, after
from tests.stores import overwrite

POINTER = Pointer(
    sequence=3,
    version="00000003-abc",
    published_at=T0,
    watermark=after(1.5),
    chunk="2026/05/17/1-2-x.json.gz",
    counters=Counters(learned=5, skipped={"duplicate": 1}, rewards=4, late_rewards=1),
    lookback=Lookback(
        Seen(frozenset({"b", "a"}), (Run("w", 1, 3, 5, 9),), before=4), Seen(), frozenset({report_id(T0, 7)}), frozenset({report_id(T0, 8)})
    ),
    apprentice=ApprenticeMetrics((0.1, -1.0), (True, False)),
    learned=4,
    previous="00000002-abc",
    resets=2,
    origin=Origin("00000001-abc", "2026/05/16/1-2-x.json.gz", T0),
)


@pytest.fixture
def store(account):
    return FileModelStore(account, loop="default")


async def write_pointer_blob(account, data: bytes) -> None:
    await overwrite(account, names.MODELS, names.pointer_file("default"), data)


def test_a_pointer_comes_back_as_it_was_and_equal_ones_give_equal_bytes():
    assert read_pointer(write_pointer(POINTER)) == POINTER
    decisions = Seen(frozenset({"a", "b"}), (Run("w", 1, 3, 5, 9),), before=4)
    again = replace(POINTER, lookback=Lookback(decisions, Seen(), frozenset({report_id(T0, 7)}), frozenset({report_id(T0, 8)})))
    assert write_pointer(again) == write_pointer(POINTER)


def test_a_pointer_stays_small_however_many_events_apprentice_mode_saw():
    odd = ApprenticeMetrics(tuple([n / 7919 for n in range(LATEST)]), (False,) * LATEST)
    assert len(write_pointer(replace(POINTER, apprentice=odd))) < 32 * 1024


def test_a_pointer_without_apprentice_figures_has_none():
    document = orjson.loads(write_pointer(POINTER))
    del document["apprentice"]
    assert read_pointer(orjson.dumps(document)) == replace(POINTER, apprentice=ApprenticeMetrics())


def test_a_pointer_of_the_first_format_tells_of_one_line_of_models_from_the_beginning():
    document = orjson.loads(write_pointer(POINTER)) | {"format": 1}
    for name in ("learned", "previous", "resets", "origin", "log", "lookback"):
        del document[name]
    read = read_pointer(orjson.dumps(document))
    assert read == replace(POINTER, learned=5, previous="", resets=0, origin=Origin(), log=LogEpoch(), lookback=Lookback())


def test_unknown_rewards_that_an_earlier_release_named_are_known_by_their_ids():
    document = orjson.loads(write_pointer(POINTER)) | {"format": 2}
    segment = f"{to_micros(T0):016d}-a1b2c3d4-000007-1-9-2"
    document["lookback"] = {"decisions": [], "observations": [segment], "unknown": [f"{segment}#3"]}
    read = read_pointer(orjson.dumps(document))
    assert read.lookback == Lookback(observations=Seen(frozenset([segment])), unknown=frozenset([report_id(T0, report_tag(segment, 3))]))


def test_what_an_earlier_release_remembered_in_the_pointer_is_remembered():
    names, ids = sorted([f"{to_micros(T0):016d}-a1b2c3d4-{number:06d}-2-9-2-300" for number in (1, 2)]), [report_id(T0, 3)]
    document = orjson.loads(write_pointer(POINTER)) | {"format": 3}
    document["lookback"] = {"decisions": names, "observations": names[:1], "unknown": ids, "late": []}
    read = read_pointer(orjson.dumps(document))
    assert read == replace(POINTER, lookback=Lookback(Seen(frozenset(names)), Seen(frozenset(names[:1])), frozenset(ids)))
    assert read_pointer(write_pointer(read)) == read


def test_a_pointer_may_name_the_file_of_what_is_remembered():
    named = replace(POINTER, lookback="00000003-0123456789ab")
    assert read_pointer(write_pointer(named)) == named


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format": 1}', write_pointer(POINTER)[:-9], b'{"format": "x"}'])
def test_a_damaged_pointer_is_unreadable(text):
    with pytest.raises(UnreadableError):
        read_pointer(text)


def test_a_pointer_of_a_later_release_is_refused_by_name():
    with pytest.raises(NewerFormatError, match="pointer has format version 5"):
        read_pointer(b'{"format": 5, "new": "things"}')


async def test_there_is_no_pointer_before_the_first_commit(store):
    assert await store.pointer() is None


async def test_a_commit_takes_the_place_of_the_one_it_was_made_from(store):
    first = await store.commit(POINTER, expected=None)
    assert await store.pointer() == (POINTER, first)
    second = await store.commit(replace(POINTER, sequence=4), expected=first)
    assert second != first
    assert (await store.pointer()) == (replace(POINTER, sequence=4), second)


@pytest.mark.parametrize("is_first", [True, False])
async def test_of_two_commits_from_one_state_only_one_succeeds(store, is_first):
    expected = None if is_first else await store.commit(POINTER, expected=None)
    attempts = [store.commit(replace(POINTER, sequence=10 + n), expected=expected) for n in range(5)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, ConflictError) for result in results) == 4, results


async def test_a_model_comes_back_with_what_it_was_made_of(store, account):
    made_of = Provenance("00000002-abc", T0, after(60), "chunk", 17, "{}")
    for _ in range(2):  # again changes nothing
        await store.write_state("00000003-def", b"weights and more")
        await store.write_artifact("00000003-def", b"weights", provenance=made_of)
    assert await store.artifact("00000003-def") == b"weights"
    assert await store.state("00000003-def") == b"weights and more"
    assert await asyncio.to_thread(FileModelFeed(account, loop="default").artifact, "00000003-def") == b"weights"
    found = await account.files(names.MODELS).head(names.model_file("default", "00000003-def"), size=0)
    metadata = found.metadata
    assert (metadata["parent"], metadata["learned"], metadata["settings"]) == ("00000002-abc", "17", "{}")
    assert [*await store.replaced()] == [version async for version in store.states()] == ["00000003-def"]
    await store.delete("00000003-def")
    await store.delete("00000003-def")
    assert [*await store.replaced()] + [version async for version in store.states()] == []
    for read in (store.artifact, store.state):
        with pytest.raises(UnreadableError, match="model 00000003-def is not there"):
            await read("00000003-def")


MADE_OF = Provenance(
    "00000002-abc", T0, after(60), "chunk", 17, "{}", ModelKind.RETRAINED, T0, "00000001-abc", "first", Origin("00000004-abc", "chunk", T0)
)


async def test_what_a_model_was_made_of_comes_back_as_it_was(store, account):
    await store.write_artifact("00000004-abc", b"weights", provenance=MADE_OF)
    assert await FileColdLog(account, loop="default").models() == {"00000004-abc": MADE_OF}


def test_a_model_of_the_first_format_was_trained_in_one_line_from_the_beginning():
    labels = write_provenance(MADE_OF)
    first = {name: labels[name] for name in ("parent", "since", "until", "chunk", "learned", "settings")} | {"format": "1"}
    assert read_provenance("m", first) == Provenance("00000002-abc", T0, after(60), "chunk", 17, "{}", replaced="00000002-abc")


@pytest.mark.parametrize(
    "wrong",
    [{"format": ""}, {"format": "x"}, {"kind": "stolen"}, {"since": "x"}, {"learned": ""}, {"originat": "9" * 30}, {"published": "-"}],
)
def test_a_model_that_does_not_say_what_it_was_made_of_is_unreadable(wrong):
    with pytest.raises(UnreadableError):
        read_provenance("m", write_provenance(MADE_OF) | wrong)
    for name in ("format", "parent", "chunk", "settings"):
        with pytest.raises(UnreadableError):
            read_provenance("m", {each: text for each, text in write_provenance(MADE_OF).items() if each != name})


def test_a_model_of_a_later_release_is_refused_by_name():
    with pytest.raises(NewerFormatError, match="upgrade"):
        read_provenance("m", write_provenance(MADE_OF) | {"format": "3"})


async def test_the_right_to_train_has_one_holder_and_is_given_back(store):
    async with store.lease() as mine, store.lease() as theirs:
        assert (mine, theirs) == (True, False)
    async with store.lease() as again:
        assert again


async def test_a_poll_reports_a_pointer_once_and_nothing_before_the_first(store, account):
    feed = FileModelFeed(account, loop="default")
    assert await asyncio.to_thread(feed.news) is None
    etag = await store.commit(POINTER, expected=None)
    assert await asyncio.to_thread(feed.news) == POINTER
    assert await asyncio.to_thread(feed.news) is None
    await store.commit(replace(POINTER, sequence=4), expected=etag)
    assert await asyncio.to_thread(feed.news) == replace(POINTER, sequence=4)


async def test_a_pointer_that_cannot_be_read_is_reported_until_it_can(store, account):
    feed = FileModelFeed(account, loop="default")
    await store.commit(POINTER, expected=None)
    await write_pointer_blob(account, b"nonsense")
    for _ in range(2):
        with pytest.raises(UnreadableError):
            await asyncio.to_thread(feed.news)
    await write_pointer_blob(account, write_pointer(POINTER))
    assert await asyncio.to_thread(feed.news) == POINTER
