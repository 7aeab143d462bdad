"""Advice, from what is stored: a bounded look at the newest chunks of the joined log."""

import logging
from datetime import timedelta

import pytest

from shared.advice.advice import Code
from shared.domain.errors import StorageUnavailableError, UnreadableError
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


async def test_a_chunk_is_looked_at_once_and_the_five_newest_are(one, adviser, log):
    for number in range(7):
        await learn(one, f"e{number}")
    await codes(one, adviser)
    await codes(one, adviser)
    assert log.looked_at == [*reversed(await one.joined.chain())][:5]


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
    assert "advice is given without all that is logged" in caplog.text
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
