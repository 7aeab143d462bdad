"""Breakdowns from the log as jobs: step by step, the same wherever a worker dies, and gone when they are deleted."""

import pytest

from shared.domain.errors import BreakdownNotFoundError, BreakdownWithoutResultError
from shared.domain.evaluation import Asked, Job, JobKind, JobStatus, LogBreakdown
from shared.services.analysis import running
from shared.services.analysis.counting import Counting
from shared.services.analysis.evaluations import LogBreakdowns
from shared.services.breakdowns.reading import Query
from shared.services.log.logs import DateRange
from tests.builders import T0, after
from tests.services.analysis.desk import TOMORROW, Desk
from tests.services.analysis.logs import drawn

EVENTS = drawn(300, every=60.0)


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(running, "STEP_EVENTS", 70)


class Range:
    async def date_range(self) -> DateRange | None:
        return DateRange(T0, TOMORROW)


def desk_of(events=EVENTS) -> Desk:
    desk = Desk([events[first : first + 50] for first in range(0, len(events), 50)])
    desk.methods[JobKind.BREAKDOWN] = Counting(desk.records)
    return desk


def service(desk: Desk) -> LogBreakdowns:
    return LogBreakdowns(desk.records, Range(), desk.runner, clock=desk.clock)


async def asked(desk: Desk, *, feature: str = "user.kind", since=T0, until=TOMORROW, name: str = "b1") -> None:
    await service(desk).submit(Asked("mine", since, until), feature, request_id="", job_id=name)


async def finished(desk: Desk) -> LogBreakdown:
    for _ in range(1_000):
        if not desk.queue.waiting:
            break
        await desk.deliver()
    found: LogBreakdown = desk.records.values["b1"][0]
    return found


async def told(desk: Desk) -> list[tuple[str | None, int]]:
    return [(row.text, row.cell.events) for row in (await service(desk).segments("b1", Query())).rows]


async def test_it_counts_all_events_of_the_range_by_a_feature_that_was_never_chosen():
    desk = desk_of()
    await asked(desk)
    found = await finished(desk)
    assert (found.job.status, found.events, found.counted_until) == (JobStatus.SUCCEEDED, 300, TOMORROW)
    listing = await service(desk).segments("b1", Query())
    assert {row.text for row in listing.rows} == {"young", "old"}
    assert (listing.total.cell.events, listing.since, listing.watermark, listing.feature) == (300, T0, TOMORROW, "user.kind")
    assert all(row.trend and sum(point.events for point in row.trend) == row.cell.events for row in listing.rows)
    actions, crossed = await service(desk).actions("b1", Query()), await service(desk).crossed("b1", actions=5, values=5)
    assert sum(row.cell.events for row in actions.rows) == 300
    assert sum(cell.events for cells in crossed.cells for cell in cells if cell) == 300


async def test_only_the_range_counts():
    desk = desk_of()
    await asked(desk, since=after(60 * 100), until=after(60 * 120))
    assert (await finished(desk)).events == 20
    assert sum(n for _, n in await told(desk)) == 20


@pytest.mark.parametrize("done_first", [False, True])
@pytest.mark.parametrize("dies_at", [5, 15, 25])
@pytest.mark.sweep(keep=2)
async def test_a_worker_that_dies_changes_nothing(dies_at, done_first):
    undisturbed, desk = desk_of(), desk_of()
    for each in (undisturbed, desk):
        await asked(each)
    desk.fate.calls, desk.fate.number, desk.fate.done_first = 0, dies_at, done_first
    assert await finished(desk) == await finished(undisturbed)
    assert await told(desk) == await told(undisturbed)


async def test_while_it_is_under_way_it_says_how_far_it_is_and_has_no_figures():
    desk = desk_of()
    await asked(desk)
    for _ in range(2):
        await desk.deliver()
    with pytest.raises(BreakdownWithoutResultError, match=r"Running.*of 6 chunks of the log done"):
        await service(desk).segments("b1", Query())


async def test_one_that_is_deleted_on_its_way_ends_and_leaves_nothing():
    desk = desk_of()
    await asked(desk)
    for _ in range(2):
        await desk.deliver()
    await service(desk).delete("b1")
    while desk.queue.waiting:
        await desk.deliver()
    assert not desk.records.values
    assert not desk.files.values


async def test_one_that_is_over_keeps_its_figures_and_no_more():
    desk = desk_of()
    await asked(desk)
    await finished(desk)
    assert {name.partition("/")[2] for name in desk.files.values} == {"board", "report"}
    desk.clock.pass_(running.KEPT.total_seconds() * 2)
    await desk.runner.sweep()
    assert sum(n for _, n in await told(desk)) == 300


async def test_a_range_without_events_gives_empty_tables():
    desk = desk_of()
    await asked(desk, since=after(-7200), until=after(-3600))
    found = await finished(desk)
    assert (found.job.status, await told(desk)) == (JobStatus.SUCCEEDED, [])
    assert not (await service(desk).crossed("b1", actions=5, values=5)).actions
    assert (await service(desk).actions("b1", Query())).total.cell.events == 0


async def test_figures_that_are_lost_are_said_to_be_lost():
    desk = desk_of()
    await asked(desk)
    await finished(desk)
    desk.files.values.clear()
    with pytest.raises(BreakdownWithoutResultError, match="not there any more"):
        await told(desk)


async def test_all_are_cleared_with_the_log():
    desk = desk_of()
    for number in range(3):
        await desk.records.create(LogBreakdown(Job(f"b{number}", "mine", T0, TOMORROW, desk.clock.now()), "user.kind"))
    await service(desk).clear()
    assert not desk.records.values
    with pytest.raises(BreakdownNotFoundError):
        await told(desk)
