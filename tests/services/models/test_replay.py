"""The joined log gives the kept models again, to the byte; where it cannot, it is said which chunk or model is at fault."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from shared.domain.errors import ResourceNotFoundError, UnreadableError
from shared.domain.ledger import ModelKind, Origin, Provenance
from shared.joining.chunks import ChunkName, compressed
from shared.learning.artifact import load_learner
from shared.learning.learner import KEPT_FROM
from shared.services.models.replay import Replay, Route, Step, find_route
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from shared.storage.ports import Storage
from tests.builders import T0, after, apprentice, decision, observation
from tests.clocks import SetClock
from tests.kept_models import LOOP, delete_chunk, learn
from tests.learning.building import as_without_rewarded
from tests.prepared import Prepared
from tests.reliability.world import event_log, trainer
from tests.simulation.engine import Stored
from tests.stores import kept_in_memory, opened, overwrite


@pytest.fixture(scope="module")
def learned() -> tuple[str, list[str]]:
    """An account with log and models, for those that only read them, and the models, oldest first."""
    place = kept_in_memory(Stored())

    async def write() -> list[str]:
        account = opened(place)
        versions = await learn(account)
        await account.close()
        return versions

    return place, asyncio.run(write())


@pytest.fixture
async def undisturbed(learned) -> AsyncIterator[Replay]:
    account = opened(learned[0])
    yield Replay(FileColdLog(account, loop=LOOP), FileModelStore(account, loop=LOOP))
    await account.close()


@pytest.fixture
def models(learned: tuple[str, list[str]]) -> list[str]:
    return learned[1]


@pytest.fixture
def storage(storage: str, learned: tuple[str, list[str]], prepared: Prepared, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty store; for a test that asks for `versions`, one with log and models of its own."""
    with prepared.copy_of(learned[0]) if "versions" in request.fixturenames else nullcontext(storage) as place:
        yield place


@pytest.fixture
async def account(storage) -> AsyncIterator[Storage]:
    account = opened(storage)
    yield account
    await account.close()


@pytest.fixture
def versions(account, models) -> list[str]:
    """The kept models, oldest first."""
    return [*models]


@pytest.fixture
def store(account):
    return FileModelStore(account, loop=LOOP)


@pytest.fixture
def log(account):
    return FileColdLog(account, loop=LOOP)


@pytest.fixture
def replay(log, store):
    return Replay(log, store)


async def steps(replay: Replay, route: Route) -> list[Step]:
    return [step async for step in replay.run(route)]


async def test_the_log_gives_every_kept_model_again_to_the_byte(undisturbed, models):
    route = await undisturbed.plan()
    assert (route.version, route.start, route.missing) == (models[-1], "", "")
    done = await steps(undisturbed, route)
    assert [step.version for step in done if step.version] == models
    assert not [step for step in done if step.differing]
    assert len(models) > 3


async def test_what_nothing_was_learned_from_changes_nothing(undisturbed):
    done = await steps(undisturbed, await undisturbed.plan())
    assert [step for step in done if not step.learned and step.skipped and not step.version]
    assert sum(step.learned for step in done) > sum(step.skipped for step in done) > 0


async def test_an_older_model_is_rebuilt_by_name(undisturbed, models):
    route = await undisturbed.plan(models[2])
    assert [step.version for step in await steps(undisturbed, route) if step.version] == models[:3]


async def test_a_model_is_rebuilt_from_the_state_of_an_earlier_one(undisturbed, models):
    done = await steps(undisturbed, await undisturbed.plan(models[3], start=models[1]))
    assert [(step.version, step.differing) for step in done if step.version] == [(models[2], []), (models[3], [])]


async def test_a_model_that_is_not_kept_is_refused(undisturbed, models):
    with pytest.raises(ResourceNotFoundError, match=f"no model 00000000-nobody: kept are {models[0]} to {models[-1]}"):
        await undisturbed.plan("00000000-nobody")
    with pytest.raises(ResourceNotFoundError, match="no model nobody"):
        await undisturbed.plan(start="nobody")


