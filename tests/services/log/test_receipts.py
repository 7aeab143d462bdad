"""Receipts: each fate of an event, from the hot log and from the joined log, within bounds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ResourceNotFoundError
from shared.domain.events import LearningMode
from shared.domain.loop import RewardAggregation
from shared.services.log import receipts
from shared.services.log.receipts import DecisionReceipt, Fate, Outcome, Receipt
from shared.storage import names
from tests.builders import T0, after, decision, observation
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP
from tests.stores import first_row, put_rows

DAY = 86_400


async def of(process: Process, event_id: str = "e1", **hint) -> DecisionReceipt:
    (found,) = (await process.receipts.find(event_id, **hint)).decisions
    return found


async def log(process: Process, *events) -> None:
    for event in events:
        if hasattr(event, "decided_at"):
            await process.log.append_decision(event)
        else:
            await process.log.append_observation(event)


async def learn(process: Process) -> None:
    process.clock.pass_(WAIT + 1)
    await process.train()


async def forget_hot(process: Process) -> None:
    """Let the hot log's tables of today go."""
    for name in await process.tables():
        await process.account.rows.drop(name)


async def forget_models(process: Process) -> None:
    """Let all models go, as if many others had been published since."""
    files = process.account.files(names.MODELS)
    for name in [each.name async for each in files.listing("") if "/models/" in each.name]:
        await files.delete(name)


async def test_an_event_that_waits_says_until_when(one):
    await log(one, decision(chosen=1, version="v"), observation(reward=0.5))
    found = await of(one)
    assert (found.fate, found.due, found.action_id, found.decision.model_version) == (Fate.PENDING, after(WAIT), "b", "v")
    assert [(reward.observation.reward, reward.outcome) for reward in found.rewards] == [(0.5, Outcome.PENDING)]


async def test_a_learned_event_names_its_reward_and_its_model(one):
    await log(one, decision(), observation(reward=0.5))
    await learn(one)
    found = await of(one)
    assert (found.fate, found.reward, found.used_default) == (Fate.LEARNED, 0.5, False)
    assert found.learned_in == (await one.pointer()).version != ""
    assert [(reward.observation.reward, reward.outcome) for reward in found.rewards] == [(0.5, Outcome.COUNTED)]


async def test_without_a_reward_the_default_one_was_learned(one):
    await log(one, decision())
    await learn(one)
    found = await of(one)
    assert (found.fate, found.reward, found.used_default, found.rewards) == (Fate.LEARNED, 0.0, True, ())


async def test_a_reward_after_the_wait_is_late_and_was_not_counted(one, clock):
    await log(one, decision())
    clock.pass_(LOOP.reward_wait.total_seconds() + 1)
    await log(one, observation(reward=1.0, at=clock.now()))
    late = (await of(one)).rewards[0]
    assert (late.outcome, late.reason) == (Outcome.LATE, "it came after the reward wait time")
    await learn(one)
    found = await of(one)
    assert (found.fate, found.used_default, [each.outcome for each in found.rewards]) == (Fate.LEARNED, True, [Outcome.LATE])


async def test_of_several_rewards_the_earliest_counts(one):
    await log(one, decision(), observation(reward=0.25, at=after(1)), observation(reward=1.0, at=after(2)))
    await learn(one)
    found = await of(one)
    assert [(each.observation.reward, each.outcome) for each in found.rewards] == [(0.25, Outcome.COUNTED), (1.0, Outcome.UNUSED)]
    assert "rewardAggregation" in found.rewards[1].reason


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize(
    ("when_learned", "since"), [("sum", "earliest"), ("earliest", "sum"), ("earliest", "max"), ("average", "earliest")]
)
async def test_which_rewards_counted_is_told_as_it_was_when_the_event_was_learned(one, is_kept, when_learned, since):
    one.configuration.loop = replace(LOOP, reward_aggregation=RewardAggregation(when_learned))
    await log(one, decision(), observation(reward=0.25, at=after(1)), observation(reward=1.0, at=after(2)))
    await learn(one)
    one.configuration.loop = replace(LOOP, reward_aggregation=RewardAggregation(since))
    if not is_kept:
        await forget_models(one)
    found = await of(one)
    second = Outcome.UNUSED if when_learned == "earliest" else Outcome.COUNTED
    assert [each.outcome for each in found.rewards] == [Outcome.COUNTED, second]
    assert bool(found.learned_in) == is_kept


async def test_a_repeated_decision_is_told_beside_the_first(one, clock):
    await log(one, decision())
    clock.pass_(2)
    await log(one, decision(at=clock.now()), observation(reward=1.0, at=clock.now()))
    await learn(one)
    first, second = (await one.receipts.find("e1")).decisions
    assert (first.fate, first.reward) == (Fate.LEARNED, 1.0)
    assert (second.fate, second.reason, second.learned_in) == (Fate.SKIPPED, "duplicate", "")
    assert [each.outcome for each in second.rewards] == [Outcome.UNUSED]


