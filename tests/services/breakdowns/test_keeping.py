"""The breakdown of a loop on storage: it adds up with the counters, whatever becomes of its files, its log and its settings."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import NewerFormatError, UnreadableError
from shared.services.breakdowns import files, window
from shared.services.breakdowns.reading import Crossed, Gain, Listing, LiveBreakdown, Query, Range, Sort
from shared.services.breakdowns.window import Breakdown
from shared.storage import names
from shared.storage.files import Files
from tests.builders import T0, apprentice, decision, situation
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP

DAY = timedelta(days=1)


async def actions(process: Process, **query) -> Listing:
    return await LiveBreakdown(process.store).actions(Query(**query))


async def segments(process: Process, **query) -> Listing:
    return await LiveBreakdown(process.store).segments(Query(**query))


async def crossed(process: Process, span: Range | None = None) -> Crossed:
    return await LiveBreakdown(process.store).crossed(span or Range(), actions=10, values=10)


async def shown(process: Process, *events: tuple[str, int, str]) -> None:
    """Let events be ranked, by id, chosen action and segment, those whose ids begin with "r" be rewarded, and all be learned."""
    for name, chosen, segment in events:
        asked = situation("a", "b", context={"user": {"segment": segment}} if segment else {"user": {"age": 1}})
        await process.log.append_decision(decision(name, at=process.clock.now(), chosen=chosen, probabilities=(0.5, 0.5), asked=asked))
    await process.reward(*[name for name, _, _ in events if name.startswith("r")])
    process.clock.pass_(WAIT + 1)
    await process.train()


def told(found: Listing) -> list[tuple[str | None, int, float | None]]:
    return [(row.text, row.cell.events, row.cell.average_reward) for row in found.rows]


async def put(process: Process, data: bytes) -> None:
    """Replace the file behind everyone's back."""
    blobs = Files(process.account, names.MODELS)
    name = names.breakdown_file(LOOP.name, (await process.pointer()).breakdown)
    present = await blobs.read(name)
    assert present is not None
    await blobs.replace(name, data, expected=present.etag)


async def test_before_the_first_commit_there_is_none(one):
    for found in (await actions(one), await segments(one)):
        assert (found.since, found.watermark, found.feature, [*found.rows], found.total.cell.events) == (None, None, "", [], 0)
    assert (await crossed(one)).cells == ()


async def test_it_tells_what_was_shown_to_whom_and_what_it_earned(one):
    await shown(one, ("r1", 0, "young"), ("2", 0, "young"), ("r3", 1, "old"), ("r4", 1, ""))
    assert told(await actions(one)) == [("a", 2, 0.5), ("b", 2, 1.0)]
    assert told(await segments(one)) == [("young", 2, 0.5), (None, 1, 1.0), ("old", 1, 1.0)]
    found = await crossed(one)
    assert [[cell and (cell.events, cell.share) for cell in row] for row in found.cells] == [
        [(2, 1.0), None, None],
        [None, (1, 1.0), (1, 1.0)],
    ]
    assert ([row.text for row in found.actions], [row.text for row in found.values]) == (["a", "b"], ["young", None, "old"])


async def test_it_adds_up_with_the_counters(one):
    await shown(one, ("r1", 0, "young"), ("2", 0, "old"), ("2", 0, "old"))
    await one.log.append_decision(apprentice("imitated", at=one.clock.now()))
    await one.log.append_decision(decision("slotted", at=one.clock.now(), slot="banner"))
    await one.log.append_decision(decision("deferred", at=one.clock.now(), deferred=True))
    one.clock.pass_(WAIT + 1)
    await one.train()
    learned = (await one.progress()).counters.learned
    assert learned == 4
    for found in (await actions(one), await segments(one)):
        assert found.total.cell.events == sum(row.cell.events for row in found.rows) == learned
        assert sum(point.events for row in found.rows for point in row.trend) == learned
        assert sum(row.cell.share or 0.0 for row in found.rows) == pytest.approx(1.0)


async def test_more_than_there_is_room_for_is_counted_among_the_others(one, monkeypatch):
    monkeypatch.setattr(window, "MOST_VALUES", 1)
    monkeypatch.setattr(window, "MOST_ACTIONS", 1)
    monkeypatch.setattr(window, "MOST_PAIRS", 1)
    await shown(one, ("r1", 0, "young"), ("r2", 0, "young"), ("3", 1, "old"))
    for found in (await actions(one), await segments(one)):
        assert [(row.cell.events, row.missed) for row in found.rows] == [(2, 0)]
        assert (found.others.cell.events, found.others.cell.average_reward, found.floor) == (1, 0.0, 1)
    assert (await crossed(one)).floor == 1


async def test_without_a_feature_only_actions_are_told(one):
    one.configuration.loop = replace(LOOP, breakdown_feature="")
    await shown(one, ("r1", 0, "young"))
    assert told(await actions(one)) == [("a", 1, 1.0)]
    assert ((await segments(one)).feature, (await crossed(one)).feature) == ("", "")


async def test_with_another_feature_its_values_begin_and_actions_stay(one):
    await shown(one, ("r1", 0, "young"))
    one.configuration.loop = replace(LOOP, breakdown_feature="user.age")
    one.clock.pass_(7200)
    await shown(one, ("2", 1, ""))
    assert told(await actions(one)) == [("a", 1, 1.0), ("b", 1, 0.0)]
    found = await segments(one)
    assert (found.feature, told(found)) == ("user.age", [("1", 1, 0.0)])
    assert found.since is not None
    assert found.since > T0
    (row,) = (await crossed(one)).actions
    assert row.text == "b"