async def test_what_lost_commits_left_behind_does_not_matter(replay, versions, log, store):
    route = await replay.plan()
    left = f"2026/05/17/1-2-{'0' * 12}.json.gz"
    await store.write_chunk(left, b"lost", parent=route.chunks[0])
    made_of = replace((await log.models())[versions[2]], chunk=left)
    await store.write_artifact("00000003-lost", b"lost", provenance=made_of)
    assert await replay.plan() == route


@pytest.mark.parametrize(("part", "blob"), [("model", names.model_file), ("state", names.state_file)])
async def test_the_first_kept_model_that_differs_is_named_and_how(replay, versions, store, account, part, blob):
    for version in versions[2:4]:
        content = await (store.artifact if part == "model" else store.state)(version)
        await overwrite(account, names.MODELS, blob(LOOP, version), content[:-1] + bytes([content[-1] ^ 1]))
    done = await steps(replay, await replay.plan())
    assert [step.version for step in done if step.version] == versions[:3]
    assert [list(step.differing) for step in done if step.differing] == [[part]]


async def test_a_model_that_no_longer_imitates_is_rebuilt_to_the_byte_from_before_and_after(account, replay, store):
    clock = SetClock(T0)
    log = event_log(account, clock)
    for second in range(0, 100, 2):
        clock.at = after(second)
        ids = [f"e{second}-{number}" for number in range(4)]
        made = [(apprentice if number == 0 else decision)(each, at=clock.at) for number, each in enumerate(ids)]
        await asyncio.gather(*map(log.append_decision, made))
        await asyncio.gather(*[log.append_observation(observation(each, second / 100, at=clock.at)) for each in ids])
    for at in (after(80), after(200)):
        await trainer(account, at, store=LOOP, max_events=30).run()
    versions = [*await store.replaced()]
    rewarded = [load_learner(await store.state(version)).rewarded for version in versions]
    assert rewarded == sorted(rewarded)
    assert rewarded.count(KEPT_FROM) > 1
    assert rewarded[0] < KEPT_FROM
    for start in ("", versions[1], versions[-2]):
        done = await steps(replay, await replay.plan(start=start))
        assert [step.version for step in done if step.version][-1] == versions[-1]
        assert not [step for step in done if step.differing]


async def test_a_state_in_the_format_of_an_earlier_release_is_not_compared_but_its_model_is(replay, versions, store, account):
    for version in versions[1:3]:
        await overwrite(account, names.MODELS, names.state_file(LOOP, version), as_without_rewarded(await store.state(version)))
    model = await store.artifact(versions[2])
    await overwrite(account, names.MODELS, names.model_file(LOOP, versions[2]), model[:-1] + bytes([model[-1] ^ 1]))
    done = await steps(replay, await replay.plan())
    assert [(step.version, list(step.differing)) for step in done if step.version] == [
        (versions[0], []),
        (versions[1], []),
        (versions[2], ["model"]),
    ]


async def test_models_that_go_while_the_log_is_gone_through_are_not_compared_but_the_one_that_is_rebuilt_is(replay, versions, store):
    done: list[Step] = []
    async for step in replay.run(await replay.plan()):
        done.append(step)
        if step.version == versions[0]:
            for version in versions[1:]:
                await store.delete(version)
    assert [step.version for step in done if step.version] == [versions[0], versions[-1]]
    assert not [step for step in done if step.differing]


async def test_a_kept_model_whose_state_is_lost_is_no_model_that_is_gone(replay, versions, store):
    await store._models.delete(names.state_file(LOOP, versions[1]))
    with pytest.raises(UnreadableError, match=f"state behind model {versions[1]} is not there"):
        await steps(replay, await replay.plan())


async def test_a_chunk_that_was_tampered_with_is_found(replay, versions, log, account):
    route = await replay.plan()
    text = (await log.chunk(route.chunks[1])).replace(b'"_label_cost":0.0', b'"_label_cost":1.0')
    await overwrite(account, names.LOGS, names.chunks_prefix(LOOP) + route.chunks[1], compressed(text))
    with pytest.raises(UnreadableError, match=route.chunks[1]):
        await steps(replay, route)