async def test_a_deferred_event_that_was_never_activated_is_skipped(one):
    await log(one, decision(deferred=True), observation(reward=1.0))
    await learn(one)
    found = await of(one)
    assert (found.fate, found.reason, found.activated_at, found.used_default) == (Fate.SKIPPED, "notActivated", None, False)
    assert [each.outcome for each in found.rewards] == [Outcome.UNUSED]


@pytest.mark.parametrize("is_learned", [False, True], ids=["waiting", "learned"])
async def test_an_activation_is_told_with_its_time(one, is_learned):
    await log(one, decision(deferred=True), observation(reward=None, at=after(3)))
    if is_learned:
        await learn(one)
    found = await of(one)
    assert (found.activated_at, found.fate) == (after(3), Fate.LEARNED if is_learned else Fate.PENDING)
    assert found.rewards == ()


async def test_what_was_only_logged_says_so(one):
    await log(one, decision(mode=LearningMode.LOGGING_ONLY))
    await learn(one)
    found = await of(one)
    assert (found.fate, found.reason, found.decision.mode) == (Fate.SKIPPED, "loggingOnly", LearningMode.LOGGING_ONLY)


async def test_each_slot_of_an_event_has_its_own_fate(one):
    await one.log.append_decisions([decision(slot="top"), decision(slot="side", chosen=1)])
    await log(one, observation(reward=1.0, slot="side"), observation(reward=0.5, slot="nowhere"))
    await learn(one)
    found = await one.receipts.find("e1")
    assert [(each.decision.slot, each.fate, each.reward, each.action_id) for each in found.decisions] == [
        ("top", Fate.LEARNED, 0.0, "a"),
        ("side", Fate.LEARNED, 1.0, "b"),
    ]
    assert [(each.observation.slot, each.outcome) for each in found.rewards] == [("nowhere", Outcome.UNKNOWN)]


async def test_a_decision_that_cannot_be_read_is_told_as_such(one):
    await log(one, decision())
    table = names.DayTable(LOOP.name, 1, names.Kind.DECISIONS, T0.date()).name
    await put_rows(one.account, table, [{**await first_row(one.account, table), "Payload00": b"nonsense"}])
    found = await one.receipts.find("e1")
    assert (found.decisions, found.damaged) == ([], 1)


async def test_a_reward_of_an_event_that_was_never_ranked_is_told_alone(one):
    await one.rank("another")
    await log(one, observation("nobody", reward=1.0))
    found = await one.receipts.find("nobody")
    assert (found.decisions, [each.outcome for each in found.rewards]) == ([], [Outcome.PENDING])
    await learn(one)
    found = await one.receipts.find("nobody", around=T0)
    assert (found.decisions, [each.outcome for each in found.rewards]) == ([], [Outcome.UNKNOWN])


async def test_an_unknown_event_is_not_found_and_the_answer_names_what_was_looked_through(one):
    with pytest.raises(ResourceNotFoundError, match="'nobody' was not found"):
        await one.receipts.find("nobody")
    await one.rank("another")
    await learn(one)
    with pytest.raises(ResourceNotFoundError, match="from 2026-05-17T00:00:00Z to 2026-05-17T12:00:16Z") as refused:
        await one.receipts.find("nobody")
    assert "was not searched" not in str(refused.value)


async def test_an_event_of_a_deleted_log_is_not_found_and_the_answer_says_why(one, clock):
    await log(one, decision())
    await learn(one)
    clock.pass_(5)
    await one.logs.delete()
    with pytest.raises(ResourceNotFoundError, match=r"the log was deleted at 2026-05-17T12:00:21Z"):
        await one.receipts.find("e1")


@pytest.mark.parametrize("seconds", [1, DAY / 2])
async def test_what_a_process_stores_that_has_not_heard_of_a_deletion_is_found(one, other, clock, seconds):
    await log(other, decision())
    clock.pass_(seconds)
    await one.logs.delete()
    clock.pass_(1)
    await log(other, decision(at=clock.now()), observation(reward=1.0, at=clock.now()))
    found = await of(one)
    assert (found.decision.decided_at, found.fate) == (clock.now(), Fate.PENDING)
    assert [each.outcome for each in found.rewards] == [Outcome.PENDING]


async def test_when_the_hot_log_is_gone_the_joined_log_tells(one):
    await log(one, decision(chosen=1), observation(reward=1.0))
    await learn(one)
    await forget_hot(one)
    found = await of(one)
    assert (found.fate, found.reward, found.action_id) == (Fate.LEARNED, 1.0, "b")
    assert found.learned_in == (await one.pointer()).version
    assert await of(one, around=T0) == found


