"""What a change of configuration stores, what it resets, and that two who change at once lose nothing of each other."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import (
    AutoOptimizationError,
    BusyError,
    InvalidPolicyConfigurationError,
    InvalidSasUriError,
    RequestError,
    ResourceNotFoundError,
)
from shared.domain.events import LearningMode
from shared.domain.loop import LearningPolicy, LoopRecord, LoopSettings, RewardAggregation, Tier
from shared.services.loops.configuring import Configurator, configured, owned, unset, with_policy
from tests.builders import T0, after
from tests.clocks import SetClock
from tests.services.loops.loop_memory import MemoryLoops

DEFAULTS = LoopSettings()
EMPTY = LoopRecord("default")


def accept_all(_: str) -> None:
    return


def change(record: LoopRecord = EMPTY, **changes) -> LoopRecord:
    return configured(record, changes, defaults=DEFAULTS, check_mirror=accept_all, now=T0)


def target_of_refusal(**changes) -> str | None:
    try:
        change(**changes)
    except RequestError as error:
        return error.target
    return None


class Model:
    """Counts how often what is served was looked at anew."""

    refreshed = 0

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def store():
    return MemoryLoops()


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def configurator(store, model):
    return Configurator(store, model, defaults=DEFAULTS, clock=SetClock(T0), check_mirror=accept_all)


# --- what is stored --------------------------------------------------------------------------------------------------------


def test_only_what_changes_is_stored_so_the_rest_follows_the_app():
    record = change(default_reward=0.5, reward_wait=DEFAULTS.reward_wait, exploration_percentage=DEFAULTS.exploration_percentage)
    assert record.overrides.keys() == {"default_reward", "edited_at", "resets"}
    assert record.settings(replace(DEFAULTS, exploration_percentage=0.9)).exploration_percentage == 0.9


def test_what_was_changed_once_stays_stored_when_it_is_changed_back():
    record = change(change(default_reward=0.5), default_reward=0.0)
    assert record.overrides["default_reward"] == 0.0


def test_a_change_that_changes_nothing_gives_the_record_itself():
    record = change(default_reward=0.5)
    assert change(record, default_reward=0.5, learning_mode=LearningMode.ONLINE) is record


# --- what is reset ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"reward_wait": timedelta(hours=1)},
        {"default_reward": 0.5},
        {"reward_aggregation": RewardAggregation.SUM},
        {"default_reward": 0.5, "reward_wait": timedelta(hours=1), "reward_aggregation": RewardAggregation.MAX},
    ],
    ids=str,
)
def test_a_change_of_what_rewards_are_resets_the_model_once(changes):
    record = change(**changes)
    assert record.overrides["resets"] == 1
    assert change(record, **changes).overrides["resets"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_mode": LearningMode.APPRENTICE},
        {"learning_mode": LearningMode.LOGGING_ONLY},
        {"exploration_percentage": 0.9},
        {"model_export_frequency": timedelta(hours=1)},
        {"log_retention_days": 9},
        {"model_retrain_days": 9},
        {"is_inference_explainability_enabled": True},
        {"is_auto_optimization_enabled": True, "auto_optimization_frequency": timedelta(days=3), "auto_optimization_start": T0},
        {"log_mirror_enabled": True, "log_mirror_sas_uri": "https://x"},
    ],
    ids=str,
)
def test_no_other_change_resets_it(changes):
    assert change(**changes).overrides["resets"] == 0


@pytest.mark.parametrize("days", [0, 1, 90])
def test_days_to_learn_again_hold_once_the_owner_has_set_them_and_are_not_set_by_sending_them_as_they_are(days):
    as_it_was = change(model_retrain_days=DEFAULTS.model_retrain_days, default_reward=0.5)
    assert not as_it_was.settings(DEFAULTS).retrains_last_days
    mine = change(as_it_was, model_retrain_days=days).settings(DEFAULTS)
    assert (mine.model_retrain_days, mine.retrains_last_days) == (days, True)
    back = change(change(model_retrain_days=days), model_retrain_days=DEFAULTS.model_retrain_days)
    assert back.settings(DEFAULTS).retrains_last_days


def own(record: LoopRecord = EMPTY, **changes) -> LoopRecord:
    return owned(record, changes, defaults=DEFAULTS, check_mirror=accept_all, now=after(60))


@pytest.mark.parametrize("days", [0, DEFAULTS.model_retrain_days, 90])
def test_days_to_learn_again_can_be_set_to_whatever_they_are_in_one_call(days):
    settings = own(model_retrain_days=days).settings(DEFAULTS)
    assert (settings.model_retrain_days, settings.retrains_last_days) == (days, True)


@pytest.mark.parametrize(
    "other",
    [
        LoopSettings(reward_wait=timedelta(hours=9)),
        LoopSettings(exploration_percentage=0.9),
        LoopSettings(learning_mode=LearningMode.APPRENTICE),
        LoopSettings(log_retention_days=400),
    ],
)
def test_what_is_set_to_the_value_in_force_stays_when_the_app_s_changes_and_has_nothing_learned_again(other):
    (name,) = [each.name for each in fields(LoopSettings) if getattr(other, each.name) != getattr(DEFAULTS, each.name)]
    record = own(**{name: getattr(DEFAULTS, name)})
    settings = record.settings(other)
    assert (getattr(settings, name), settings.resets) == (getattr(DEFAULTS, name), 0)
    assert settings.edited_at == after(60)
    assert own(record, **{name: getattr(DEFAULTS, name)}) is record, "to set it again changes nothing"
    assert without(record, name).overrides.keys() <= {"edited_at", "resets"}, "and it can be unset"


def test_what_is_set_anew_resets_the_model_as_any_change_does():
    record = own(default_reward=0.5, model_retrain_days=DEFAULTS.model_retrain_days)
    assert (record.overrides["resets"], record.settings(DEFAULTS).retrains_last_days) == (1, True)


def test_what_cannot_be_is_refused_to_whoever_sets_it():
    with pytest.raises(RequestError, match="defaultReward"):
        own(default_reward=2.0)


EXPIRED = "https://mine123.blob.core.windows.net/logs?sp=w&sr=c&se=2020-08-13T00%3A00Z&sig=x"
VALID = EXPIRED.replace("2020", "2040")


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({}, {"log_mirror_enabled": True, "log_mirror_sas_uri": EXPIRED}),
        ({"log_mirror_sas_uri": EXPIRED}, {"log_mirror_enabled": True}),
        ({"log_mirror_enabled": True, "log_mirror_sas_uri": VALID}, {"log_mirror_sas_uri": EXPIRED}),
        ({}, {"log_mirror_enabled": True, "log_mirror_sas_uri": EXPIRED.replace("T00%3A00Z", "")}),
    ],
)
def test_a_mirror_whose_signature_is_over_is_refused_when_it_is_switched_on(before, changes):
    with pytest.raises(InvalidSasUriError, match=r"expired at 2020-08-13T00:00:00Z") as refused:
        change(LoopRecord("default", before), **changes)
    assert refused.value.target == "logMirrorSasUri"


def test_a_signature_that_is_over_hinders_no_other_change_and_none_that_switches_the_mirror_off():
    dead = LoopRecord("default", {"log_mirror_enabled": True, "log_mirror_sas_uri": EXPIRED})
    assert change(dead, default_reward=0.5).overrides["default_reward"] == 0.5
    assert not change(dead, log_mirror_enabled=False).overrides["log_mirror_enabled"]
    assert change(EMPTY, log_mirror_sas_uri=EXPIRED).overrides["log_mirror_sas_uri"] == EXPIRED
    assert change(dead, log_mirror_sas_uri=VALID).overrides["log_mirror_sas_uri"] == VALID


def test_a_policy_resets_nothing_and_is_dated():
    record = with_policy(EMPTY, LearningPolicy("mine", "--cb_explore_adf --softmax"), defaults=DEFAULTS, now=T0)
    assert record.overrides == {"policy": LearningPolicy("mine", "--cb_explore_adf --softmax"), "edited_at": T0}


@pytest.mark.parametrize(
    ("before", "after", "resets"),
    [("", "-q ua", 1), ("-q ua", "-q ub", 1), ("-q ua", "-q au --softmax", 0), ("", "--ignore x", 1), ("", "-q :: --epsilon 0.1", 0)],
)
def test_a_policy_of_other_interactions_resets_the_model(before, after, resets):
    old, new = (LearningPolicy("mine", f"--cb_explore_adf {arguments}") for arguments in (before, after))
    record = with_policy(EMPTY, new, defaults=replace(DEFAULTS, policy=old), now=T0)
    assert record.overrides.get("resets", 0) == resets


def test_the_first_reset_follows_those_of_the_app():
    record = configured(EMPTY, {"default_reward": 1.0}, defaults=replace(DEFAULTS, resets=4), check_mirror=accept_all, now=T0)
    assert record.overrides["resets"] == 5


# --- rules -----------------------------------------------------------------------------------------------------------------


@given(days=st.integers(-1, 40), wait=st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30)))
def test_the_log_is_kept_for_the_days_of_the_wait_and_one_more_or_for_ever(days, wait):
    fewest = int(-(-wait.total_seconds() // 86_400)) + 1
    assert target_of_refusal(log_retention_days=days, reward_wait=wait, model_retrain_days=0) == (
        None if days == -1 or days >= fewest else "logRetentionDays"
    )


@given(days=st.integers(-1, 400), retrain=st.integers(0, 400))
def test_the_model_is_learned_anew_from_no_more_days_than_the_log_has(days, retrain):
    is_possible = days == -1 or (days >= 2 and retrain <= days)
    target = target_of_refusal(log_retention_days=days, model_retrain_days=retrain)
    assert target == (None if is_possible else "logRetentionDays" if days < 2 else "modelRetrainDays")


def test_a_combination_that_was_possible_is_looked_at_again_when_one_part_changes():
    record = change(log_retention_days=5, model_retrain_days=5)
    with pytest.raises(RequestError, match="modelRetrainDays"):
        change(record, log_retention_days=4)
    with pytest.raises(RequestError, match="logRetentionDays"):
        change(record, reward_wait=timedelta(days=7))


def test_an_address_to_mirror_to_is_checked_even_while_it_is_not_used():
    def refuse(uri: str) -> None:
        raise InvalidSasUriError(f"no: {uri}")

    with pytest.raises(InvalidSasUriError, match="no: https://x"):
        configured(EMPTY, {"log_mirror_sas_uri": "https://x"}, defaults=DEFAULTS, check_mirror=refuse, now=T0)


def test_a_policy_must_be_one_that_can_be_followed():
    with pytest.raises(InvalidPolicyConfigurationError):
        with_policy(EMPTY, LearningPolicy("x", "--nonsense"), defaults=DEFAULTS, now=T0)


def test_slots_and_automatic_optimisation_exclude_each_other_whichever_comes_first():
    slots = LearningPolicy("slots", "--ccb_explore_adf --epsilon 0.1")
    with pytest.raises(AutoOptimizationError):
        with_policy(change(is_auto_optimization_enabled=True), slots, defaults=DEFAULTS, now=T0)
    with pytest.raises(AutoOptimizationError):
        change(with_policy(EMPTY, slots, defaults=DEFAULTS, now=T0), is_auto_optimization_enabled=True)


# --- writing ---------------------------------------------------------------------------------------------------------------


async def test_a_change_is_served_at_once_and_dated(configurator, store, model):
    settings = await configurator.configure({"default_reward": 0.5})
    assert (settings.default_reward, settings.edited_at, settings.resets) == (0.5, T0, 1)
    assert (model.refreshed, store.writes) == (1, 1)
    assert await configurator.read() == settings


async def test_a_change_that_is_repeated_because_its_answer_was_lost_writes_and_resets_nothing(configurator, store):
    for _ in range(3):
        settings = await configurator.configure({"default_reward": 0.5})
    assert (settings.resets, store.writes) == (1, 1)


async def test_another_who_is_faster_is_not_overwritten(configurator, store):
    other = LoopRecord("default", {"exploration_percentage": 0.9}, keys=("k1", "k2"))
    store.before_write = [lambda: store.records.update(default=(other, 99))]
    settings = await configurator.configure({"default_reward": 0.5})
    assert (settings.default_reward, settings.exploration_percentage) == (0.5, 0.9)
    assert store["default"].keys == ("k1", "k2")


async def test_rules_hold_for_what_another_made_of_it(configurator, store):
    """Two changes, each right by itself, that do not go together: the later one is refused."""
    other = LoopRecord("default", {"model_retrain_days": 50})
    store.before_write = [lambda: store.records.update(default=(other, 99))]
    with pytest.raises(RequestError, match="modelRetrainDays"):
        await configurator.configure({"log_retention_days": 40})
    assert store["default"] is other


async def test_who_is_overtaken_again_and_again_is_told_to_come_back(configurator, store):
    def overtake() -> None:
        store.records["default"] = (LoopRecord("default"), store.writes + 1_000 + len(store.before_write))

    store.before_write = [overtake] * 50
    with pytest.raises(BusyError):
        await configurator.configure({"default_reward": 0.5})
    assert store.writes == 0


async def test_a_loop_that_is_gone_can_be_neither_read_nor_changed(store, model):
    store.records["news"] = (LoopRecord("news", life=1, created_at=T0, deleted_at=after(1)), 1)
    configurator = Configurator(store, model, defaults=replace(DEFAULTS, name="news"), clock=SetClock(T0), check_mirror=accept_all)
    with pytest.raises(ResourceNotFoundError):
        await configurator.read()
    with pytest.raises(ResourceNotFoundError):
        await configurator.configure({"default_reward": 0.5})
    assert store.writes == 0


async def test_a_reset_policy_has_the_apps_arguments_and_a_new_name_each_time(store, model):
    defaults = replace(DEFAULTS, policy=LearningPolicy("default", "--cb_explore_adf --softmax"))
    configurator = Configurator(store, model, defaults=defaults, clock=SetClock(T0), check_mirror=accept_all)
    await configurator.set_policy(LearningPolicy("mine", "--cb_explore_adf"))
    first, second = await configurator.reset_policy(), await configurator.reset_policy()
    assert first.arguments == second.arguments == "--cb_explore_adf --softmax"
    assert len({first.name, second.name, "mine", "default"}) == 4


async def test_after_a_reset_a_change_of_the_apps_arguments_takes_effect_until_a_policy_is_set_again(store, model):
    def app(arguments: str) -> Configurator:
        defaults = replace(DEFAULTS, policy=LearningPolicy("default", arguments))
        return Configurator(store, model, defaults=defaults, clock=SetClock(T0), check_mirror=accept_all)

    before, after_change = app("--cb_explore_adf --softmax"), app("--cb_explore_adf --epsilon 0.3")
    await before.set_policy(LearningPolicy("mine", "--cb_explore_adf"))
    name = (await before.reset_policy()).name
    assert (await after_change.read()).policy == LearningPolicy(name, "--cb_explore_adf --epsilon 0.3")
    await after_change.configure({"exploration_percentage": 0.4})
    assert (await app("--cb_explore_adf --first 2").read()).policy == LearningPolicy(name, "--cb_explore_adf --first 2")
    own = LearningPolicy(name, "--cb_explore_adf --epsilon 0.3")
    await after_change.set_policy(own)
    assert (await before.read()).policy == own


# --- what follows the app again ---------------------------------------------------------------------------------------------


def without(record: LoopRecord, *names: str, defaults: LoopSettings = DEFAULTS) -> LoopRecord:
    return unset(record, names, defaults=defaults, check_mirror=accept_all, now=after(60))


def test_what_is_unset_follows_the_app_again_and_the_rest_stays():
    record = without(change(exploration_percentage=0.5, log_retention_days=7), "exploration_percentage")
    app = replace(DEFAULTS, exploration_percentage=0.3)
    assert (record.settings(app).exploration_percentage, record.settings(app).log_retention_days) == (0.3, 7)
    assert record.settings(app).edited_at == after(60)


@pytest.mark.parametrize(("name", "value"), [("default_reward", 0.5), ("reward_wait", timedelta(hours=1)), ("exploration_percentage", 0.5)])
def test_to_unset_resets_the_model_if_that_changes_what_rewards_are(name, value):
    record = change(**{name: value})
    before = record.settings(DEFAULTS).resets
    assert without(record, name).settings(DEFAULTS).resets == before + (name != "exploration_percentage")
    same_in_the_app = replace(DEFAULTS, **{name: value})
    assert without(record, name, defaults=same_in_the_app).settings(DEFAULTS).resets == before


def test_what_a_loop_has_no_value_of_its_own_of_changes_nothing_when_it_is_unset():
    record = change(default_reward=0.5)
    assert without(record, "reward_wait", "learning_mode") is record
    assert without(record) is record


def test_the_days_to_retrain_on_are_the_default_s_once_they_are_unset():
    record = change(model_retrain_days=7)
    assert record.settings(DEFAULTS).retrains_last_days
    assert not without(record, "model_retrain_days").settings(DEFAULTS).retrains_last_days


def test_the_mode_goes_back_to_that_of_the_tier():
    born = LoopRecord("news", overrides=dict(Tier.E0.preset), tier=Tier.E0, life=1)
    online = change(born, learning_mode=LearningMode.ONLINE)
    assert without(online, "learning_mode").settings(DEFAULTS).learning_mode is LearningMode.APPRENTICE


def test_what_cannot_be_together_cannot_come_of_unsetting_either():
    record = change(change(learning_mode=LearningMode.APPRENTICE), default_reward=0.5)
    with pytest.raises(RequestError, match="learningMode"):
        without(record, "learning_mode", "default_reward")
    kept = change(log_retention_days=90, model_retrain_days=60)
    with pytest.raises(RequestError, match=r"logRetentionDays|modelRetrainDays"):
        without(change(kept, log_retention_days=100), "log_retention_days", defaults=replace(DEFAULTS, log_retention_days=30))