async def test_a_chunk_that_cannot_be_read_is_named(replay, versions, store, account):
    route = await replay.plan()

    class Garbled(FileColdLog):
        async def chunk(self, name: str) -> bytes:
            return b"{}\n" if name == route.chunks[1] else await super().chunk(name)

    with pytest.raises(UnreadableError, match=f"{route.chunks[1]}.*line 1"):
        await steps(Replay(Garbled(account, loop=LOOP), store), route)


async def test_without_its_beginning_the_log_goes_on_from_the_oldest_kept_state_that_will_do(replay, versions, log, account):
    whole = await replay.plan()
    await delete_chunk(account, whole.chunks[0])
    route = await replay.plan()
    assert (route.start, route.missing, list(route.chunks)) == (versions[0], whole.chunks[0], list(whole.chunks[1:]))
    done = await steps(replay, route)
    assert [step.version for step in done if step.version] == versions[1:]
    assert not [step for step in done if step.differing]


async def test_a_chunk_that_taught_nothing_before_the_first_model_is_not_needed(account, log, replay):
    """As when the log was deleted since, or the chunk was older than the log is kept."""
    clock = SetClock(T0)
    hot = event_log(account, clock)
    for at, deferred in ((10, True), (70, False)):
        clock.at = after(at)
        await hot.append_decision(decision(f"e{at}", at=clock.at, deferred=deferred))
        await trainer(account, after(at + 50), store=LOOP).run()
    first, second = await log.chain()
    await delete_chunk(account, first)
    route = await replay.plan()
    assert (route.start, route.missing, list(route.chunks)) == ("", "", [second])
    assert [(step.version, step.differing) for step in await steps(replay, route)] == [(route.version, [])]


async def test_a_chunk_that_taught_nothing_between_two_models_is_not_needed(account, log, replay):
    """As when the log was deleted before the second model was learned."""
    clock = SetClock(T0)
    hot = event_log(account, clock)
    for at, deferred in ((10, False), (70, True), (130, False)):
        clock.at = after(at)
        await hot.append_decision(decision(f"e{at}", at=clock.at, deferred=deferred))
        await trainer(account, after(at + 50), store=LOOP).run()
    first, second, third = await log.chain()
    for gone, expected in ((second, [first, third]), (first, [third])):
        await delete_chunk(account, gone)
        route = await replay.plan()
        assert list(route.chunks) == expected
        done = await steps(replay, route)
        assert (done[-1].version, [step for step in done if step.differing]) == (route.version, [])


async def test_a_chunk_without_which_no_kept_state_will_do_is_named(replay, versions, log, account):
    last = (await log.models())[versions[-1]].chunk
    await delete_chunk(account, last)
    with pytest.raises(UnreadableError, match=last):
        await replay.plan()
    with pytest.raises(UnreadableError, match=last):
        await replay.plan(start=versions[0])


async def test_where_nothing_was_published_there_is_nothing_to_replay(replay):
    with pytest.raises(ResourceNotFoundError, match="published"):
        await replay.plan()
    with pytest.raises(ResourceNotFoundError, match="none is kept"):
        await replay.plan("00000001-a")


# --- the way, without storage --------------------------------------------------------------------------------------------------


C1, C2, C3, C4, C5, C9, LOST = (str(ChunkName(1, after(number), after(number + 1), f"c{number}")) for number in (1, 2, 3, 4, 5, 9, 0))


def made_of(parent: str, chunk: str) -> Provenance:
    window = ChunkName.parse(chunk)
    return Provenance(parent=parent, since=window.since, until=window.until, chunk=chunk, learned=1, settings="{}")


MODELS = {"m2": made_of("m1", C2), "m4": made_of("m2", C4), "m5": made_of("m4", C5)}
"""The first model is no longer kept, and nothing was learned from the third chunk."""

CHUNKS = {C1: "", C2: C1, C3: C2, C4: C3, C5: C4, LOST: C2}


def without(*chunks: str) -> dict[str, str]:
    return {name: parent for name, parent in CHUNKS.items() if name not in chunks}


