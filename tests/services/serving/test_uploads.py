"""Batches: what a client decided by itself is learned as if it had been decided here."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from shared.api.logs import read_interactions, read_observations
from shared.api.rank import ActionReader
from shared.domain.errors import EventTooLargeError, StorageUnavailableError
from shared.domain.events import LearningMode, Observation
from shared.domain.loop import RewardAggregation
from shared.domain.uploads import Report
from shared.joining.aggregation import aggregate
from shared.learning.encoding import Encoder
from shared.services.log.receipts import Fate, Outcome
from shared.services.serving.uploads import Uploads
from tests.builders import T0, after, situation
from tests.clocks import SetClock
from tests.processes import WAIT, Process
from tests.reliability.world import GRACE, LOOP


def line(event_id: str = "e1", **members) -> bytes:
    document = {
        "eventId": event_id,
        "contextFeatures": [{"user": {"segment": "s1"}}],
        "actions": [{"id": each, "features": [{"topic": f"of {each}", "length": 0.5}]} for each in "ab"],
        "ranking": [{"id": "b", "probability": 0.25}, {"id": "a", "probability": 0.75}],
        "rewardActionId": "b",
        "modelVersion": "00000007-abc",
    }
    return orjson.dumps(document | members)


async def upload(process: Process, *lines: bytes) -> None:
    await process.uploads.interactions(read_interactions(b"\n".join(lines), ActionReader()))


async def observe(process: Process, *documents: dict) -> None:
    await process.uploads.observations(read_observations(b"\n".join(map(orjson.dumps, documents))))


async def stored(process: Process) -> list:
    heads = [head async for minute in process.log.decision_heads(T0, after(86_400)) for head in minute]
    assert len(heads) <= 1
    return [event for segment in await process.log.decisions(heads) for event in segment.events or ()]


async def observed(process: Process) -> list:
    heads = [head async for minute in process.log.observation_heads(T0, after(86_400)) for head in minute]
    segments = await process.log.observations(heads)
    return [event for segment in segments for event in segment.events or ()]


async def learn(process: Process) -> None:
    process.clock.pass_(WAIT + 1)
    await process.train()


async def test_a_decision_is_stored_as_rank_would_have_stored_it(one):
    await upload(one, line(), line("e2", deferActivation=True, rewardActionId="a"))
    first, second = await stored(one)
    assert (first.event_id, first.chosen, first.probabilities, first.model_version) == ("e1", 1, (0.75, 0.25), "00000007-abc")
    assert first.encoded == Encoder().encode(situation("a", "b")).logged(1)
    assert (first.deferred, second.deferred, second.chosen) == (False, True, 0)


async def test_a_batch_is_joined_with_its_rewards_and_learned(one):
    await upload(one, *[line(f"e{number}") for number in range(30)])
    await observe(one, *[{"eventId": f"e{number}", "value": 1.0} for number in range(20)])
    await learn(one)
    found = await one.progress()
    assert (found.counters.learned, found.rewards, found.counters.unknown_rewards) == (30, 20, 0)
    assert (await one.receipts.find("e3")).decisions[0].reward == 1.0
    assert (await one.receipts.find("e25")).decisions[0].used_default


async def test_a_reward_with_an_id_that_is_sent_again_is_stored_once(one):
    first, second = {"eventId": "e1", "value": 0.5, "id": "r1"}, {"eventId": "e1", "value": 0.5, "id": "r2"}
    others = [{**first, "eventId": "e2"}, {**first, "value": 1.0}, {**first, "slotId": "top"}]
    await observe(one, first, first)
    await observe(one, first)
    await observe(one, second, first, *others)
    await observe(one, second, *others)
    assert [(each.event_id, each.reward, each.slot) for each in await observed(one)] == [
        ("e1", 0.5, ""),
        ("e1", 0.5, ""),
        ("e2", 0.5, ""),
        ("e1", 1.0, ""),
        ("e1", 0.5, "top"),
    ]


SUM = replace(LOOP, reward_aggregation=RewardAggregation.SUM)


@pytest.mark.parametrize("how", RewardAggregation)
@pytest.mark.parametrize("later", [0, 3, 9])
async def test_a_reward_that_is_sent_again_to_another_process_counts_once(account, clock, how, later):
    first, second = (Process(account, clock, loop=replace(LOOP, reward_aggregation=how)) for _ in range(2))
    rewards = [{"eventId": "e1", "value": value, "id": f"r{value}", "timestamp": T0.isoformat()} for value in (0.25, 0.75, 0.5)]
    await upload(first, line())
    await observe(first, *rewards)
    clock.pass_(later)
    await observe(second, *rewards)
    await learn(second)
    (found,) = (await second.receipts.find("e1")).decisions
    assert found.reward == aggregate([0.25, 0.75, 0.5], how)
    counters = (await second.progress()).counters
    assert (counters.rewards, counters.repeated_rewards, counters.late_rewards, counters.unknown_rewards) == (6, 3, 0, 0)
    for each in (first, second):
        each.models.stop()


async def test_a_reward_that_is_sent_again_after_windows_were_learned_counts_once_and_is_late_after_its_wait(account, clock):
    process = Process(account, clock, loop=SUM)
    await upload(process, line())
    for _ in range(4):  # each time to a process that has begun anew, with other events learned in between
        again = Process(account, clock, loop=SUM)
        await observe(again, {"eventId": "e1", "value": 0.5, "id": "r"})
        await upload(again, line(f"between at {clock.at}"))
        clock.pass_(WAIT / 2 + 1)
        await again.train()
        again.models.stop()
    await learn(process)
    (found,) = (await process.receipts.find("e1")).decisions
    counters = (await process.progress()).counters
    assert found.reward == 0.5
    assert counters.rewards == 4 == 1 + counters.repeated_rewards + counters.late_rewards + counters.unknown_rewards
    assert counters.late_rewards > 0 < counters.repeated_rewards
    process.models.stop()


async def test_what_became_of_a_reward_that_was_sent_again_is_told(account, clock):
    first, second = (Process(account, clock, loop=SUM) for _ in range(2))
    await upload(first, line())
    for process in (first, second):
        clock.pass_(1)
        await observe(process, {"eventId": "e1", "value": 0.5, "id": "r"})
    (found,) = (await first.receipts.find("e1")).decisions
    assert [each.outcome for each in found.rewards] == [Outcome.PENDING, Outcome.UNUSED]
    await learn(first)
    (found,) = (await first.receipts.find("e1")).decisions
    assert [(each.outcome, each.reason) for each in found.rewards] == [
        (Outcome.COUNTED, ""),
        (Outcome.UNUSED, "its client has sent it before (id)"),
    ]
    for process in (first, second):
        process.models.stop()


async def test_an_activation_with_the_id_of_a_reward_does_not_count_as_the_same(one):
    await upload(one, line(deferActivation=True))
    await observe(one, {"eventId": "e1", "activate": True, "id": "1"}, {"eventId": "e1", "value": 0.5, "id": "1"})
    await learn(one)
    (found,) = (await one.receipts.find("e1")).decisions
    assert (found.fate, found.reward) == (Fate.LEARNED, 0.5)


async def test_a_reward_that_is_sent_again_while_it_is_being_stored_is_stored_once(one):
    first, second = {"eventId": "e1", "value": 0.5, "id": "r1"}, {"eventId": "e1", "value": 0.5, "id": "r2"}
    await asyncio.gather(observe(one, first), observe(one, second, first), observe(one, first), observe(one, second))
    assert len(await observed(one)) == 2


class FailingOnce:
    """A log whose first call fails after all that are ready have begun."""

    def __init__(self) -> None:
        self.stored: list[Observation] = []
        self._has_failed = False

    async def append_observations(self, observations: Sequence[Observation]) -> None:
        if not self._has_failed:
            self._has_failed = True
            await asyncio.sleep(0)
            raise StorageUnavailableError("down")
        self.stored.extend(observations)


async def test_a_reward_whose_first_storing_fails_is_stored_by_whoever_sent_it_again_meanwhile():
    log: Any = FailingOnce()
    no_models: Any = None
    uploads = Uploads(log, no_models, clock=SetClock(T0), grace=timedelta(minutes=10))
    batch = [Report("e1", 0.5, "", None, id="r1")]
    outcomes = await asyncio.gather(*[uploads.observations(batch) for _ in range(3)], return_exceptions=True)
    assert [type(each) for each in outcomes] == [StorageUnavailableError, type(None), type(None)]
    assert len(log.stored) == 1


async def test_rewards_without_an_id_are_all_stored(one):
    await observe(one, *[{"eventId": "e1", "value": 0.5, "timestamp": "2026-05-17"}] * 3)
    assert len(await observed(one)) == 3


async def test_an_activation_and_the_reward_of_a_slot_are_stored_as_such(one):
    await observe(one, {"eventId": "e1", "activate": True}, {"eventId": "e1", "value": -0.5, "slotId": "top"})
    assert [(each.event_id, each.reward, each.slot) for each in await observed(one)] == [("e1", None, ""), ("e1", -0.5, "top")]


async def test_a_clients_time_counts_as_far_back_as_the_join_can_look(one, clock):
    clock.at = after(100)
    oldest = clock.at - GRACE / 2
    told = {"none": None, "recent": clock.at - timedelta(seconds=1), "old": T0, "ahead": clock.at + timedelta(hours=1)}
    await upload(one, *[line(name, **({"timestamp": at.isoformat()} if at else {})) for name, at in told.items()])
    times = {each.event_id: each.decided_at for each in await stored(one)}
    assert times == {"none": clock.at, "recent": told["recent"], "old": oldest + timedelta(microseconds=2), "ahead": clock.at}


async def test_rewards_that_are_too_old_keep_their_order(one, clock):
    await upload(one, line())
    clock.pass_(8)
    await observe(one, *[{"eventId": "e1", "value": value, "timestamp": "2020-01-01"} for value in (0.5, 0.75, 1.0)])
    await learn(one)
    (found,) = (await one.receipts.find("e1")).decisions
    assert found.reward == 0.5


@pytest.mark.parametrize("age", [0, 2, 30, 3600])
async def test_what_was_reported_before_its_decision_was_uploaded_is_joined_whatever_times_are_told(one, clock, age):
    await observe(one, {"eventId": "e1", "value": 1.0})
    clock.pass_(2)
    await upload(one, line(timestamp=(clock.at - timedelta(seconds=age)).isoformat()))
    await learn(one)
    (found,) = (await one.receipts.find("e1")).decisions
    assert found.reward == 1.0


@pytest.mark.parametrize("mode", LearningMode)
async def test_a_batch_is_of_the_mode_that_the_loop_is_in(account, clock, mode):
    process = Process(account, clock, loop=replace(LOOP, learning_mode=mode))
    await upload(process, line())
    await observe(process, {"eventId": "e1", "value": 1.0})
    await learn(process)
    found = (await process.progress()).counters
    assert (found.learned, found.skipped) == ((0, {"loggingOnly": 1}) if mode is LearningMode.LOGGING_ONLY else (1, {}))
    process.models.stop()


async def test_a_batch_that_does_not_fit_in_a_row_is_refused_whole(one):
    noise = random.Random(5)

    def large() -> list[dict]:
        return [{"id": each, "features": [{"n": [noise.random() for _ in range(500)]}]} for each in "ab"]

    with pytest.raises(EventTooLargeError):
        await upload(one, *[line(f"e{number}", actions=large()) for number in range(80)])
    assert await stored(one) == []
