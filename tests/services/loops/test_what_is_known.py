"""For each call that changes a loop: what its model knows before and after, and that as much was told beforehand.

Each row is one call: how many events it is said to leave (as the API says it beforehand), and the call itself. `CALLS` has one row for each
operation that writes something of a loop, so that a new one has to say what it does to the model.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pytest

from shared.domain.events import LearningMode
from shared.domain.keys import key_digest
from shared.domain.ledger import ModelKind
from shared.domain.loop import LearningPolicy, LoopRecord, RewardAggregation, Tier
from shared.services.log.logs import Logs
from shared.services.loops.configuring import Change
from shared.services.loops.loops import Loops
from shared.storage.loop_store import FileLoopStore
from tests.http.described import OPERATIONS
from tests.keeping import keeper
from tests.reliability.world import LOOKBACK, SETTLED_FOR, event_log
from tests.services.loops.imported import BLIND, DEFAULTS, NOW, STORE, Loop
from tests.stores import opened

Told = Callable[[Loop], Awaitable[int]]
Done = Callable[[Loop], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """A call of an ``operation``; ``share`` of what was known is known afterwards: all, nothing, or what the log has of it."""

    operation: str
    told: Told
    done: Done
    share: float = 1.0


def changed(operation: str, change: Change, done: Done, *, share: float = 1.0) -> Row:
    """Give a call whose effect is told by a preview."""

    async def told(loop: Loop) -> int:
        return (await loop.previewer.preview(change)).learned

    return Row(operation, told, done, share)


def configured(operation: str = "configuration_put", *, share: float = 1.0, **changes) -> Row:
    return changed(operation, Change(changes), lambda loop: loop.configurator.configure(changes), share=share)


def with_policy(operation: str, policy: LearningPolicy) -> Row:
    return changed(operation, Change({}, policy), lambda loop: loop.configurator.set_policy(policy))


async def nothing(_: Loop) -> int:
    return 0


async def all_of_it(loop: Loop) -> int:
    return await loop.knows()


def loops_of(loop: Loop) -> Loops:
    return Loops(FileLoopStore(loop.account), defaults=DEFAULTS, clock=loop.clock, check_mirror=lambda _: None)


def put_loop(tier: Tier | None, *, share: float = 1.0, **changes) -> Row:
    async def told(loop: Loop) -> int:
        loops = loops_of(loop)
        return (await loop.previewer.preview_of(lambda record: loops.changed(record, tier, changes))).learned

    return Row("loops_put", told, lambda loop: loops_of(loop).put("default", tier, changes), share)


async def log_deleted(loop: Loop) -> None:
    log = event_log(loop.account, loop.clock)
    await Logs(log, loop.log, loop.store, clock=loop.clock, lookback=LOOKBACK, settled_for=SETTLED_FOR).delete()


async def first_version(loop: Loop) -> str:
    return (await keeper(loop.account, NOW, store=STORE).versions())[-1].version


async def known_by_the_first(loop: Loop) -> int:
    return (await keeper(loop.account, NOW, store=STORE).versions())[-1].learned


async def brought_back(loop: Loop) -> None:
    keeping = keeper(loop.account, NOW, store=STORE)
    package, _ = await keeping.export_signed()
    await keeping.delete()
    await keeping.import_(package)


async def regenerated(loop: Loop) -> None:
    loops = loops_of(loop)
    record, key = await loops.regenerate("default", 1, own_keys=())
    assert record.keys[0] == key_digest(key)
    await loops.regenerate_client_key("default")


async def unset(loop: Loop) -> None:
    await loop.configurator.unset(["default_reward", "reward_wait", "log_retention_days", "learning_mode"])


ROWS: Final = [
    configured(reward_wait=timedelta(hours=2)),
    configured(default_reward=0.5),
    configured(reward_aggregation=RewardAggregation.MAX),
    configured(learning_mode=LearningMode.APPRENTICE),
    configured(learning_mode=LearningMode.LOGGING_ONLY),
    configured(exploration_percentage=0.0),
    configured(model_export_frequency=timedelta(hours=1)),
    configured(model_retrain_days=0),
    configured(model_retrain_days=0, default_reward=0.5, share=0.0),
    configured(is_auto_optimization_enabled=True),
    configured(is_inference_explainability_enabled=True),
    configured(log_retention_days=30),
    configured(log_retention_days=30, default_reward=0.5, share=0.0),
    changed(
        "configuration_set",
        Change({"default_reward": DEFAULTS.default_reward, "model_retrain_days": 2}, owns_unchanged=True),
        lambda loop: loop.configurator.own({"default_reward": DEFAULTS.default_reward, "model_retrain_days": 2}),
    ),
    changed(
        "configuration_set",
        Change({"default_reward": 0.5, "model_retrain_days": DEFAULTS.model_retrain_days}, owns_unchanged=True),
        lambda loop: loop.configurator.own({"default_reward": 0.5, "model_retrain_days": DEFAULTS.model_retrain_days}),
        share=0.0,
    ),
    changed("configuration_unset", Change({}, unset=["default_reward", "reward_wait", "log_retention_days", "learning_mode"]), unset),
    with_policy("policy_put", BLIND),
    with_policy("policy_put", LearningPolicy("mine", "--cb_explore_adf --squarecb")),
    with_policy("apply_from_evaluation", BLIND),
    changed("policy_delete", Change({}, DEFAULTS.policy), lambda loop: loop.configurator.reset_policy()),
    Row("model_delete", nothing, lambda loop: keeper(loop.account, NOW, store=STORE).delete(), share=0.0),
    Row("model_put", all_of_it, brought_back),
    Row("logs_delete", all_of_it, log_deleted),
    put_loop(Tier.E0),
    put_loop(Tier.F0, default_reward=0.5),
    put_loop(None, default_reward=0.5, model_retrain_days=0, share=0.0),
    Row("keys_regenerate", all_of_it, regenerated),
]

WITHOUT_EFFECT: Final = {
    *(
        "rank",
        "multislot_rank",
        "reward",
        "multislot_reward",
        "activate",
        "multislot_activate",
        "logs_decisions",
        "logs_interactions",
        "logs_observations",
    ),
    *("preview", "loops_preview"),
    *("evaluations_create", "evaluations_put", "evaluations_delete", "importances_put", "importances_delete"),
    *("breakdowns_put", "breakdowns_delete", "schedules_put", "schedules_delete"),
}
"""Calls that add events, which are learned in their time, or only ask."""

OF_THEIR_OWN: Final = {"model_restore", "loops_delete"}
"""Tests below."""


def test_each_call_that_writes_says_what_becomes_of_the_model():
    writing = {operation.name for operation in OPERATIONS if operation.method not in ("GET", "HEAD")}
    assert writing == {row.operation for row in ROWS} | WITHOUT_EFFECT | OF_THEIR_OWN


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.operation)
async def test_as_much_is_known_afterwards_as_was_told_before(loop, row):
    known = await loop.knows()
    told = await row.told(loop)
    await row.done(loop)
    await loop.trains()
    assert (await loop.knows(), told) == (known * row.share, known * row.share)


async def test_a_model_that_is_gone_back_to_knows_what_the_list_says_of_it(loop):
    told, version = await known_by_the_first(loop), await first_version(loop)
    assert told < await loop.knows()
    await keeper(loop.account, NOW, store=STORE).restore(version)
    await loop.trains()
    assert await loop.knows() == told


async def test_after_the_log_is_deleted_a_change_of_rewards_is_told_to_leave_nothing_and_does(loop):
    known = await loop.knows()
    await log_deleted(loop)
    told = await loop.asked(default_reward=0.5)
    assert (told.learned, told.known) == (0, known)
    assert "the log holds no more" in told.message
    await loop.configurator.configure({"default_reward": 0.5})
    await loop.trains()
    assert await loop.knows() == 0


async def test_of_a_model_of_elsewhere_a_change_of_rewards_is_told_to_leave_what_this_log_has(loop):
    """Its own events are in another log: here they cannot be learned again."""
    package, _ = await keeper(loop.account, NOW, store=STORE).export_signed()
    await log_deleted(loop)
    await keeper(loop.account, NOW, store=STORE).delete()
    await keeper(loop.account, NOW, store=STORE).import_(package)
    known = await loop.knows()
    told = await loop.asked(reward_wait=timedelta(hours=2))
    assert (known > 0, told.known, told.learned) == (True, known, 0)
    await loop.configurator.configure({"reward_wait": timedelta(hours=2)})
    await loop.trains()
    assert await loop.knows() == 0


async def test_a_loop_that_is_made_again_knows_nothing_of_the_one_that_was_deleted(loop):
    loops = loops_of(loop)
    before = (await loops.put("news", None, {})).record
    await loops.delete("news")
    after = (await loops.put("news", None, {})).record
    assert before.place != after.place
    assert LoopRecord("news").place not in (before.place, after.place)


async def test_a_model_that_is_learned_again_from_an_imported_log_is_said_to_reach_no_further_than_that(storage):
    """The watermark is of the loop's own events, which are newer."""
    account = opened(storage)
    loop = Loop(account)
    await loop.imports()
    imported = await keeper(account, NOW, store=STORE).versions()
    await loop.configurator.configure({"default_reward": 0.5})
    await loop.trains()
    again, *_ = await keeper(account, NOW, store=STORE).versions()
    assert (again.kind, again.until) == (ModelKind.RETRAINED, imported[0].until)
    await account.close()