def test_the_way_leads_from_the_first_chunk_past_the_kept_models():
    assert find_route("m5", "", MODELS, CHUNKS) == Route("m5", "", [C1, C2, C3, C4, C5], {C2: "m2", C4: "m4", C5: "m5"})


@pytest.mark.parametrize(
    ("gone", "start", "chunks"),
    [
        ([C1], "m2", [C3, C4, C5]),
        ([C1, C2], "m2", [C3, C4, C5]),
        ([C3, C2], "m2", [C4, C5]),
        ([C1, C4], "m4", [C5]),
    ],
)
def test_without_the_beginning_it_leads_from_the_oldest_state_with_all_chunks_behind_it(gone, start, chunks):
    route = find_route("m5", "", MODELS, without(*gone))
    assert (route.start, route.chunks, route.missing) == (start, chunks, gone[-1])


def test_a_chunk_without_a_lesson_between_a_model_and_its_parent_is_not_needed():
    assert find_route("m5", "", MODELS, without(C3)) == Route("m5", "", [C1, C2, C4, C5], {C2: "m2", C4: "m4", C5: "m5"})
    assert find_route("m5", "m2", MODELS, without(C3)) == Route("m5", "m2", [C4, C5], {C4: "m4", C5: "m5"})


def test_a_chunk_before_which_a_model_began_with_nothing_needs_no_other():
    models = {"m2": made_of("", C2), "m4": made_of("m2", C4)}
    assert find_route("m4", "", models, without(C1)) == Route("m4", "", [C2, C3, C4], {C2: "m2", C4: "m4"})
    assert find_route("m4", "", models, CHUNKS).chunks == [C1, C2, C3, C4]


def test_a_gap_behind_a_model_that_is_no_longer_kept_may_have_taught_something():
    models = {"m2": MODELS["m2"], "m5": MODELS["m5"]}
    with pytest.raises(UnreadableError, match=f"chunk {C3} of the joined log is missing"):
        find_route("m5", "", models, without(C3))


@pytest.mark.parametrize("changed", [{"first": C3}, {"since": after(0)}])
def test_a_gap_among_the_chunks_of_an_imported_log_is_a_gap(changed):
    """Several of them may have led to one model; earlier releases did not tell so, but its window is longer than the last one's."""
    models = MODELS | {"m4": replace(MODELS["m4"], **changed)}
    route = find_route("m5", "", models, without(C3))
    assert (route.start, route.chunks, route.missing) == ("m4", [C5], C3)


@pytest.mark.parametrize("kind", [ModelKind.IMPORTED, ModelKind.RESTORED, ModelKind.RETRAINED])
def test_however_a_parent_came_about_its_state_is_a_beginning(kind):
    models = {"m2": replace(made_of("gone", C1), kind=kind), "m4": replace(made_of("m2", C4), origin=Origin("m2", C2))}
    route = find_route("m4", "", models, without(C3, C1))
    assert (route.start, route.chunks) == ("m2", [C4])


@pytest.mark.parametrize(("version", "start", "gone"), [("m5", "", C5), ("m2", "", C1), ("m5", "m2", C4), ("m4", "m2", C4)])
def test_a_gap_that_nothing_leads_around_is_named(version, start, gone):
    with pytest.raises(UnreadableError, match=f"chunk {gone} of the joined log is missing"):
        find_route(version, start, MODELS, without(gone))


@pytest.mark.parametrize(("version", "start"), [("m2", "m4"), ("m5", "m5"), ("m5", "other")])
def test_only_what_a_model_was_made_from_leads_to_it(version, start):
    with pytest.raises(ResourceNotFoundError, match=f"model {start} is not one that model {version} was made from"):
        find_route(version, start, MODELS | {"other": made_of("m2", LOST)}, CHUNKS)


def test_links_in_a_circle_come_to_an_end():
    with pytest.raises(UnreadableError, match=f"chunk {C2}"):
        find_route("m2", "", {"m2": made_of("m3", C2), "m3": made_of("m2", C9)}, {C1: C2, C2: C1})
