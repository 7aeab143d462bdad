"""Several loops in several processes on one storage account: what is shared, followed, gone over and erased."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shared.domain.clock import TimeLimit
from shared.domain.errors import AccessDeniedError, PersonalizerError, ResourceNotFoundError, StorageUnavailableError
from shared.domain.events import LearningMode
from shared.domain.keys import key_digest
from shared.domain.loop import DEFAULT_LOOP, LearningPolicy, Tier
from shared.domain.uploads import Report
from shared.runtime.each_loop import RUN_TIME, TURN, Rounds, for_each_loop
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import AppSettings, read_settings
from shared.runtime.wiring import Deployment
from shared.services.figures.reading import Query
from shared.services.training.trainer import SLICE
from shared.storage import names
from shared.storage.files import Files
from tests.builders import T0, situation
from tests.clocks import SetClock, Ticks
from tests.running import REPOSITORY
from tests.stores import settings_of
from trainer_function import _retain, _train

KEY = "ocp-apim-subscription-key"
SETTINGS = {
    "PERSONALIZER_KEYS": "first,second",
    "PERSONALIZER_ADMIN_KEY": "admin",
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.1S",
}


@pytest.fixture
def clock():
    return SetClock(T0)


@pytest.fixture
def settings(storage) -> AppSettings:
    return read_settings({**settings_of(storage), **SETTINGS})


@pytest.fixture
async def deployment(settings, clock) -> AsyncIterator[Deployment]:
    deployment = Deployment(settings, clock=clock)
    yield deployment
    await deployment.close()


@pytest.fixture
async def another(settings, clock) -> AsyncIterator[Deployment]:
    """The same app in another process."""
    another = Deployment(settings, clock=clock)
    yield another
    await another.close()


async def make(deployment: Deployment, name: str, tier: Tier = Tier.S0) -> str:
    """Make a loop and give its first key."""
    kept = await deployment.loops.put(name, tier, {})
    await deployment.note(kept.record)
    return kept.keys[0]


async def present(deployment: Deployment, name: str) -> LoopServices:
    services = await deployment.find(name)
    assert services is not None
    return services


async def eventually(is_so, seconds: float = 5) -> None:
    until = time.monotonic() + seconds
    while not await is_so():
        assert time.monotonic() < until, "it did not happen"
        await asyncio.sleep(0.02)


def threads() -> int:
    return sum(thread.name == "model-poll" for thread in threading.enumerate())


async def blobs(deployment: Deployment, place: str) -> list[str]:
    found: list[str] = []
    for container in (names.MODELS, names.LOGS):
        found += [blob.name async for blob in Files(deployment.storage, container).listing(f"{names.LOOPS}{place}/")]
    return found


async def tables(deployment: Deployment, place: str) -> list[str]:
    return [table for table in await deployment.storage.rows.tables() if table.startswith(f"{place}x")]


# --- serving ---------------------------------------------------------------------------------------------------------------


async def test_a_process_has_one_polling_thread_and_builds_only_what_it_serves(deployment):
    before = threads()
    for name in ("one", "two", "three"):
        await make(deployment, name)
    assert not deployment._present
    for name in (DEFAULT_LOOP, "one", "two"):
        await (await present(deployment, name)).models.served()
    assert threads() == before + 1
    assert deployment._present.keys() == {DEFAULT_LOOP, "one", "two"}


async def test_a_loop_that_is_served_is_asked_of_storage_no_more(deployment, monkeypatch):
    await make(deployment, "news")
    services = await present(deployment, "news")

    async def down(*_: object) -> None:
        raise StorageUnavailableError("down")

    monkeypatch.setattr(deployment.store, "read", down)
    assert await deployment.find("news") is services
    with pytest.raises(StorageUnavailableError):
        await deployment.find("unknown")


async def test_a_loop_that_is_not_there_is_looked_for_once_a_poll_interval(deployment, monkeypatch):
    asked: list[str] = []
    read = deployment.store.read

    async def counted(loop: str):
        asked.append(loop)
        return await read(loop)

    monkeypatch.setattr(deployment.store, "read", counted)
    for _ in range(20):
        assert await deployment.find("unknown") is None
    assert asked == ["unknown"]
    await asyncio.sleep(0.15)
    assert await deployment.find("unknown") is None
    assert asked == ["unknown", "unknown"]
    assert await deployment.find("no/loop's name") is None
    assert len(asked) == 2


async def test_a_new_loop_serves_its_own_settings_from_the_first_call_on(deployment, monkeypatch):
    """Even when the first look takes longer than anyone waits."""
    await make(deployment, "news", Tier.E0)
    services = await present(deployment, "news")
    monkeypatch.setattr(services.models, "refresh", lambda: time.sleep(0.7))
    assert services.models._served.settings.learning_mode is LearningMode.APPRENTICE
    assert services.models._served.settings.name == "news"


async def test_what_one_process_changes_another_serves_within_a_poll(deployment, another):
    await make(deployment, "news")
    here, there = await present(deployment, "news"), await present(another, "news")
    await there.models.served()
    await here.configurator.configure({"default_reward": 0.5})
    await here.configurator.set_policy(LearningPolicy("mine", "--cb_explore_adf --softmax"))
    assert (await here.models.served()).settings.policy.name == "mine"

    async def followed() -> bool:
        served = await there.models.served()
        return (served.settings.default_reward, served.settings.policy.name) == (0.5, "mine")

    await eventually(followed)


async def test_a_loop_deleted_in_one_process_is_let_go_by_another_with_all_it_held(deployment, another):
    key = await make(deployment, "news")
    await another.admit("news", {KEY: key})
    await deployment.note(await deployment.loops.delete("news"))
    with pytest.raises(ResourceNotFoundError):
        await deployment.admit("news", {KEY: key})

    async def is_gone() -> bool:
        return await another.find("news") is None

    await eventually(is_gone)
    assert "news" not in another._present
    with pytest.raises(ResourceNotFoundError):
        await another.admit("news", {KEY: key})
    with pytest.raises(AccessDeniedError):
        await another.admit("news", {KEY: "wrong"})


async def test_a_process_that_was_away_serves_the_new_life_and_nothing_of_the_old_one(deployment, another):
    await make(deployment, "news")
    old = await present(another, "news")
    await old.ranker.rank(situation(), event_id="e1", deferred=False)
    await deployment.note(await deployment.loops.delete("news"))
    key = await make(deployment, "news")

    async def is_admitted() -> bool:
        try:
            admitted = await another.admit("news", {KEY: key})
        except AccessDeniedError:
            return False
        return bool(admitted.place == "newsx0002")

    await eventually(is_admitted)
    new = await present(another, "news")
    assert (old.place, new.place) == ("newsx0001", "newsx0002")
    assert ((await old.progress.read()).ranked, (await new.progress.read()).ranked) == (1, 0)


# --- what a process keeps at hand ------------------------------------------------------------------------------------------


def kept_of(deployment: Deployment) -> int:
    shared = deployment.shared
    return shared.learners.held + shared.models.held + shared.logs.held


def rest_at_once(deployment: Deployment) -> None:
    """Look at what nobody calls for no more, as after a minute with the defaults."""
    deployment.polling._rests_after, deployment.polling._rest = 0.1, 3_600.0


async def test_a_key_that_was_revoked_while_nobody_called_opens_nothing_and_the_new_one_does(deployment, another):
    old = await make(deployment, "news")
    rest_at_once(another)
    services = await another.admit("news", {KEY: old})
    await eventually(lambda: asyncio.sleep(0, another.polling._watched[services.models].rests))
    record, new = await deployment.loops.regenerate("news", 1, own_keys=())
    await deployment.note(record)
    await asyncio.sleep(0.2)
    with pytest.raises(AccessDeniedError):
        await another.admit("news", {KEY: old})
    assert await another.admit("news", {KEY: new}) is services


async def test_a_loop_that_was_deleted_while_nobody_called_is_not_there_for_the_next_call(deployment, another):
    key = await make(deployment, "news")
    rest_at_once(another)
    services = await another.admit("news", {KEY: key})
    await eventually(lambda: asyncio.sleep(0, another.polling._watched[services.models].rests))
    await deployment.note(await deployment.loops.delete("news"))
    await asyncio.sleep(0.2)
    with pytest.raises(ResourceNotFoundError):
        await another.admit("news", {KEY: key})
    assert "news" not in another._present


async def test_a_deleted_loop_is_let_go_in_every_process_though_nobody_calls_for_it(deployment, another, clock):
    """In one that polled for it, and in one that only trains."""
    await make(deployment, "news")
    await (await present(another, "news")).models.served()
    services = await present(deployment, "news")
    for number in range(20):
        await services.ranker.rank(situation(), event_id=f"e{number}", deferred=False)
    clock.at += timedelta(seconds=30)
    trainer = Deployment(deployment.settings, clock=clock)
    assert await _train(trainer, "news")
    assert trainer.shared.learners.held > 0
    await deployment.note(await deployment.loops.delete("news"))

    async def is_gone() -> bool:
        return "news" not in another._present

    await eventually(is_gone)
    assert kept_of(another) == 0
    assert await _train(trainer, "news")
    assert (kept_of(trainer), trainer._present) == (0, {})
    await trainer.close()


async def test_what_nobody_has_asked_for_in_an_hour_is_let_go_and_built_again_when_it_is(deployment, monkeypatch):
    await make(deployment, "news")
    before = await present(deployment, "news")
    deployment._asked["news"] -= 3_601
    deployment._swept -= 61
    await deployment.fresh(DEFAULT_LOOP)
    assert deployment._present.keys() == {DEFAULT_LOOP}
    assert await present(deployment, "news") is not before


async def test_all_loops_of_a_process_share_an_encoder_and_its_budgets(deployment):
    services = []
    for name in ("one", "two"):
        await make(deployment, name)
        services.append(await present(deployment, name))
    encoders = {each.ranker._decider._encoders for each in services} | {each.slots._decider._encoders for each in services}
    encoders |= {each.trainer._stepper._encoders for each in services} | {each.trainer._retrainer._encoders for each in services}
    assert encoders == {deployment.shared.encoders}
    assert {each.models._budget for each in services} == {deployment.shared.models}
    assert {each.trainer._stepper._learners for each in services} == {deployment.shared.learners}


async def test_what_clients_sent_and_looked_at_lately_is_remembered_once_for_all_loops_and_a_loop_knows_its_own_alone(deployment):
    lives = []
    for _ in range(2):
        for name in ("one", "two"):
            await make(deployment, name)
            lives.append(await present(deployment, name))
        for name in ("one", "two"):
            await deployment.note(await deployment.loops.delete(name))
    report = Report("e1", 0.5, "", None, id="r1")
    assert {each.uploads._reported for each in lives} == {deployment.shared.reported}
    assert {each.verified._verifier._lately for each in lives} == {deployment.shared.decided}
    assert {each.evaluations._results for each in lives} == {deployment.shared.results}
    assert len({each.evaluations._place for each in lives}) == len(lives)
    assert len({each.uploads._mark(report) for each in lives}) == len(lives) == 4


async def test_live_figures_count_in_what_all_loops_of_a_process_may_keep_and_go_with_their_loop(deployment, clock):
    await make(deployment, "news")
    services = await present(deployment, "news")
    await services.ranker.rank(situation(), event_id="e1", deferred=False)
    clock.at += timedelta(seconds=30)
    await services.trainer.run()
    budget = deployment.shared.logs
    before = budget.held
    first = await services.figures.report(Query(5))
    assert budget.held > before
    budget.hold(Filler(), budget.most)
    assert (services.figures._told, services.figures._read) == ({}, None)
    assert await services.figures.report(Query(5)) == first
    await deployment.note(await deployment.loops.delete("news"))
    assert services.figures not in budget._sizes
    await services.figures.report(Query(60))
    assert services.figures not in budget._sizes, "a call that was under way"


class Filler:
    """Something that takes all the room there is."""

    used_at = 0.0

    def let_go(self) -> int:
        return 0


@pytest.mark.parametrize(("megabytes", "parts"), [("256", (48, 32, 32)), ("1024", (192, 128, 128)), ("2048", (384, 256, 256))])
async def test_budgets_follow_the_memory_that_a_process_plans_with(storage, megabytes, parts):
    deployment = Deployment(read_settings({**settings_of(storage), **SETTINGS, "PERSONALIZER_MEMORY_MB": megabytes}))
    shared = deployment.shared
    assert tuple(each.most >> 20 for each in (shared.learners, shared.models, shared.logs)) == parts
    await deployment.close()


# --- a record that cannot be read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ['{"format": 99, "keys": ["", "DIGEST"]}', '{"format": 2, "settings": {"x": 1}, "keys": ["DIGEST", ""]}'])
async def test_a_process_that_starts_on_an_unreadable_record_serves_the_apps_settings_to_the_stored_keys(deployment, text):
    digest = key_digest("regenerated")
    files = Files(deployment.storage, names.MODELS)
    await files.write_once(names.configuration_file(DEFAULT_LOOP), text.replace("DIGEST", digest).encode())
    services = await deployment.admit(DEFAULT_LOOP, {KEY: "regenerated"})
    with pytest.raises(AccessDeniedError):
        await deployment.admit(DEFAULT_LOOP, {KEY: "first"})
    served = await services.models.served()
    assert served.settings == deployment.settings.loop
    assert "configuration" in (served.error or "")


async def test_a_record_without_keys_that_cannot_be_read_leaves_the_apps_keys_in_force(deployment):
    await Files(deployment.storage, names.MODELS).write_once(names.configuration_file(DEFAULT_LOOP), b"nonsense")
    assert await deployment.admit(DEFAULT_LOOP, {KEY: "second"})


async def test_a_stored_policy_that_cannot_be_followed_does_not_keep_a_loop_from_starting(deployment):
    text = b'{"format": 2, "settings": {"policy": {"name": "x", "arguments": "--nonsense"}, "default_reward": 0.5}}'
    await Files(deployment.storage, names.MODELS).write_once(names.configuration_file(DEFAULT_LOOP), text)
    served = await (await deployment.admit(DEFAULT_LOOP, {KEY: "first"})).models.served()
    assert (served.settings.policy, served.settings.default_reward) == (deployment.settings.loop.policy, 0.5)
    assert "--nonsense" in (served.error or "")


# --- timers ----------------------------------------------------------------------------------------------------------------


async def test_a_timer_goes_over_all_loops_and_one_that_fails_stops_none_of_the_others(deployment):
    for name in ("one", "two", "three"):
        await make(deployment, name)
    done: list[str] = []

    async def do(_: Deployment, loop: str) -> None:
        done.append(loop)
        if loop == "three":
            raise StorageUnavailableError("down")
        if loop == "one":
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as failed:
        await for_each_loop(deployment, do, "it did not finish")
    assert done == [DEFAULT_LOOP, "one", "three", "two"]
    assert [type(error) for error in failed.value.exceptions] == [ZeroDivisionError, StorageUnavailableError]


async def test_a_run_ends_by_its_own_clock_and_the_next_begins_with_the_loop_behind_the_one_served_last(deployment):
    for name in ("a", "b", "c", "d"):
        await make(deployment, name)
    done: list[str] = []

    async def do(_: Deployment, loop: str) -> None:
        done.append(loop)

    rounds = Rounds()
    for _ in range(4):
        limit = TimeLimit(timedelta(minutes=4), monotonic=Ticks(70))
        await for_each_loop(deployment, do, "it did not finish", limit=limit, rounds=rounds)
    all_of_them = [DEFAULT_LOOP, "a", "b", "c", "d"]
    first = all_of_them.index(done[0])
    assert len(done) == 12
    assert done == ([*all_of_them[first:], *all_of_them[:first]] * 3)[:12]


async def test_a_loop_with_much_to_do_has_further_turns_and_keeps_no_other_waiting_for_more_than_one(deployment):
    for name in ("busy", "busier", "calm"):
        await make(deployment, name)
    left = {"busy": 3, "busier": 5}
    done: list[str] = []

    async def do(_: Deployment, loop: str) -> bool:
        done.append(loop)
        left[loop] = left.get(loop, 1) - 1
        return not left[loop]

    await for_each_loop(deployment, do, "it did not finish")
    assert done == [DEFAULT_LOOP, "busier", "busy", "calm", "busier", "busy", "busier", "busy", "busier", "busier"]


async def test_where_each_run_is_a_processs_first_every_loop_comes_first_now_and_then(deployment, clock):
    for name in ("one", "two"):
        await make(deployment, name)
    first = set()
    for _ in range(3):
        done: list[str] = []

        async def do(_: Deployment, loop: str, done: list[str] = done) -> None:
            done.append(loop)

        await for_each_loop(deployment, do, "it did not finish", rounds=Rounds())
        assert sorted(done) == [DEFAULT_LOOP, "one", "two"]
        first.add(done[0])
        clock.at += timedelta(minutes=1)
    assert first == {DEFAULT_LOOP, "one", "two"}


async def test_a_loop_that_fails_each_time_keeps_the_others_from_nothing(deployment):
    for name in ("bad", "good"):
        await make(deployment, name)
    turns: list[str] = []

    async def do(_: Deployment, loop: str) -> bool:
        turns.append(loop)
        if loop == "bad":
            raise StorageUnavailableError("down")
        return turns.count(loop) > 2

    with pytest.raises(ExceptionGroup):
        await for_each_loop(deployment, do, "it did not finish")
    assert turns == [DEFAULT_LOOP, "bad", "good", DEFAULT_LOOP, "good", DEFAULT_LOOP, "good"]


def test_no_run_is_let_go_on_for_longer_than_the_host_lets_it():
    host = json.loads((REPOSITORY / "host.json").read_text("utf-8"))
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    assert timedelta(hours=hours, minutes=minutes, seconds=seconds) >= 2 * (RUN_TIME + TURN)
    assert TURN >= 2 * SLICE


async def test_the_trainer_learns_every_loops_own_log_and_skips_deleted_ones(deployment, clock):
    for name in ("one", "two", "gone"):
        await make(deployment, name)
        services = await present(deployment, name)
        for number in range(3 if name == "one" else 2):
            await services.ranker.rank(situation(), event_id=f"e{number}", deferred=False)
            await services.rewarder.reward(f"e{number}", 1.0)
    await deployment.note(await deployment.loops.delete("gone"))
    clock.at += timedelta(seconds=30)
    await for_each_loop(deployment, _train, "training did not finish")
    progress = {name: await (await present(deployment, name)).progress.read() for name in (DEFAULT_LOOP, "one", "two")}
    assert {name: (each.counters.learned, each.pending) for name, each in progress.items()} == {
        DEFAULT_LOOP: (0, 0),
        "one": (3, 0),
        "two": (2, 0),
    }
    assert not [blob for blob in await blobs(deployment, "gonex0001") if "/models/" in blob]


async def test_a_loop_whose_record_cannot_be_read_fails_the_run_and_the_others_are_trained(deployment, clock):
    await make(deployment, "good")
    services = await present(deployment, "good")
    await services.ranker.rank(situation(), event_id="e1", deferred=False)
    await Files(deployment.storage, names.MODELS).write_once(names.configuration_file("bad"), b"nonsense")
    clock.at += timedelta(seconds=30)
    with pytest.raises(ExceptionGroup) as failed:
        await for_each_loop(deployment, _train, "training did not finish")
    assert all(isinstance(error, PersonalizerError) for error in failed.value.exceptions)
    assert (await services.progress.read()).counters.learned == 1


async def test_retention_erases_what_a_deleted_loop_left_and_looks_again_for_a_day(deployment, clock):
    for name in ("gone", "stays"):
        await make(deployment, name)
        services = await present(deployment, name)
        await services.ranker.rank(situation(), event_id="e1", deferred=False)
        clock.at += timedelta(seconds=30)
        await services.trainer.run()
        assert await blobs(deployment, f"{name}x0001")
        assert await tables(deployment, f"{name}x0001")
    late = await present(deployment, "gone")
    await deployment.note(await deployment.loops.delete("gone"))
    await for_each_loop(deployment, _retain, "retention did not finish")
    assert (await blobs(deployment, "gonex0001"), await tables(deployment, "gonex0001")) == ([], [])
    assert await blobs(deployment, "staysx0001")
    clock.at += timedelta(hours=2)
    await late.store.write_state("00000099-late", b"from a process that had not heard of it")
    await for_each_loop(deployment, _retain, "retention did not finish")
    assert await blobs(deployment, "gonex0001") == []
    assert (await deployment.record("gone")).remains, "it is looked at again"
    clock.at += timedelta(days=1)
    await for_each_loop(deployment, _retain, "retention did not finish")
    assert (await deployment.record("gone")).remains == ()
    assert await tables(deployment, "staysx0001")


async def test_erasing_an_old_life_leaves_the_new_one_alone(deployment, clock):
    await make(deployment, "news")
    await (await present(deployment, "news")).ranker.rank(situation(), event_id="old", deferred=False)
    await deployment.note(await deployment.loops.delete("news"))
    await make(deployment, "news")
    services = await present(deployment, "news")
    await services.ranker.rank(situation(), event_id="new", deferred=False)
    clock.at += timedelta(days=2)
    for _ in range(2):
        await for_each_loop(deployment, _retain, "retention did not finish")
    assert (await deployment.record("news")).remains == ()
    assert await tables(deployment, "newsx0001") == []
    assert (await services.progress.read()).ranked == 1


async def test_a_loop_may_be_named_as_another_begins(deployment):
    """`news` and `newsroom`, whose tables and blobs begin alike."""
    for name in ("news", "newsroom"):
        await make(deployment, name)
        await (await present(deployment, name)).ranker.rank(situation(), event_id="e1", deferred=False)
    await deployment.note(await deployment.loops.delete("news"))
    await for_each_loop(deployment, _retain, "retention did not finish")
    assert (await (await present(deployment, "newsroom")).progress.read()).ranked == 1
