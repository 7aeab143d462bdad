"""What is counted of a log: the same as the trainer counts, of bounded size, and the same wherever it was stopped."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from shared.domain.errors import UnreadableError
from shared.domain.events import SkipReason
from shared.services.breakdowns import from_log
from shared.services.breakdowns.from_log import LogCount
from shared.services.breakdowns.table import DAY, HOUR
from shared.services.breakdowns.window import broken_down
from shared.services.figures.logged import logged
from tests.builders import T0, after
from tests.services.analysis.logs import drawn

EVENTS = drawn(200, every=60.0)
EVER = after(10**9)


def count(*batches, since=T0, until=EVER, feature="user.kind") -> LogCount:
    found = LogCount(feature, since, until)
    for each in batches:
        found.take(each)
    return found


def rows(table) -> dict[str, tuple[float, float]]:
    rewards = table._by_key(table.sums.rewards)
    return dict(zip(table.keys.texts, zip(table.events.tolist(), rewards.tolist(), strict=True), strict=True))


def test_it_counts_what_the_trainer_counts():
    theirs, mine = broken_down(EVENTS, logged(EVENTS), "user.kind"), count(EVENTS[:70], EVENTS[70:]).found
    for name in ("actions", "values", "pairs"):
        assert rows(getattr(mine, name)) == rows(getattr(theirs, name))
    assert sum(n for n, _ in rows(mine.values).values()) == len(EVENTS)


def test_only_events_of_the_range_that_were_learned_count():
    skipped = [replace(EVENTS[15], skip=SkipReason.DUPLICATE), *EVENTS[16:]]
    found = count([*EVENTS[:15], *skipped], since=EVENTS[10].decision.decided_at, until=EVENTS[20].decision.decided_at)
    assert found.events == 9
    assert found.found.actions.events.sum() == 9


def test_a_count_that_is_stopped_and_taken_up_is_the_same_to_the_byte():
    through, resumed = count(EVENTS[:90], EVENTS[90:]), count(EVENTS[:90])
    again = LogCount("user.kind", T0, EVER)
    again.load(resumed.dump())
    again.take(EVENTS[90:])
    assert again.dump() == through.dump()


def test_what_cannot_be_read_to_its_end_changes_nothing():
    def broken():
        yield from EVENTS[50:60]
        raise UnreadableError("cut off")

    found = count(EVENTS[:50])
    before = found.dump()
    with pytest.raises(UnreadableError):
        found.take(broken())
    assert (found.dump(), found.events) == (before, 50)


@pytest.mark.parametrize(("every", "minutes"), [(timedelta(minutes=20), HOUR), (timedelta(hours=9), DAY), (timedelta(days=10), 32 * DAY)])
def test_buckets_are_as_long_as_it_takes_to_have_few_of_them(every, minutes):
    found = count(*[[each] for each in drawn(250, every=every.total_seconds())])
    assert found.minutes == minutes
    assert len(np.unique(found.found.actions.begins)) <= from_log.MOST_BUCKETS
    assert found.found.actions.events.sum() == found.found.pairs.events.sum() == 250


def test_values_beyond_the_most_frequent_are_counted_together(monkeypatch):
    monkeypatch.setattr("shared.services.breakdowns.window.MOST_VALUES", 1)
    found = count(EVENTS).found.values
    assert len(found.keys) == 1
    assert found.sums.events.sum() == len(EVENTS)


def test_an_event_of_a_thinned_log_counts_for_those_that_were_left_out():
    found = count([replace(EVENTS[0], pdrop=0.75), EVENTS[1]])
    assert (found.events, found.thinned, found.found.actions.sums.events.sum()) == (2, 1, 5.0)
    assert found.found.values.sums.known.sum() == 5.0


@pytest.mark.parametrize("data", [b"", b"\0" * 20, (7).to_bytes(8, "little") + count(EVENTS).dump()[8:]])
def test_anything_else_is_not_read(data):
    with pytest.raises(UnreadableError):
        from_log.read(data)
