"""The checklist: each thing that keeps a loop from learning is told, and nothing of one that learns."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.advice.advice import Code
from shared.advice.rules import MOST_OF_A_CODE, LoopView, advise
from shared.advice.sample import Sample, sampled
from shared.domain.apprentice import ApprenticeMetrics
from shared.domain.checkpoint import AnewProgress
from shared.domain.events import Action, JoinedEvent, JsonValue, LearningMode, Observation, Situation, SkipReason
from shared.domain.ledger import Counters
from shared.domain.loop import LoopSettings
from tests.builders import T0, after, decision, observation

ANEW = AnewProgress(1, T0, chunks=40, done=10, learned=9_000)
HEALTHY = LoopView(
    settings=LoopSettings(),
    counters=Counters(learned=50_000, skipped={"duplicate": 30_000}, rewards=40_000, late_rewards=20_000, unknown_rewards=9_000),
    latest=Counters(learned=5_000, skipped={"duplicate": 3}, rewards=4_000, late_rewards=10, unknown_rewards=5),
    apprentice=ApprenticeMetrics(),
    pending=12,
    rewards=4_010,
    lag=timedelta(0),
    known=50_000,
)
CATALOGUE = [
    Action(f"article {n}", ({"article": {"topic": f"topic {n % 4}", "length": n / 10, "embedding": [0.1 * n, 0.2]}},)) for n in range(30)
]


def asked(number: int, context: Mapping[str, JsonValue] | None = None, *, actions: list[Action] | None = None) -> Situation:
    chance = random.Random(number)
    user: dict[str, JsonValue] = {"age": chance.randrange(20, 60), "segment": chance.choice(["new", "regular"])}
    return Situation(({"user": {**user, **(context or {})}, "moment": {"hour": 12}},), tuple(actions or chance.sample(CATALOGUE, 5)))


def sample(count: int = 60, **others) -> list[tuple[JoinedEvent, Situation]]:
    return [event(number, asked(number, **others)) for number in range(count)]


def event(number: int, situation: Situation, *, rewards: tuple[float, ...] | None = None) -> tuple[JoinedEvent, Situation]:
    made = decision(f"e{number}", at=after(number), asked=situation, probabilities=(1 / 5,) * 5)
    told = (float(number % 2),) if rewards is None else rewards
    observations: tuple[Observation, ...] = tuple(observation(f"e{number}", each) for each in told)
    return JoinedEvent(made, sum(told), observations), situation


def codes(loop: LoopView = HEALTHY, of: Sample | None = None) -> list[Code]:
    return [each.code for each in advise(loop, sampled(sample()) if of is None else of)]


def changed(**settings) -> LoopView:
    return replace(HEALTHY, settings=replace(HEALTHY.settings, **settings))


def lately(**counters) -> LoopView:
    return replace(HEALTHY, latest=replace(HEALTHY.latest, **counters))


def test_of_a_loop_that_learns_nothing_is_said_whatever_was_wrong_once():
    assert codes() == []


def test_a_loop_that_nobody_called_is_told_so():
    empty = replace(HEALTHY, counters=Counters(), latest=Counters(), pending=0, rewards=0)
    assert codes(empty, Sample()) == [Code.NOTHING_RANKED]


def test_of_an_imported_log_it_is_said_what_the_model_knows():
    imported = replace(HEALTHY, counters=Counters(), latest=Counters(), pending=0, rewards=0, known=20_000, imported=20_000)
    (advice,) = advise(imported, sampled(sample()))
    assert (advice.code, "The model knows 20,000 events" in advice.message) == (Code.NOTHING_RANKED, True)
    assert codes(replace(imported, counters=Counters(learned=1), rewards=1, known=20_001)) == []


def test_first_decisions_wait_and_that_is_all():
    young = replace(HEALTHY, counters=Counters(), latest=Counters(), pending=7, rewards=2)
    (advice,) = advise(young, Sample())
    assert (advice.code, "7 decisions" in advice.message, "10 minutes" in advice.message) == (Code.WAITING, True, True)


@pytest.mark.parametrize("seconds", [-2.0, 0.0, 2.0])
def test_clocks_that_differ_by_two_seconds_are_not_worth_a_word(seconds):
    assert advise(replace(HEALTHY, clock_ahead=timedelta(seconds=seconds)), Sample()) == []


@pytest.mark.parametrize(
    ("loop", "code", "says"),
    [
        (changed(learning_mode=LearningMode.LOGGING_ONLY), Code.LOGGING_ONLY, "nothing is learned"),
        (changed(learning_mode=LearningMode.APPRENTICE), Code.APPRENTICE, "first action"),
        (changed(exploration_percentage=0.0), Code.NO_EXPLORATION, "0"),
        (changed(reward_wait=timedelta(days=2, hours=3)), Code.LONG_WAIT, "2 days 3 hours"),
        (replace(HEALTHY, clock_ahead=timedelta(minutes=5)), Code.CLOCK_WRONG, "5 minutes ahead of storage's"),
        (replace(HEALTHY, clock_ahead=-timedelta(seconds=3)), Code.CLOCK_WRONG, "3 seconds behind storage's"),
        (replace(HEALTHY, lag=timedelta(minutes=16)), Code.TRAINER_BEHIND, "16 minutes"),
        (lately(skipped={SkipReason.NOT_ACTIVATED.value: 6_000}), Code.NOT_ACTIVATED, "55 %"),
        (lately(skipped={SkipReason.DUPLICATE.value: 1_000}), Code.DUPLICATES, "17 %"),
        (lately(late_rewards=800), Code.LATE_REWARDS, "20 %"),
        (lately(unknown_rewards=2_000), Code.UNKNOWN_REWARDS, "50 %"),
        (replace(HEALTHY, counters=Counters(learned=30), known=30), Code.FEW_EVENTS, "30 events have been learned"),
        (replace(HEALTHY, counters=Counters(learned=1), known=1), Code.FEW_EVENTS, "1 event has been learned"),
    ],
)
def test_settings_and_counters_that_hinder_are_told(loop, code, says):
    (advice,) = advise(loop, sampled(sample()))
    assert (advice.code, advice.feature) == (code, "")
    assert says in advice.message


def test_in_apprentice_mode_it_is_told_how_often_the_policy_would_have_done_the_same():
    loop = replace(changed(learning_mode=LearningMode.APPRENTICE), apprentice=ApprenticeMetrics((1.0,) * 4, (True, True, True, False)))
    assert "75 %" in advise(loop, Sample())[0].message


def test_a_lag_within_the_export_frequency_is_none():
    assert codes(replace(HEALTHY, lag=timedelta(minutes=14))) == []


def test_without_any_reward_it_is_told_what_was_learned_instead():
    silent = [event(number, asked(number), rewards=()) for number in range(30)]
    (advice,) = advise(replace(changed(default_reward=0.5), rewards=0), sampled(silent))
    assert (advice.code, "0.5" in advice.message) == (Code.NO_REWARDS, True)


def test_rewards_that_stopped_are_missed_in_the_latest_events():
    assert codes(of=sampled([event(number, asked(number), rewards=()) for number in range(30)])) == [Code.NO_REWARDS]


def test_rewards_that_are_all_the_same_teach_nothing():
    assert codes(of=sampled([event(number, asked(number), rewards=(1.0,)) for number in range(60)])) == [Code.SAME_REWARDS]


def test_what_was_skipped_has_no_reward_to_compare():
    skipped = [(replace(each, skip=SkipReason.NOT_ACTIVATED), situation) for each, situation in sample(60)]
    found = sampled(skipped)
    assert (found.events, found.learned, codes(of=found)) == (60, 0, [])


def test_a_single_action_is_no_choice():
    found = sampled([event(number, asked(number, actions=CATALOGUE[:1])) for number in range(60)])
    assert Code.ONE_ACTION in codes(of=found)


def test_actions_that_never_come_again_are_told():
    actions = [[Action(f"{number}-{n}", CATALOGUE[n].features) for n in range(5)] for number in range(60)]
    assert codes(of=sampled([event(number, asked(number, actions=actions[number])) for number in range(60)])) == [Code.NEW_ACTIONS]


def test_many_actions_without_a_common_feature_are_told():
    actions = [Action(f"a{n}", ({"title": f"title {n}"},)) for n in range(30)]
    found = sampled([event(number, asked(number, actions=random.Random(number).sample(actions, 5))) for number in range(60)])
    assert codes(of=found) == [Code.NOTHING_SHARED]


def test_ranking_without_context_is_told():
    found = sampled([event(number, replace(asked(number), context=())) for number in range(60)])
    assert codes(of=found) == [Code.NO_CONTEXT]


@pytest.mark.parametrize("value", [lambda n: f"2026-05-17T12:00:{n:02}Z", lambda n: 1_779_019_200 + n, lambda n: 1_779_019_200_123 + n])
def test_a_feature_that_differs_each_time_is_named(value):
    (advice,) = advise(HEALTHY, sampled([event(number, asked(number, {"seen": value(number)})) for number in range(60)]))
    assert (advice.code, advice.feature) == (Code.ALWAYS_DIFFERENT, "user.seen")


@pytest.mark.parametrize("digits", [0, 3, 6, 9])
@pytest.mark.parametrize("written", [int, str])
def test_a_time_that_is_counted_in_any_unit_is_one(digits, written):
    moments = [written((1_779_019_200 + number // 5) * 10**digits) for number in range(60)]
    found = advise(HEALTHY, sampled([event(number, asked(number, {"sent": moments[number]})) for number in range(60)]))
    assert [each.feature for each in found if each.code is Code.ALWAYS_DIFFERENT] == ["user.sent"]


@pytest.mark.parametrize(
    "value", [lambda n: f"2026-05-{17 + n // 30}", lambda n: f"{n % 24:02}:00", lambda n: ["2026-05-17T20:00Z", "2026-05-18T20:00Z"][n % 2]]
)
def test_a_day_an_hour_and_the_two_times_of_a_show_come_again(value):
    assert codes(of=sampled([event(number, asked(number, {"at": value(number)})) for number in range(60)])) == []


def test_what_differs_from_call_to_call_is_told_though_all_actions_of_a_call_share_it():
    actions = [[replace(each, features=({**each.features[0], "call": f"c{number}"},)) for each in CATALOGUE[:5]] for number in range(60)]
    (advice,) = advise(HEALTHY, sampled([event(number, asked(number, actions=actions[number])) for number in range(60)]))
    assert (advice.code, advice.feature) == (Code.ALWAYS_DIFFERENT, "call")


def test_contexts_are_all_looked_at_however_much_is_said_of_the_actions():
    many: dict[str, JsonValue] = {f"f{n}": n for n in range(200)}
    actions = [Action(f"a{n}", ({"topic": f"topic {n % 4}", **many},)) for n in range(50)]
    found = sampled([event(number, asked(number, {"trace": f"t{number}"}, actions=actions)) for number in range(60)])
    assert (found.events, found.offered, found.described < found.offered) == (60, 3_000, True)
    assert Code.ALWAYS_DIFFERENT in codes(of=found)


def test_a_measure_that_differs_each_time_is_a_good_feature():
    assert codes(of=sampled([event(number, asked(number, {"speed": number * 1.37})) for number in range(60)])) == []


def test_a_feature_that_is_always_the_same_is_named_with_the_time_it_was_looked_at():
    (advice,) = advise(HEALTHY, sampled(sample(context={"app": "web"})))
    assert (advice.code, advice.feature) == (Code.NEVER_DIFFERENT, "user.app")
    assert "from 2026-05-17 12:00 to 2026-05-17 12:00" in advice.message


def in_azure_core(features):
    return {"content": {"content": features, "serializer": {"mapper": {"version": 2}}}}


WRAPPED = {
    "azure-core": in_azure_core,
    "azure-core, an empty serializer": lambda features: {"content": {"content": features, "serializer": {}}},
    "org.json": lambda features: {"map": features, "empty": False},
    "System.Text.Json": lambda _: {"ValueKind": 1},
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED.keys())
def test_features_inside_the_objects_of_a_clients_library_are_told_from_the_first_event_on(wrapped):
    actions = tuple(Action(each.id, tuple(wrapped(of) for of in each.features)) for each in CATALOGUE[:5])
    inside = Situation((wrapped({"hour": 12}),), actions)
    advice = [each for each in advise(HEALTHY, sampled([event(1, inside)])) if each.code is Code.WRAPPED_FEATURES]
    assert ["of the context" in each.message for each in advice] == [True, False]
    assert "of the actions" in advice[1].message


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED.keys())
def test_features_of_a_namespace_inside_such_objects_are_told_with_its_name(wrapped):
    inside = Situation(({"time": {"hour": 12}}, {"user": wrapped({"age": 30}), "device": wrapped({"os": "x"})}), tuple(CATALOGUE[:5]))
    (advice,) = [each for each in advise(HEALTHY, sampled([event(1, inside)])) if each.code is Code.WRAPPED_FEATURES]
    assert advice.message.startswith("All features of the context in 'user', 'device' are inside ")


def test_of_many_namespaces_with_such_objects_some_are_named_and_none_that_is_personal():
    number, wrapped = "+49 170 1234567", WRAPPED["org.json"]({"age": 30})
    messages = []
    for namespaces in ([f"n{each}" for each in range(MOST_OF_A_CODE + 2)], [number]):
        inside = Situation((dict.fromkeys(namespaces, wrapped) | {"time": {"hour": 1}},), tuple(CATALOGUE[:5]))
        found = advise(HEALTHY, sampled([event(1, inside)]))
        messages += [each.message for each in found if each.code is Code.WRAPPED_FEATURES]
    assert " and 2 more namespaces are inside 'map'" in messages[0]
    assert (len(messages), number in messages[1]) == (2, False)


@pytest.mark.parametrize(
    "context",
    [
        {"content": {"length": 3, "topic": "news"}},
        {"content": {"content": "a text"}, "user": {"age": 30}},
        {"map": {"north": 1}},
        {"map": {"north": 1}, "emptySeats": 3, "user": {"age": 30}},
        {"valueKind": 3},
        {"user": {"map": {"north": 1}, "empty": False, "age": 30}},
        {"news": {"content": {"length": 3}}},
    ],
)
def test_features_of_ones_own_that_have_such_names_are_no_wrappers(context):
    own = Situation((context,), tuple(CATALOGUE[:5]))
    assert Code.WRAPPED_FEATURES not in codes(of=sampled([event(1, own)]))


def test_hidden_features_are_not_learned_from_and_so_say_nothing_of_learning():
    assert codes(of=sampled([event(number, asked(number, {"_trace": f"t-{number}", "_app": "web"})) for number in range(60)])) == []


def test_personal_data_is_named_by_its_feature_and_never_quoted():
    found = [event(number, asked(number, {"mail": f"reader{number}@example.org"})) for number in range(60)]
    advice = [each for each in advise(HEALTHY, sampled(found)) if each.code is Code.PERSONAL_DATA]
    assert [(each.feature, "an e-mail address" in each.message) for each in advice] == [("user.mail", True)]
    assert not [each for each in advise(HEALTHY, sampled(found)) if "@" in each.message]


def test_hidden_features_are_stored_too():
    assert codes(of=sampled([event(0, asked(0, {"_mail": "anna@example.org"}))])) == [Code.PERSONAL_DATA]


def test_a_name_that_is_personal_itself_is_not_repeated():
    found = sampled([event(number, asked(number, {"anna@example.org": 1})) for number in range(60)])
    advice = advise(HEALTHY, found)
    assert {(each.code, each.feature) for each in advice} == {(Code.PERSONAL_DATA, ""), (Code.NEVER_DIFFERENT, "")}
    assert not [each for each in advice if "anna" in each.message]


@pytest.mark.parametrize("where", ["event id", "action id"])
def test_ids_are_looked_at_as_well(where):
    mail = "anna@example.org"
    made, situation = event(1, asked(1, actions=[Action(mail, CATALOGUE[0].features), CATALOGUE[1]] if where == "action id" else None))
    if where == "event id":
        made = replace(made, decision=replace(made.decision, event_id=f"{mail}-1"))
    (advice,) = advise(HEALTHY, sampled([(made, situation)]))
    assert (advice.code, advice.feature) == (Code.PERSONAL_DATA, "eventId" if where == "event id" else "id")


def test_many_features_with_the_same_fault_are_not_all_told():
    found = sampled([event(0, asked(0, {f"mail{n}": "anna@example.org" for n in range(9)}))])
    messages = [each.message for each in advise(HEALTHY, found)]
    assert (len(messages), messages[-1]) == (MOST_OF_A_CODE + 1, "The same is true of 4 more features.")


def test_the_slots_of_an_event_are_looked_at_once():
    made, situation = event(1, asked(1))
    slots = [(replace(made, decision=replace(made.decision, slot=slot)), situation) for slot in ("top", "side")]
    found = sampled(slots)
    assert (found.events, found.learned, found.rewarded) == (1, 2, 2)


def test_what_is_looked_at_is_bounded_whatever_is_sent():
    wide = [event(number, asked(number, {f"f{number}-{n}": n for n in range(5_000)})) for number in range(60)]
    found = sampled(wide)
    assert len(found.features) <= 500
    assert found.events < 10


def test_advice_is_in_the_order_of_the_checklist():
    loop = replace(changed(exploration_percentage=0.0, reward_wait=timedelta(days=5)), lag=timedelta(days=1))
    found = codes(loop, sampled([event(number, asked(number, {"mail": "a@example.org"}), rewards=()) for number in range(60)]))
    assert found == sorted(found, key=list(Code).index)
    assert found[0] is Code.TRAINER_BEHIND


@pytest.mark.parametrize(
    ("anew", "told"),
    [
        (ANEW, "25 % of the log is done. Until"),
        (replace(ANEW, left_out=3), "25 % of the log is done, and 3 could not be read. Until"),
        (replace(ANEW, chunks=0, done=0), "the trainer's next run starts it"),
    ],
)
def test_a_model_that_is_begun_anew_is_told_of_and_how_far_it_is(anew, told):
    (found,) = advise(replace(HEALTHY, anew=anew), sampled(sample()))
    assert (found.code, told in found.message) == (Code.LEARNING_ANEW, True)


def test_a_mirror_that_fails_is_told_with_its_reason():
    [told] = [each for each in advise(replace(HEALTHY, mirror_error="storage answered 403"), sampled(sample())) if "mirror" in each.code]
    assert (told.code, "storage answered 403" in told.message) == (Code.MIRROR_FAILING, True)
    assert Code.MIRROR_FAILING not in codes()
