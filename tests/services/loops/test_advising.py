"""Advice, from what is stored: a bounded look at the newest chunks of the joined log."""

import logging
from datetime import timedelta

import pytest

from shared.advice.advice import Code
from shared.domain.errors import StorageUnavailableError, UnreadableError
from shared.domain.events import Action, JsonValue, Situation
from shared.services.figures.reading import LiveFigures
from shared.services.loops.advising import Adviser
from tests.builders import decision, situation
from tests.processes import WAIT, Process

ASKED = situation(context={"user": {"mail": "anna@example.org"}})


class Counted:
    """The joined log, and which of its chunks were looked at."""

    def __init__(self, process: Process) -> None:
        self.joined = process.joined
        self.looked_at: list[str] = []
        self.failure: Exception | None = None

    async def head(self, name, *, size):
        self.looked_at.append(name)
        if self.failure is not None:
            raise self.failure
        return await self.joined.head(name, size=size)


@pytest.fixture
def log(one) -> Counted:
    return Counted(one)


@pytest.fixture
def adviser(one, log) -> Adviser:
    return Adviser(log, LiveFigures(one.store))


async def learn(one: Process, *event_ids: str) -> None:
    for each in event_ids:
        await one.log.append_decision(decision(each, at=one.clock.now(), asked=ASKED))
    one.clock.pass_(WAIT + 1)
    await one.train()


async def codes(one: Process, adviser: Adviser) -> list[Code]:
    return [each.code for each in await adviser.advice(await one.progress())]


async def test_before_anything_is_ranked_that_is_the_advice(one, adviser, log):
    assert (await codes(one, adviser), log.looked_at) == ([Code.NOTHING_RANKED], [])


async def test_what_was_learned_is_looked_at(one, adviser):
    await learn(one, "e1", "e2")
    assert await codes(one, adviser) == [Code.FEW_EVENTS, Code.PERSONAL_DATA]


@pytest.mark.parametrize(("events", "looked_at"), [(50, 5), (1, 20)])
async def test_a_chunk_is_looked_at_once_and_the_five_newest_are_or_more_of_few_events(one, adviser, log, events, looked_at):
    for number in range(looked_at + 2):
        await learn(one, *[f"e{number}-{each}" for each in range(events)])
    await codes(one, adviser)
    await codes(one, adviser)
    assert log.looked_at == [*reversed(await one.joined.chain())][:looked_at]


def first_hour(number: int) -> Situation:
    """What an application sends that takes ids and times for features; made for each call but for the segment and the topics."""
    moment: dict[str, JsonValue] = {
        "at": f"2026-05-17T12:{number // 5:02}Z",
        "traceparent": f"00-{number:032x}",
        "ns": 1_779_019_200 * 10**9 + number,
    }
    context: dict[str, JsonValue] = {"moment": moment, "segment": "new" if number % 3 else "regular"}
    actions = tuple([Action(f"{number}-{n}", ({"topic": f"topic {n}", "shown": f"call {number}"},)) for n in range(5)])
    return Situation((context,), actions)


@pytest.mark.parametrize("chunks", [1, 30])
async def test_in_the_first_hour_fresh_ids_unique_texts_and_times_are_told(one, adviser, chunks):
    for part in range(chunks):
        for number in range(part * 150 // chunks, (part + 1) * 150 // chunks):
            made = decision(f"e{number}", at=one.clock.now(), asked=first_hour(number), probabilities=(1 / 5,) * 5)
            await one.log.append_decision(made)
        one.clock.pass_(WAIT + 1)
        await one.train()
    advice = await adviser.advice(await one.progress())
    found = {(each.code, each.feature) for each in advice}
    different = {name for code, name in found if code is Code.ALWAYS_DIFFERENT}
    assert different == {"moment.at", "moment.traceparent", "moment.ns", "shown"}
    assert {(Code.NEW_ACTIONS, ""), (Code.FEW_EVENTS, "")} <= found


async def test_of_a_deleted_log_nothing_is_said_any_more(one, adviser):
    await learn(one, "e1")
    assert Code.PERSONAL_DATA in await codes(one, adviser)
    await one.logs.delete()
    assert Code.PERSONAL_DATA not in await codes(one, adviser)


@pytest.mark.parametrize("failure", [StorageUnavailableError("storage is away"), UnreadableError("damaged")])
async def test_a_log_that_cannot_be_read_leaves_the_rest_of_the_advice(one, adviser, log, failure, caplog):
    await learn(one, "e1")
    log.failure = failure
    with caplog.at_level(logging.WARNING):
        assert await codes(one, adviser) == [Code.FEW_EVENTS]
    assert "advice is given without a part of the log" in caplog.text
    log.failure = None
    assert await codes(one, adviser) == [Code.FEW_EVENTS, Code.PERSONAL_DATA]


async def test_what_was_put_right_is_not_told_any_more(one, adviser):
    await learn(one, *["again"] * 30)
    assert Code.DUPLICATES in await codes(one, adviser)
    one.clock.pass_(timedelta(days=2).total_seconds())
    await learn(one, *[f"e{number}" for number in range(30)])
    assert (await one.pointer()).counters.skipped == {"duplicate": 29}
    assert Code.DUPLICATES not in await codes(one, adviser)


async def test_a_clock_that_is_wrong_is_told_as_it_is_when_asked(one, log):
    ahead = timedelta(0)
    adviser = Adviser(log, LiveFigures(one.store), clock_ahead=lambda: ahead)
    assert await codes(one, adviser) == [Code.NOTHING_RANKED]
    ahead = timedelta(seconds=-9)
    assert await codes(one, adviser) == [Code.NOTHING_RANKED, Code.CLOCK_WRONG]


async def test_a_chunk_is_read_no_further_than_asked(one):
    await learn(one, *[f"e{number}" for number in range(50)])
    name = (await one.pointer()).chunk
    whole = (await one.joined.chunk(name)).splitlines()
    lines, parent = await one.joined.head(name, size=5_000)
    assert (list(lines), parent) == (whole[: len(lines)], "")
    assert 0 < len(lines) < len(whole)


async def test_a_chunk_that_is_gone_has_no_beginning(one):
    await learn(one, "e1")
    name = (await one.pointer()).chunk
    await one.logs.delete()
    assert await one.joined.head(name, size=5_000) is None
