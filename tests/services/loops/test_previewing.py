"""What a change is said to do is what it does, and to ask for it changes nothing."""

from dataclasses import fields
from datetime import timedelta

import pytest

from shared.domain.clock import EPOCH
from shared.domain.errors import InvalidRewardWaitTimeError
from shared.domain.events import LearningMode
from shared.domain.ledger import Pointer
from shared.domain.loop import ApprenticeLearning, LearningPolicy, LoopSettings, RewardAggregation
from shared.joining.foreign.terms import Terms
from shared.learning.learner import KEPT_FROM
from shared.services.loops import previewing
from shared.services.loops.configuring import Change
from shared.services.loops.previewing import _message
from tests.builders import after
from tests.keeping import keeper
from tests.services.loops.imported import BLIND, DEFAULTS, NOW, OF_2023, STORE, Loop
from tests.stores import opened


@pytest.mark.parametrize(
    ("changes", "is_again"),
    [
        ({"reward_wait": timedelta(hours=2)}, True),
        ({"default_reward": 0.5}, True),
        ({"reward_aggregation": RewardAggregation.MAX}, True),
        ({"policy": BLIND}, True),
        ({"default_reward": 0.5, "model_retrain_days": 1}, True),
        ({"default_reward": 0.5, "model_retrain_days": 0}, True),
        ({"default_reward": 0.5, "model_retrain_days": 100_000}, True),
        ({"learning_mode": LearningMode.APPRENTICE}, False),
        ({"exploration_percentage": 0.9}, False),
        ({"policy": LearningPolicy("mine", "--cb_explore_adf --squarecb")}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_what_the_new_model_is_said_to_know_is_what_it_knows(loop, changes, is_again):
    told = await loop.asked(**changes)
    assert await loop.asked(**changes) == told, "nothing was changed"
    settings = {name: value for name, value in changes.items() if name != "policy"}
    await loop.configurator.configure(settings)
    if "policy" in changes:
        await loop.configurator.set_policy(changes["policy"])
    await loop.trains()
    assert (told.is_learned_again, told.learned, told.known, told.is_exact) == (is_again, await loop.knows(), told.known, True)
    assert f"{told.learned:,}" in told.message


@pytest.mark.parametrize(
    ("own", "is_again", "deletes"),
    [
        ({"default_reward": 0.5}, True, False),
        ({"exploration_percentage": 0.9}, False, False),
        ({"log_retention_days": 100_000}, False, True),
    ],
    ids=str,
)
async def test_what_to_unset_is_said_to_do_is_what_it_does(loop, own, is_again, deletes):
    loop.app_keeps(90 if deletes else -1)
    await loop.configurator.configure(own)
    await loop.trains()
    told = await loop.previewer.preview(Change({}, unset=[*own]))
    assert (told.is_learned_again, told.deleted > 0) == (is_again, deletes)
    await loop.configurator.unset([*own])
    if not deletes:
        await loop.trains()
        assert told.learned == await loop.knows()


NEITHER = {"name", "retrains_last_days", "resets", "edited_at"}
"""Fields that nobody sets: they follow from the others."""

OTHER_VALUES = {
    "reward_wait": timedelta(hours=2),
    "default_reward": 0.25,
    "reward_aggregation": RewardAggregation.SUM,
    "exploration_percentage": 0.5,
    "learning_mode": LearningMode.LOGGING_ONLY,
    "apprentice_learning": ApprenticeLearning.OBSERVE,
    "model_export_frequency": timedelta(minutes=1),
    "model_retrain_days": 1,
    "policy": BLIND,
    "log_retention_days": 30,
    "log_mirror_enabled": True,
    "log_mirror_sas_uri": "https://mirrors.blob.core.windows.net/logs?sig=x",
    "is_auto_optimization_enabled": True,
    "auto_optimization_frequency": timedelta(days=1),
    "auto_optimization_start": after(0),
    "is_inference_explainability_enabled": True,
    "breakdown_feature": "u.k",
    "holdout_percentage": 0.1,
}
BESIDE = {"log_mirror_enabled": {"log_mirror_sas_uri": OTHER_VALUES["log_mirror_sas_uri"]}}


async def chunks_in(loop: Loop) -> int:
    return len(await loop.log.chain())


def test_each_setting_is_tried():
    assert OTHER_VALUES.keys() | NEITHER == {each.name for each in fields(LoopSettings)}


@pytest.mark.parametrize("name", [*OTHER_VALUES])
async def test_for_each_setting_what_is_lost_is_said_before_and_nothing_else_is_lost(loop, name):
    known, chunks = await loop.knows(), await chunks_in(loop)
    changes = {name: OTHER_VALUES[name], **BESIDE.get(name, {})}
    told = await loop.asked(changes.pop("policy", None), **changes)
    await loop.configurator.edit(lambda record: loop.configurator.changed(record, Change(changes, told.after.policy)))
    await loop.trains()
    await loop.keeps_what_it_should()
    assert told.learned == await loop.knows()
    is_less = await loop.knows() < known or await chunks_in(loop) < chunks
    assert told.is_lossy == is_less == (name == "log_retention_days")


@pytest.mark.parametrize(
    ("later", "is_less"),
    [
        ({"model_retrain_days": 1}, True),
        ({"log_retention_days": 30}, True),
        ({"exploration_percentage": 0.4}, False),
        ({"model_export_frequency": timedelta(seconds=1)}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_a_change_that_makes_less_of_what_is_still_to_be_learned_again_is_said_to(loop, later, is_less):
    known = await loop.knows()
    await loop.configurator.configure({"default_reward": 0.5})
    told = await loop.asked(**later)
    assert (told.is_learned_again, told.is_lossy, told.known) == (is_less, is_less, known)
    await loop.configurator.configure(later)
    await loop.trains()
    assert told.learned == await loop.knows()


async def test_the_days_that_are_unset_before_the_model_is_learned_again_are_said_to_bring_all_back(loop):
    known = await loop.knows()
    await loop.configurator.configure({"default_reward": 0.5, "model_retrain_days": 1})
    told = await loop.previewer.preview(Change({}, unset=["model_retrain_days"]))
    assert (told.is_learned_again, told.learned, told.is_lossy) == (True, known, False)
    await loop.configurator.unset(["model_retrain_days"])
    await loop.trains()
    assert await loop.knows() == known


@pytest.mark.parametrize(
    ("changes", "imitates"),
    [
        ({"learning_mode": LearningMode.APPRENTICE}, True),
        ({"learning_mode": LearningMode.APPRENTICE, "apprentice_learning": ApprenticeLearning.OBSERVE}, False),
        ({"learning_mode": LearningMode.LOGGING_ONLY}, False),
    ],
)
@pytest.mark.parametrize(
    ("learned", "rewarded"),
    [(1, 1), (KEPT_FROM - 1, KEPT_FROM - 1), (KEPT_FROM, KEPT_FROM), (9_000, KEPT_FROM), (9_000, KEPT_FROM - 1), (9_000, 0)],
)
async def test_a_model_is_said_to_keep_what_rewards_taught_unless_they_are_few(loop, changes, imitates, learned, rewarded):
    await loop.was_taught(learned, by_rewards=rewarded)
    told = await loop.asked(**changes)
    is_forgotten = imitates and rewarded < KEPT_FROM
    assert (told.is_lossy, "forgets its few rewards" in told.message) == (is_forgotten, is_forgotten)
    assert ("keeps what rewards taught it" in told.message) == (imitates and not is_forgotten)


@pytest.mark.parametrize(("learned", "is_forgotten"), [(KEPT_FROM - 1, True), (KEPT_FROM, False)])
async def test_where_nothing_tells_how_many_rewards_taught_a_model_its_events_do_and_the_rule_is_said(loop, learned, is_forgotten):
    await loop.was_taught(learned, by_rewards=0)
    await loop.loses_its_state()
    told = await loop.asked(learning_mode=LearningMode.APPRENTICE)
    assert (told.is_lossy, "forgets its few rewards" in told.message) == (is_forgotten, is_forgotten)
    assert ("keeps what at least 100 events taught" in told.message) != is_forgotten


async def test_days_that_leave_an_import_out_are_said_to_before_and_by_their_name(loop):
    known = await loop.knows()
    told = await loop.asked(default_reward=0.5, model_retrain_days=3)
    assert told.message == (
        f"The model is learned again from the log. The new model will know 0 of {known} events: modelRetrainDays is set to 3."
        " A later change that has the model learned again will learn the last 3 days only (modelRetrainDays)."
    )


@pytest.mark.parametrize("days", [0, 1, DEFAULTS.model_retrain_days])
async def test_days_that_are_set_are_said_to_limit_later_changes_and_they_do(loop, days):
    known = await loop.knows()
    told = await loop.previewer.preview(Change({"model_retrain_days": days}, owns_unchanged=True))
    assert (told.is_learned_again, told.learned, told.known) == (False, known, known)
    assert "A later change" in told.message
    await loop.configurator.own({"model_retrain_days": days})
    assert "A later change" not in (await loop.previewer.preview(Change({"model_retrain_days": days}, owns_unchanged=True))).message
    await loop.configurator.configure({"default_reward": 0.5})
    await loop.trains()
    assert await loop.knows() == 0


async def test_days_that_are_sent_as_they_are_limit_nothing(loop):
    known = await loop.knows()
    told = await loop.previewer.preview(Change({"model_retrain_days": DEFAULTS.model_retrain_days, "default_reward": 0.5}))
    assert (told.learned, "A later change" in told.message) == (known, False)


async def test_shorter_retention_is_said_to_delete_what_it_deletes(loop):
    told = await loop.asked(log_retention_days=90)
    assert (told.is_learned_again, told.deleted > 0) == (False, True)
    assert "The model stays" in told.message
    assert f"Retention will delete {told.deleted:,} events from the log, for good." in told.message
    both = await loop.asked(log_retention_days=90, default_reward=0.5)
    assert (both.learned, both.deleted) == (0, told.deleted)
    longer = await loop.asked(log_retention_days=100_000)
    assert longer.deleted == 0


async def test_what_is_deleted_counts_events_that_were_never_learned_as_well(storage):
    account = opened(storage)
    loop = Loop(account)
    await loop.imports(Terms(is_logging_only=True))
    assert await loop.knows() == 0
    told = await loop.asked(log_retention_days=90)
    assert (told.deleted, told.is_exact) == (OF_2023, True)
    assert f"{OF_2023} events from the log" in told.message
    await account.close()


async def test_a_log_of_an_earlier_release_is_counted_by_its_lines_and_at_least_by_what_was_learned(loop, monkeypatch):
    for counted in ({}, {"learned": "7"}):
        await loop.labels_again(counted)
        told = await loop.asked(log_retention_days=90)
        assert (told.deleted, told.is_exact) == (OF_2023, True)
    monkeypatch.setattr(previewing, "MOST_READ", 1)
    few = await loop.asked(log_retention_days=90)
    assert (7 < few.deleted < OF_2023, few.is_exact) == (True, False)
    assert "at least" in few.message


async def test_what_the_change_would_be_refused_for_it_is_refused_for(loop):
    with pytest.raises(InvalidRewardWaitTimeError):
        await loop.asked(reward_wait=timedelta(days=99))


async def test_a_model_that_was_taken_away_is_told_to_come_back(loop):
    known = await loop.knows()
    await keeper(loop.account, NOW, store=STORE).delete()
    told = await loop.asked(default_reward=0.5)
    assert (told.known, told.learned) == (0, known)
    assert f"will know {known} events" in told.message


async def test_chunks_of_earlier_releases_are_counted_by_their_lines_a_few_of_them(loop, monkeypatch):
    await loop.labels_again({})
    told = await loop.asked(default_reward=0.5)
    assert (told.learned, told.is_exact) == (OF_2023, False)
    monkeypatch.setattr(previewing, "MOST_READ", 2)
    some = await loop.asked(default_reward=0.5)
    assert some.learned < OF_2023
    assert "at least" in some.message


async def test_no_more_of_a_long_log_is_looked_at_than_is_said(loop, monkeypatch):
    monkeypatch.setattr(previewing, "MOST_CHUNKS", 3)
    told = await loop.asked(default_reward=0.5)
    assert (told.is_exact, 0 < told.learned < await loop.knows()) == (False, True)
    assert "at least" in told.message


async def test_where_nothing_was_learned_yet_nothing_is_said_to_be_lost(storage):
    account = opened(storage)
    told = await Loop(account).asked(default_reward=0.5)
    assert (told.is_learned_again, told.learned, told.known, told.deleted, told.is_exact) == (True, 0, 0, 0, True)
    assert told.message == "There is no model yet, so nothing is lost."
    assert (told.before.default_reward, told.after.default_reward) == (DEFAULTS.default_reward, 0.5)
    await account.close()


async def test_what_a_long_log_loses_by_shorter_retention_is_not_said_to_be_nothing(loop, monkeypatch):
    await loop.imports()
    await loop.trains()
    monkeypatch.setattr("shared.services.loops.previewing.MOST_CHUNKS", 0)
    told = await loop.asked(log_retention_days=30)
    assert (told.deleted, told.is_exact, told.is_lossy) == (0, False, True)
    assert "not counted" in told.message


@pytest.mark.parametrize(
    ("known", "learned", "told"), [(0, 1, "know 1 event."), (1, 1, "know 1 of 1 event."), (1, 0, "know 0 of 1 event:")]
)
def test_one_event_is_one_event(known, learned, told):
    pointer = Pointer(1, "1", EPOCH, EPOCH, learned=known)
    assert told in _message(pointer, LoopSettings(), learned, is_again=True, is_exact=True, deleted=0)
