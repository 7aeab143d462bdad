"""The client against the app: the same answers, and nothing lost while models change and processes end."""

import random
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from open_personalizer import Action, NotStoredError, Personalizer, Ranking, Slot

from tests.client.waiting import until
from tests.http.own_loops import QUICK, SETTINGS, OwnLoop, own_loop
from tests.patience import PATIENCE
from tests.running import RunningApp
from tests.stores import NewStorage

pytestmark = pytest.mark.slow

ACTIONS = [
    Action(f"article-{number}", {"article": {"topic": topic, "words": 100 * number}, "tags": ["a", topic]})
    for number, topic in enumerate(("sport", "politics", "music", "food", "travel", "film"))
]
HOURS = ("morning", "noon", "evening")


@pytest.fixture(scope="module")
def app(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def in_azure(new_store: NewStorage) -> Iterator[RunningApp]:
    """The app in Microsoft's own worker."""
    with RunningApp(new_store(), kind="worker", settings=SETTINGS) as running:
        yield running


def connected(own: OwnLoop, folder: Path, **options: Any) -> Personalizer:
    return Personalizer(f"{own.app.base_url}/loops/{own.name}", own.key, spool=folder, **options)


def context(chance: random.Random) -> dict[str, Any]:
    return {"user": {"age": chance.randint(15, 80), "hour": chance.choice(HOURS)}, "visits": chance.random() * 40}


def ranked(personalizer: Personalizer, chance: random.Random, event_id: str) -> tuple[Ranking, dict[str, Any]]:
    """Rank once, with some exclusions; gives the request as the service gets it too."""
    given, excluded = context(chance), [f"article-{chance.randrange(6)}"] if chance.random() < 0.3 else []
    answer = personalizer.rank(given, ACTIONS, excluded=excluded, event_id=event_id)
    listed = [{"id": each.id, "features": list(each.features)} for each in ACTIONS]
    return answer, {"contextFeatures": [given], "actions": listed, "excludedActions": excluded, "eventId": event_id}


def counters(own: OwnLoop) -> Any:
    return own.request("GET", "/status").json["loop"]["counters"]


def train(own: OwnLoop, personalizer: Personalizer, *, learned: int) -> str:
    """Have the loop learn so many events, and the client take over the model; gives its version."""

    def there() -> bool:
        own.request("POST", "/admin/functions/train")
        time.sleep(0.2)
        return bool(counters(own)["learned"] >= learned)

    until(there)
    until(lambda: own.request("GET", "/models/serving").json["modelVersion"] == status(own)["publishedModelVersion"])
    newest = str(status(own)["publishedModelVersion"])
    until(lambda: personalizer.health.model_version == newest)
    return newest


def status(own: OwnLoop) -> Any:
    return own.request("GET", "/status").json["loop"]


def taught(own: OwnLoop, personalizer: Personalizer, events: int = 60, *, name: str = "lesson") -> str:
    chance = random.Random(name)
    before = counters(own)["learned"]
    for number in range(events):
        answer, _ = ranked(personalizer, chance, f"{name}-{number}")
        personalizer.reward(answer.event_id, answer.index / 5)
    return train(own, personalizer, learned=before + events)


@pytest.mark.parametrize("holdout", [0.0, 0.3])
def test_a_client_answers_what_the_service_answers_bit_for_bit(app, tmp_path, holdout):
    answers_alike(app, tmp_path, holdout=holdout)


def test_beside_microsofts_worker_all_but_the_last_digits_are_the_same(in_azure, tmp_path):
    """It runs on another Python with another numpy, which may add up in another order."""
    answers_alike(in_azure, tmp_path, holdout=0.3, tolerance=1e-12)


def answers_alike(app: RunningApp, folder: Path, *, holdout: float, tolerance: float = 0.0) -> None:
    """Ask both for each of some decisions, without a model and with one."""
    chance = random.Random(1)
    with own_loop(app, **QUICK, explorationPercentage=0.5, holdoutPercentage=holdout) as own, connected(own, folder) as personalizer:
        assert personalizer.wait_until_ready(PATIENCE)
        for name in ("before any model", "by a model"):
            for number in range(40):
                mine, body = ranked(personalizer, chance, f"{name} {number}")
                theirs = own.request("POST", "/personalizer/v1.0/rank", body).json
                assert mine.reward_action_id == theirs["rewardActionId"]
                assert [each.id for each in mine.ranking] == [each["id"] for each in theirs["ranking"]]
                expected = pytest.approx([each["probability"] for each in theirs["ranking"]], rel=0.0, abs=tolerance)
                assert [each.probability for each in mine.ranking] == expected
            if name == "before any model":
                assert taught(own, personalizer)
        personalizer.close(PATIENCE)
        health = personalizer.health
        assert (health.stored, health.refused, health.lost) == (140, 0, 0), health.refused_lines


def verified(own: OwnLoop, folder: Path, *, decisions: int, threads: int) -> None:
    """Rank in many threads, while models change; the service makes each decision again.

    It keeps twenty models, so many decisions, of which some wait a minute on a busy machine, have fewer of them published meanwhile.
    """
    numbers, pause = count(), 0.5 if decisions <= 10_000 else 5.0
    with connected(own, folder, timeout=PATIENCE) as personalizer:
        assert personalizer.wait_until_ready(PATIENCE)
        taught(own, personalizer)
        done = threading.Event()

        def rank(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(decisions // threads):
                answer, _ = ranked(personalizer, chance, f"e{next(numbers)}")
                personalizer.reward(answer.event_id, 1.0 if answer.index == 2 else 0.0)

        def publish() -> None:
            while not done.wait(pause):
                own.request("POST", "/admin/functions/train")

        publisher = threading.Thread(target=publish)
        publisher.start()
        ranking = [threading.Thread(target=rank, args=(seed,)) for seed in range(threads)]
        for each in ranking:
            each.start()
        for each in ranking:
            each.join()
        done.set()
        publisher.join()
        personalizer.close(10 * PATIENCE)
        health = personalizer.health
        whole = decisions // threads * threads
        assert (health.stored, health.observed, health.refused, health.lost) == (60 + whole, 60 + whole, 0, 0), health.refused_lines


def test_decisions_of_many_threads_are_verified_while_models_change(app, tmp_path):
    with own_loop(app, **QUICK, explorationPercentage=0.5) as own:
        verified(own, tmp_path, decisions=2_000, threads=8)


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_ten_thousand_decisions_are_verified_by_microsofts_worker(in_azure, tmp_path):
    with own_loop(in_azure, **QUICK, explorationPercentage=0.5) as own:
        verified(own, tmp_path, decisions=10_000, threads=4)


@pytest.mark.exhaustive
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("decisions", "threads"), [(30_000, 1), (96_000, 24)])
def test_decisions_are_verified_at_length(app, tmp_path, decisions, threads):
    """What goes wrong once in 20,000 decisions is found in 998 of 1,000 runs of both."""
    with own_loop(app, **QUICK, explorationPercentage=0.5) as own:
        verified(own, tmp_path, decisions=decisions, threads=threads)


@pytest.mark.parametrize(
    "arguments", ["--cb_explore_adf --epsilon 0.3", "--cb_explore_adf --softmax --lambda 3", "--cb_explore_adf --bag 4"]
)
@pytest.mark.parametrize("mode", ["Online", "Apprentice", "LoggingOnly"])
@pytest.mark.sweep(keep=2)
def test_every_policy_and_mode_comes_out_the_same(app, tmp_path, arguments, mode):
    chance = random.Random(arguments)
    with own_loop(app, **QUICK) as own:
        assert own.request("PUT", "/personalizer/v1.0/configurations/policy", {"name": "x", "arguments": arguments}).status == 200
        with connected(own, tmp_path) as personalizer:
            until(lambda: personalizer._engine.feed.basis.settings.policy.arguments == arguments)
            taught(own, personalizer, 40)
            settings = own.request("GET", "/personalizer/v1.0/configurations/service").json
            assert own.request("PUT", "/personalizer/v1.0/configurations/service", {**settings, "learningMode": mode}).status == 200
            for number in range(30):
                ranked(personalizer, chance, f"more {number}")
            personalizer.close(PATIENCE)
            assert personalizer.health.stored == 70
            assert personalizer.health.refused == 0, personalizer.health.refused_lines


@pytest.mark.parametrize("holdout", [0.0, 0.5])
def test_slots_come_out_the_same(app, tmp_path, holdout):
    with own_loop(app, **QUICK, holdoutPercentage=holdout) as own:
        policy = {"name": "slots", "arguments": "--ccb_explore_adf --epsilon 0.4"}
        assert own.request("PUT", "/personalizer/v1.0/configurations/policy", policy).status == 200
        with connected(own, tmp_path, promise="acknowledged", timeout=PATIENCE) as personalizer:
            until(lambda: personalizer._engine.feed.basis.settings.policy.arguments == policy["arguments"])
            slots = [Slot("top", "article-1", {"width": 3}), Slot("side", "article-2", excluded=["article-0"])]
            given = [{"id": each.id, "features": list(each.features)} for each in ACTIONS]
            asked = [
                {"id": "top", "baselineAction": "article-1", "features": [{"width": 3}]},
                {"id": "side", "baselineAction": "article-2", "excludedActions": ["article-0"]},
            ]
            for number in range(20):
                mine = personalizer.rank_slots({"user": {"age": number}}, ACTIONS, slots, event_id=f"e{number}")
                body = {"contextFeatures": [{"user": {"age": number}}], "actions": given, "slots": asked, "eventId": f"e{number}"}
                theirs = own.request("POST", "/personalizer/v1.1-preview.3/multislot/rank", body).json
                assert [(each.id, each.reward_action_id) for each in mine.slots] == [
                    (each["id"], each["rewardActionId"]) for each in theirs["slots"]
                ]
                personalizer.reward(mine.event_id, 1.0, slot="top")
            assert personalizer.health.refused == 0


def test_a_deferred_decision_counts_once_it_is_activated(app, tmp_path):
    with own_loop(app, **QUICK) as own, connected(own, tmp_path) as personalizer:
        assert personalizer.wait_until_ready(PATIENCE)
        for name in ("shown", "never shown"):
            personalizer.rank({}, ACTIONS, event_id=name, defer=True)
        personalizer.activate("shown")
        personalizer.reward("shown", 1.0)
        train(own, personalizer, learned=1)
        until(lambda: counters(own)["skipped"].get("notActivated") == 1)
        assert counters(own)["learned"] == 1


def has(stored: list[str], count: int) -> bool:
    return len(stored) >= count


def is_learned(app: RunningApp, events: int) -> bool:
    app.request("POST", "/admin/functions/train")
    time.sleep(0.2)
    return bool(app.request("GET", "/status").json["loop"]["counters"]["learned"] == events)


@pytest.mark.parametrize("kind", ["local", "worker"])
@pytest.mark.parametrize("promise", ["memory", "spooled", "acknowledged"])
@pytest.mark.sweep(keep=2)
def test_a_service_that_is_killed_again_and_again_loses_nothing(new_store, tmp_path, kind, promise):
    """What the client was promised by the service is there after its end, and what was not is sent again."""
    stored: list[str] = []
    quick = {"PERSONALIZER_REWARD_WAIT_TIME": "PT1S", "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S"}
    with RunningApp(new_store(), kind=kind, settings={**SETTINGS, **quick}) as app:
        with Personalizer(app.base_url, app.key, promise=promise, spool=tmp_path, timeout=PATIENCE) as personalizer:
            assert personalizer.wait_until_ready(PATIENCE)
            stop = threading.Event()

            def rank() -> None:
                for number in count():
                    if stop.is_set():
                        return
                    try:
                        stored.append(personalizer.rank({"n": number}, ACTIONS, event_id=f"e{number}").event_id)
                    except NotStoredError:
                        continue
                    time.sleep(0.01)

            thread = threading.Thread(target=rank)
            thread.start()
            for _ in range(2):
                wanted = len(stored) + 20
                until(partial(has, stored, wanted))
                app.kill()
                app.start()
            stop.set()
            thread.join(PATIENCE)
            personalizer.close(PATIENCE)
            assert personalizer.health.refused == personalizer.health.lost == 0, personalizer.health.refused_lines

        until(partial(is_learned, app, len(stored)))


def test_a_key_that_only_ranks_gets_no_model(app, tmp_path):
    with own_loop(app) as own:
        personalizer = Personalizer(f"{app.base_url}/loops/{own.name}", "wrong", spool=tmp_path)
        until(lambda: "401" in (personalizer.health.model_error or ""))
        personalizer.close(0.0)
