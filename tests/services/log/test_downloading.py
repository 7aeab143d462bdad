"""The log handed out in pieces: together they are the whole range, none is large, and a place that is gone is said to be gone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import InvalidRequestError, ResourceNotFoundError
from shared.joining.dsjson import lines
from shared.services.log import downloading
from shared.services.log.downloading import Downloads, Piece
from shared.services.log.exporting import Exporter
from tests.builders import T0
from tests.services.analysis.desk import Fate, Log
from tests.services.analysis.logs import drawn

EVENTS = drawn(60, every=60.0)


def log_of(*sizes: int) -> Log:
    parts, first = [], 0
    for size in sizes:
        parts.append(EVENTS[first : first + size])
        first += size
    return Log(Fate(), parts)


def of(log: Any) -> Downloads:
    return Downloads(Exporter(log))


async def pieces(log: Log, since: datetime | None = None, until: datetime | None = None) -> list[Piece]:
    downloads = of(log)
    found = [await downloads.piece(since, until)]
    while found[-1].following:
        found.append(await downloads.piece(since, until, cursor=found[-1].following))
        assert len(found) < 100
    return found


@pytest.mark.parametrize("most", [1, 7, 10, 1_000])
@pytest.mark.parametrize("limit", ["MOST_LINES", "MOST_BYTES", "MOST_CHUNKS"])
async def test_all_pieces_together_are_the_range(monkeypatch, limit, most):
    monkeypatch.setattr(downloading, limit, most * (200 if limit == "MOST_BYTES" else 1))
    log, since, until = log_of(10, 1, 29, 20), T0 + timedelta(minutes=5), T0 + timedelta(minutes=55)
    found = await pieces(log, since, until)
    assert b"".join(each.text for each in found) == lines(EVENTS[5:55])
    assert sum(each.events for each in found) == 50
    if limit == "MOST_LINES":
        assert all(each.events <= most for each in found)


async def test_a_range_without_events_is_one_empty_piece():
    assert await pieces(log_of(10), T0 - timedelta(days=2), T0 - timedelta(days=1)) == [Piece(b"", 0, "")]
    assert await pieces(Log(Fate(), [])) == [Piece(b"", 0, "")]


async def test_what_came_meanwhile_does_not_move_the_place(monkeypatch):
    monkeypatch.setattr(downloading, "MOST_LINES", 7)
    log = log_of(10, 10)
    first = await of(log).piece(None, None)
    log.add(EVENTS[20:30])
    second = await of(log).piece(None, None, cursor=first.following)
    assert first.text + second.text == lines(EVENTS[:14])


async def test_a_place_that_is_gone_or_was_never_there_is_refused(monkeypatch):
    monkeypatch.setattr(downloading, "MOST_LINES", 7)
    log = log_of(10, 10)
    first = await of(log).piece(None, None)
    log.texts.pop(next(iter(log.texts)))
    with pytest.raises(ResourceNotFoundError, match="not there any more"):
        await of(log).piece(None, None, cursor=first.following)
    for nonsense in ("x", ":", "a:b", "a:-1", "a:1 ", "é:1", "x" * 500 + ":1"):
        with pytest.raises(InvalidRequestError):
            await of(log).piece(None, None, cursor=nonsense)