async def test_an_idle_loop_writes_none(one):
    await shown(one, ("r1", 0, "young"))
    before = [name async for name in one.store.breakdowns_kept()]
    one.clock.pass_(7200)
    await one.train()
    assert [name async for name in one.store.breakdowns_kept()] == before == [(await one.pointer()).breakdown]


async def test_another_trainer_goes_on_from_what_was_committed(one, other):
    await shown(one, ("r1", 0, "young"))
    await shown(other, ("r2", 0, "young"))
    await shown(one, ("r3", 0, "young"))
    assert told(await actions(other)) == [("a", 3, 1.0)]


async def test_with_the_log_it_begins_anew_and_its_file_goes(one):
    await shown(one, ("r1", 0, "young"))
    one.clock.pass_(3600)
    await one.logs.delete()
    assert (await actions(one)).total.cell.events == 0
    await shown(one, ("2", 1, "old"))
    await one.retention.run()
    assert told(await actions(one)) == [("b", 1, 0.0)]
    assert [name async for name in one.store.breakdowns_kept()] == [(await one.pointer()).breakdown]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "missing"])
async def test_a_damaged_one_stops_no_training_and_begins_anew(one, other, caplog, damage):
    await shown(one, ("r1", 0, "young"))
    if damage is None:
        await one.store.delete_breakdown((await one.pointer()).breakdown)
    else:
        await put(one, damage)
    with pytest.raises(UnreadableError):
        await actions(one)
    await shown(other, ("2", 1, "old"))
    assert told(await actions(one)) == [("b", 1, 0.0)]
    assert (await one.progress()).counters.learned == 2
    assert "the breakdown cannot be read and starts again from zero" in caplog.text


async def test_one_of_a_newer_release_is_not_read_and_stops_no_training(one, other, monkeypatch):
    await shown(one, ("r1", 0, "young"))
    monkeypatch.setattr(files, "VERSION", 2)
    data = files.dump(files.Kept(T0, T0, Breakdown.none("")))
    monkeypatch.undo()
    await put(one, data)
    with pytest.raises(NewerFormatError):
        await actions(one)
    await shown(other, ("2", 1, "old"))
    assert told(await actions(one)) == [("b", 1, 0.0)]


async def test_a_pointer_of_an_earlier_release_has_none_and_it_begins_with_the_next_window(one):
    await shown(one, ("r1", 0, "young"))
    stored = await one.store.pointer()
    assert stored is not None
    await one.store.commit(replace(stored[0], breakdown=""), expected=stored[1])
    assert (await actions(one)).total.cell.events == 0
    await shown(one, ("2", 1, "old"))
    assert told(await actions(one)) == [("b", 1, 0.0)]


async def test_rows_are_searched_sorted_and_cut(one):
    await shown(one, ("r1", 0, "young"), ("r2", 0, "Older"), ("r3", 0, "Older"), ("4", 1, "old"))
    by = {sort: [row.text for row in (await segments(one, sort=sort)).rows] for sort in Sort}
    assert by == {
        Sort.EVENTS: ["Older", "old", "young"],
        Sort.REWARD: ["Older", "young", "old"],
        Sort.FIRST: ["Older", "old", "young"],
        Sort.LAST: ["Older", "old", "young"],
        Sort.NAME: ["young", "old", "Older"],
    }
    assert [row.text for row in (await segments(one, sort=Sort.NAME, is_ascending=True)).rows] == ["Older", "old", "young"]
    found = await segments(one, search="OLD", top=1, skip=1)
    assert ([row.text for row in found.rows], found.matched, found.known, found.total.cell.events) == (["old"], 2, 3, 4)


async def test_a_range_cuts_events_and_what_they_earned(one):
    await shown(one, ("r1", 0, "young"))
    one.clock.pass_(86_400)
    await shown(one, ("2", 0, "young"), ("3", 1, "young"))
    tomorrow = T0.replace(hour=0, minute=0) + DAY
    assert told(await actions(one, range=Range(until=tomorrow))) == [("a", 1, 1.0)]
    assert told(await actions(one, range=Range(since=tomorrow))) == [("a", 1, 0.0), ("b", 1, 0.0)]
    whole = await actions(one)
    assert [point.events for point in whole.rows[0].trend] == [1, 1]
    assert (whole.rows[0].first_seen, whole.rows[0].last_seen) == (T0, T0 + DAY), "to the minute"


async def test_a_gain_is_told_only_once_enough_events_stand_behind_the_baseline(one):
    await shown(one, *[(f"r{number}", number % 2, "young") for number in range(20)])
    early = await gain(one)
    assert (early.baseline, early.effective_events) == (1.0, 10.0)
    assert (early.lift.difference, early.lift.value, early.lift.more_events) == (None, None, 80)
    await shown(one, *[(f"{number}" if number % 2 == 0 else f"r{number}", number % 2, "young") for number in range(20, 260)])
    late = await gain(one)
    assert late.effective_events == 130.0
    assert late.lift.difference == pytest.approx(140 / 260 - 10 / 130)
    assert late.lift.value == pytest.approx(6.0)
    assert late.lift.difference_interval is not None
    assert late.lift.difference_interval[0] < 140 / 260 - 10 / 130 < late.lift.difference_interval[1]
    assert late.lift.interval is not None
    assert late.lift.interval[0] < 6.0


async def test_few_events_that_all_earned_the_same_leave_much_open(one):
    await shown(one, *[(f"r{number}", 0, "young") for number in range(4)], *[(f"{number}", 1, "young") for number in range(4)])
    ends = [row.cell.interval for row in (await actions(one)).rows]
    assert ends == [(pytest.approx(0.025**0.25), 1.0), (0.0, pytest.approx(1.0 - 0.025**0.25))]


async def gain(process: Process) -> Gain:
    (row,) = (await segments(process)).rows
    assert row.gain is not None
    return row.gain
