"""The live figures of a loop on storage: as exact as the counters, whatever becomes of its model, its log and its files."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.events import SkipReason
from shared.services.figures import files
from shared.services.figures.reading import LiveFigures, Query, Report
from shared.services.figures.timeline import Timeline
from shared.storage import names
from shared.storage.files import Files
from tests.builders import T0, apprentice, decision, observation
from tests.keeping import keeper
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP
from tests.stores import first_row, put_rows

HOUR = timedelta(hours=1)


async def report(process: Process, **query) -> Report:
    return await LiveFigures(process.store).report(Query(**{"minutes": 5, **query}))


async def window(process: Process, *event_ids: str) -> None:
    """Let some events be ranked, all but the first be rewarded, and all be learned."""
    await process.rank(*event_ids)
    await process.reward(*event_ids[1:])
    process.clock.pass_(WAIT + 1)
    await process.train()


async def kept(process: Process) -> list[str]:
    return [name async for name in process.store.figures_kept()]


async def put(process: Process, data: bytes) -> None:
    """Replace the figures' file behind everyone's back."""
    blobs = Files(process.account, names.MODELS)
    name = names.figures_file(LOOP.name, (await process.pointer()).figures)
    present = await blobs.read(name)
    assert present is not None
    await blobs.replace(name, data, expected=present.etag)


async def test_before_the_first_commit_there_are_none(one):
    found = await report(one)
    assert (found.since, found.watermark, found.totals.events, [*found.points], [*found.cumulated]) == (None, None, 0, [], [])
    assert [(each.expected_reward, each.interval) for each in found.totals.policies] == [(None, None)] * 3


async def test_they_agree_with_the_counters(one):
    await one.rank("a", "b", "repeated", "late")
    await one.rank("repeated")
    await one.log.append_decision(decision("deferred", at=one.clock.now(), deferred=True))
    await one.log.append_decision(apprentice("imitated", at=one.clock.now()))
    await one.log.append_decision(apprentice("not imitated", at=one.clock.now(), proposed=1))
    await one.reward("a", "nobody")
    one.clock.pass_(WAIT - 1)
    await one.log.append_observation(observation("late", at=one.clock.now()))
    one.clock.pass_(2 * WAIT)
    await one.train()
    await window(one, "c", "d")
    found, counters = await report(one), (await one.progress()).counters
    assert found.totals.events == counters.learned == sum(point.events for point in found.points) == 8
    assert _summed(found) == dict(counters.skipped) == {SkipReason.DUPLICATE: 1, SkipReason.NOT_ACTIVATED: 1}
    assert sum(point.rewards for point in found.points) == counters.rewards == 4
    assert sum(point.late_rewards for point in found.points) == counters.late_rewards == 1
    assert sum(point.unknown_rewards for point in found.points) == counters.unknown_rewards == 1
    assert found.totals.average_reward == pytest.approx(2 / 8)
    assert found.totals.match_rate == 0.5
    assert found.cumulated[-1].policies[0].interval == found.totals.policies[0].interval


async def test_what_proposals_can_have_earned_is_told_by_its_ends_where_nothing_else_was_shown(one):
    for number in range(10):
        proposed = 0 if number < 8 else 1
        await one.log.append_decision(apprentice(f"e{number}", at=one.clock.now(), proposed=proposed))
    await one.reward("e0", "e1", "e8")
    one.clock.pass_(WAIT + 1)
    await one.train()
    (point,) = [each for each in (await report(one)).points if each.events]
    assert point.match_rate == 0.8
    assert point.average_reward == pytest.approx(0.3)
    assert point.proposed_reward is not None
    assert point.proposed_reward == pytest.approx((0.1, 0.5)), "it earned 2 or so of 8 where both agreed, and 0 to 2 where they did not"
    least, most = point.proposed_reward
    assert least <= 2 / 10 <= (2 + 2) / 10 <= most, "the truth lies between"


async def test_where_the_policy_chose_nothing_is_told_of_proposals(one):
    await one.log.append_decision(apprentice("a", at=one.clock.now()))
    await window(one, "c", "d")
    assert [each.proposed_reward for each in (await report(one)).points if each.events] == [None]


def _summed(found: Report) -> dict[str, int]:
    sums: dict[str, int] = {}
    for point in found.points:
        for reason, count in point.skipped.items():
            sums[reason] = sums.get(reason, 0) + count
    return sums


async def test_damaged_segments_are_counted_where_the_window_ends(one):
    await one.rank("damaged")
    table = names.DayTable(LOOP.name, 1, names.Kind.DECISIONS, T0.date()).name
    await put_rows(one.account, table, [{**await first_row(one.account, table), "Payload00": b"nonsense"}])
    one.clock.pass_(WAIT + 1)
    await one.train()
    (point,) = (await report(one)).points
    assert (point.events, dict(point.skipped), point.average_reward) == (0, {SkipReason.QUARANTINED: 1}, None)


async def test_an_idle_loop_writes_none(one):
    await window(one, "a")
    before = await kept(one)
    one.clock.pass_(7200)
    await one.train()
    assert await kept(one) == before == [(await one.pointer()).figures]


async def test_another_trainer_goes_on_from_what_was_committed(one, other):
    await window(one, "a", "b")
    await window(other, "c")
    await window(one, "d")
    assert (await report(other)).totals.events == 4


async def test_whatever_becomes_of_the_model_they_stay(one):
    await window(one, "a", "b")
    keeping = keeper(one.account, one.clock.now(), store=LOOP.name)
    await window(one, "c")
    await keeping.restore((await keeping.versions())[-1].version)
    assert (await report(one)).totals.events == 3
    await keeping.delete()
    assert (await report(one)).totals.events == 3
    one.configuration.loop = replace(LOOP, resets=1)
    await one.train()
    assert (await one.pointer()).resets == 1
    await window(one, "d")
    assert (await report(one)).totals.events == (await one.progress()).counters.learned == 4


async def test_with_the_log_they_begin_anew(one):
    await window(one, "a", "b")
    one.clock.pass_(3600)
    await one.logs.delete()
    assert (await report(one)).totals.events == 0
    await window(one, "c")
    found = await report(one)
    assert (found.totals.events, (await one.progress()).counters.learned) == (1, 3)
    assert found.since is not None
    assert found.since > T0
    await one.retention.run()
    assert await kept(one) == [(await one.pointer()).figures]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "missing"])
async def test_damaged_ones_stop_no_training_and_begin_anew(one, other, caplog, damage):
    await window(one, "a", "b")
    if damage is None:
        await one.store.delete_figures((await one.pointer()).figures)
    else:
        await put(one, damage)
    with pytest.raises(UnreadableError):
        await report(one)
    await window(other, "c")
    assert (await report(one)).totals.events == 1
    assert (await one.progress()).counters.learned == 3
    assert "the live figures cannot be read and start again from zero" in caplog.text


async def test_those_of_a_newer_release_are_refused_and_kept(one, other, monkeypatch):
    await window(one, "a")
    monkeypatch.setattr(files, "_WITHOUT_TRIAL", 3)
    data = files.dump(files.Kept(T0, Timeline.none()))
    monkeypatch.undo()
    await put(one, data)
    with pytest.raises(NewerFormatError):
        await report(one)
    with pytest.raises(NewerFormatError):
        await window(other, "b")
    assert (await one.progress()).counters.learned == 1


async def test_a_pointer_of_an_earlier_release_has_none_and_they_begin_with_the_next_window(one):
    await window(one, "a")
    stored = await one.store.pointer()
    assert stored is not None
    await one.store.commit(replace(stored[0], figures=""), expected=stored[1])
    assert (await report(one)).totals.events == 0
    await window(one, "b")
    assert (await report(one)).totals.events == 1


async def test_retention_removes_those_that_no_pointer_names(one):
    await window(one, "a")
    stray = f"{(await one.pointer()).sequence:08d}-000000000000"
    await one.store.write_figures(stray, b"of a trainer that was beaten")
    being_written = f"{(await one.pointer()).sequence + 2:08d}-000000000000"
    await one.store.write_figures(being_written, b"of one that has not committed yet")
    await window(one, "b")
    assert len(await kept(one)) == 4
    for _ in range(2):
        await one.retention.run()
        assert await kept(one) == [(await one.pointer()).figures, being_written]
    assert (await report(one)).totals.events == 2


async def test_a_reader_that_was_overtaken_reads_again(one: Process, other: Process, monkeypatch):
    await window(one, "a")
    live = LiveFigures(one.store)

    async def overtaken(name: str) -> bytes:
        monkeypatch.undo()
        await window(other, "b")
        await other.retention.run()
        return await one.store.figures(name)

    monkeypatch.setattr(one.store, "figures", overtaken)
    assert (await live.report(Query(5))).totals.events == 2


async def test_without_storage_they_cannot_be_read(one, monkeypatch):
    await window(one, "a")

    async def gone() -> None:
        raise StorageUnavailableError("gone")

    monkeypatch.setattr(one.store, "pointer", gone)
    with pytest.raises(StorageUnavailableError):
        await report(one)


async def test_a_query_cuts_the_buckets_but_not_the_totals(one):
    for number in range(4):
        await window(one, f"e{number}")
        one.clock.pass_(3600 - WAIT - 1)
    assert [point.events for point in (await report(one)).points] == [1] * 4
    begin = one.clock.now().replace(minute=0, second=0)
    two = await report(one, since=begin - 3 * HOUR, until=begin - HOUR)
    assert [point.at for point in two.points] == [begin - 3 * HOUR, begin - 2 * HOUR]
    assert [each.policies[0].effective_events for each in two.cumulated] == [2, 3]
    assert two.totals.events == 4
    (day,) = (await report(one, minutes=1440)).points
    assert (day.at, day.events) == (T0.replace(hour=0), 4)


async def test_who_asks_again_gets_the_same_until_there_is_more_to_tell(one):
    await window(one, "a")
    live = LiveFigures(one.store)
    first = await live.report(Query(5, since=T0 - HOUR))
    assert await live.report(Query(5, since=T0 - 2 * HOUR)) is first
    assert await live.report(Query(60)) is not first
    assert (await live.report(Query(5, until=T0 - HOUR))).points == []
    await window(one, "b")
    assert (await live.report(Query(5, since=T0 - HOUR))).totals.events == 2
    for minute in range(20):
        await live.report(Query(5, since=T0 - minute * HOUR))
    assert first.totals.events == 1


async def test_what_is_older_than_two_days_is_told_by_hours_and_longer_only(one):
    await window(one, "a", "b")
    one.clock.pass_(3 * 86_400)
    await window(one, "c")
    assert [[point.events for point in (await report(one, minutes=minutes)).points] for minutes in (5, 60, 1440)] == [[1], [2, 1], [2, 1]]
    assert (await report(one)).cumulated[-1].policies[0].effective_events == 3