async def test_when_the_joined_log_is_gone_the_hot_log_still_tells_of_the_decision(one):
    await log(one, decision(), observation(reward=1.0))
    await learn(one)
    await one.joined.drop_chunks(before=after(DAY))
    found = await of(one)
    assert (found.fate, [each.outcome for each in found.rewards]) == (Fate.NOT_KEPT, [Outcome.UNKNOWN])


async def test_a_hint_limits_the_search_to_its_hour(one):
    await log(one, decision())
    await learn(one)
    await forget_hot(one)
    with pytest.raises(ResourceNotFoundError, match=r"from 2026-05-17T1[34]"):
        await one.receipts.find("e1", around=T0 + timedelta(hours=3))
    one.clock.pass_(7 * DAY)
    assert (await of(one, around=T0 + timedelta(minutes=50))).fate is Fate.LEARNED


async def test_a_straggler_is_found_in_the_window_that_learned_it(one, other, clock):
    await one.rank("first")
    await learn(one)
    behind = (await one.pointer()).watermark - timedelta(seconds=2)
    other.clock = one.clock
    clock.at, now = behind, clock.at
    await log(one, decision("straggler", at=behind))
    clock.at = now
    assert (await of(one, "straggler")).fate is Fate.PENDING
    await one.rank("more")
    await learn(one)
    found = await of(one, "straggler")
    assert (found.fate, (await one.progress()).counters.stragglers) == (Fate.LEARNED, 1)


async def test_a_search_that_is_cut_short_says_so(one, clock, monkeypatch):
    await log(one, decision("old"))
    clock.pass_(3 * 3600)
    await one.rank(*[f"e{number}" for number in range(20)])
    monkeypatch.setattr(receipts, "_DECISIONS", 10)
    with pytest.raises(ResourceNotFoundError, match=r"the rest of the log was not searched.*around="):
        await one.receipts.find("old")
    found: Receipt = await one.receipts.find("e3")
    assert found.searched.is_cut
    assert (await of(one, "old", around=T0)).fate is Fate.PENDING


@pytest.mark.parametrize("where", ["waiting", "learned", "joined log alone"])
async def test_of_an_event_that_every_call_names_the_newest_are_told_and_that_there_are_more(one, clock, where):
    """A hundred times as many would hold the event loop for minutes, and not fit in memory."""
    for _ in range(8):
        await one.log.append_decisions([decision(at=clock.now(), chosen=1)] * 100)
        await one.log.append_observations([observation(at=clock.now())] * 100)
        clock.pass_(1)
    if where != "waiting":
        await learn(one)
    if where == "joined log alone":
        await forget_hot(one)
    found = await one.receipts.find("e1")
    assert len(found.decisions) == 300
    assert found.searched.is_cut
    assert {each.fate for each in found.decisions} == {Fate.PENDING if where == "waiting" else Fate.SKIPPED}
    if where != "joined log alone":
        assert {each.decision.decided_at for each in found.decisions} == {after(5), after(6), after(7)}


async def test_the_joined_log_is_looked_through_up_to_a_number_of_chunks(one, monkeypatch):
    for number in range(4):
        await one.rank(f"e{number}")
        await learn(one)
    await forget_hot(one)
    monkeypatch.setattr(receipts, "_CHUNKS", 2)
    assert (await of(one, "e3")).fate is Fate.LEARNED
    with pytest.raises(ResourceNotFoundError, match="the rest of the log was not searched"):
        await one.receipts.find("e0")
    assert (await of(one, "e0", around=T0 - timedelta(minutes=59, seconds=50))).fate is Fate.LEARNED


async def test_odd_event_ids_are_found(one):
    for event_id in ('quo"te', "ü/%2F", "back\\slash", "\t"):
        await log(one, decision(event_id))
    await learn(one)
    await forget_hot(one)
    for event_id in ('quo"te', "ü/%2F", "back\\slash", "\t"):
        assert (await of(one, event_id)).decision.event_id == event_id


async def test_an_event_that_was_used_as_the_feature_of_another_is_not_taken_for_it(one):
    tricky = replace(
        decision("real"), situation=b'{"FromUrl":[{"EventId":"fake"}],"_multi":[{"i":{"id":"a"},"j":[]},{"i":{"id":"b"},"j":[]}]}'
    )
    await log(one, tricky)
    await learn(one)
    with pytest.raises(ResourceNotFoundError):
        await one.receipts.find("fake")


async def test_looking_up_leaves_what_the_trainer_remembers_as_it_is(one):
    await log(one, decision(), observation())
    await learn(one)
    tails = (one.log.memory.observed, one.log.memory.sighted)
    before = [(tail._since, tail._until, len(tail)) for tail in tails]
    await one.receipts.find("e1")
    assert [(tail._since, tail._until, len(tail)) for tail in tails] == before
