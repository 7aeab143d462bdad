"""The client as an application uses it, against a service that fails as it is told to."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from open_personalizer import (
    Action,
    AsyncPersonalizer,
    ClosedError,
    InvalidRequestError,
    NotStoredError,
    Personalizer,
    QueueFullError,
    RefusedError,
    Slot,
)

from shared.learning.artifact import dump_model
from shared.learning.learner import Learner
from tests.client.service import SERVING, SETTINGS, Reply, Service, error
from tests.client.waiting import until
from tests.learning.building import random_batch
from tests.patience import PATIENCE
from tests.running import REPOSITORY

ACTIONS = [Action(f"a{number}", {"size": number}) for number in range(3)]
PROMISES = ["memory", "acknowledged", "spooled"]
Made = Callable[..., Personalizer]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as made:
        yield made


@pytest.fixture
def client(service, tmp_path) -> Iterator[Made]:
    made: list[Personalizer] = []

    def make(promise: str = "memory", **options: Any) -> Personalizer:
        made.append(Personalizer(service.endpoint, "key", promise=promise, spool=tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    service.gate.set()
    for each in made:
        each.close(0.0)


def stored(service: Service) -> list[str]:
    return [each["eventId"] for each in service.decisions]


@pytest.mark.parametrize("promise", PROMISES)
def test_what_was_ranked_rewarded_and_activated_reaches_the_service(service, client, promise):
    with client(promise) as personalizer:
        answer = personalizer.rank({"user": {"age": 3}}, ACTIONS, excluded=["a1"], event_id="e1", defer=True)
        personalizer.activate("e1")
        personalizer.reward("e1", 0.5)
        personalizer.reward("e2", 1, slot="top")
    (line,) = service.decisions
    assert (line["eventId"], line["rewardActionId"], line["excludedActions"]) == ("e1", answer.reward_action_id, ["a1"])
    assert line["deferActivation"] is True
    assert line["probability"] == answer.probability == 0.5
    told = [{name: value for name, value in each.items() if name not in ("timestamp", "id")} for each in service.observations]
    assert told == [
        {"eventId": "e1", "activate": True},
        {"eventId": "e1", "value": 0.5},
        {"eventId": "e2", "value": 1.0, "slotId": "top"},
    ]
    assert len({each["id"] for each in service.observations if "value" in each}) == 2


@pytest.mark.parametrize("promise", PROMISES)
def test_the_same_for_asyncio(service, tmp_path, promise):
    async def use() -> None:
        async with AsyncPersonalizer(service.endpoint, "key", promise=promise, spool=tmp_path) as personalizer:
            assert await personalizer.wait_until_ready(PATIENCE)
            answers = await asyncio.gather(*[personalizer.rank({}, ACTIONS, event_id=f"e{number}") for number in range(50)])
            await asyncio.gather(*[personalizer.reward(each.event_id, 1.0) for each in answers])
            await personalizer.activate("e1")
        assert personalizer.health.stored == 50

    asyncio.run(use())
    assert sorted(stored(service)) == sorted(f"e{number}" for number in range(50))
    assert len(service.observations) == 51


def test_before_the_first_answer_all_actions_are_equally_likely_and_there_is_no_ticket(service, client):
    service.serving_replies.extend([Reply(503, error("X"))] * 10_000)
    with client() as personalizer:
        answer = personalizer.rank({}, ACTIONS)
        assert answer.probabilities == (1 / 3, 1 / 3, 1 / 3)
        assert not personalizer.wait_until_ready(0.0)
        until(lambda: personalizer.health.model_error)
        assert personalizer.health.seconds_since_model_was_checked is None
    assert service.sent[0].lines[1] == {"ticket": None}


def test_settings_are_taken_over_while_it_runs_and_come_with_their_ticket(service, client):
    with client() as personalizer:
        assert personalizer.wait_until_ready(PATIENCE)
        service.serving = {**SERVING, "ticket": "second", "settings": {**SETTINGS, "learningMode": "Apprentice"}}
        until(lambda: personalizer.rank({}, ACTIONS).probabilities == (1.0, 0.0, 0.0))
    assert any({"ticket": "second"} in each.lines for each in service.sent)


@pytest.mark.parametrize(
    "wrong",
    [
        Reply(503, error("X", "down")),
        Reply(200, {**SERVING, "algorithm": 2}),
        Reply(200, {**SERVING, "settings": {}}),
        Reply(200, {**SERVING, "settings": {**SETTINGS, "somethingNewer": 1}}),
        Reply(200, {**SERVING, "model": "AAAA"}),
        Reply(200, {**SERVING, "model": "not base64!"}),
        Reply(200, {**SERVING, "loop": "No Loop"}),
        Reply(200, {**SERVING, "pollSeconds": "soon"}),
        Reply(200, {**SERVING, "pollSeconds": float("nan")}),
        Reply(200, {**SERVING, "ticket": None}),
        Reply(200, {**SERVING, "loop": 5}),
        Reply(302, None, {"Location": "/elsewhere"}),
        Reply(200, []),
        Reply(401, error("401")),
    ],
    ids=lambda reply: f"{reply.status}-{str(reply.body)[:60]}",
)
def test_a_look_that_fails_keeps_what_is_known_and_is_told(service, client, wrong):
    with client() as personalizer:
        assert personalizer.wait_until_ready(PATIENCE)
        service.serving_replies.extend([wrong] * 3)
        until(lambda: personalizer.health.model_error)
        assert personalizer.rank({}, ACTIONS).is_logged
        until(lambda: personalizer.health.model_error is None)
    assert {"ticket": "first"} in service.sent[0].lines


def test_an_answer_without_news_is_asked_for_by_its_tag(service, client):
    with client() as personalizer:
        until(lambda: service.looks >= 3)
        assert personalizer.health.model_error is None


def test_acknowledged_returns_when_it_is_stored_and_not_before(service, client):
    service.gate.clear()
    personalizer = client("acknowledged", timeout=PATIENCE)
    thread = threading.Thread(target=personalizer.rank, args=({}, ACTIONS), kwargs={"event_id": "e1"})
    thread.start()
    until(lambda: personalizer.health.waiting == 1)
    assert thread.is_alive()
    service.gate.set()
    thread.join(PATIENCE)
    assert stored(service) == ["e1"]


def test_acknowledged_says_what_the_service_refuses_and_what_it_does_not_answer(service, client):
    personalizer = client("acknowledged", timeout=0.2)
    service.replies.append(Reply(200, {"stored": 0, "refused": [{"line": 3, "code": "ModelNotKept", "message": "gone"}]}))
    with pytest.raises(RefusedError) as refused:
        personalizer.rank({}, ACTIONS)
    assert refused.value.code == "ModelNotKept"
    service.gate.clear()
    with pytest.raises(NotStoredError, match="may store it yet"):
        personalizer.rank({}, ACTIONS, event_id="under way")
    with pytest.raises(NotStoredError, match="not tried any more"):
        personalizer.rank({}, ACTIONS, event_id="withdrawn")
    service.gate.set()
    until(lambda: personalizer.health.waiting == 0)
    assert stored(service) == ["under way"]


@pytest.mark.parametrize("promise", ["memory", "spooled"])
def test_a_full_queue_pushes_back(service, client, promise):
    service.gate.clear()
    personalizer = client(promise, queue_bytes=3_000, timeout=0.05)
    for call in (lambda: personalizer.rank({}, ACTIONS), lambda: personalizer.reward("e", 1.0)):
        with pytest.raises(QueueFullError):
            [call() for _ in range(100)]
    waiting = personalizer.health.waiting
    service.gate.set()
    until(lambda: personalizer.health.waiting == 0)
    assert len(service.decisions) + len(service.observations) >= waiting
    assert personalizer.health.not_logged == 0


@pytest.mark.parametrize("promise", ["memory", "spooled"])
@pytest.mark.parametrize(("mode", "chances"), [("Online", (1 / 3, 1 / 3, 1 / 3)), ("Apprentice", (1.0, 0.0, 0.0))])
def test_a_full_queue_falls_back_and_counts_it_if_that_was_chosen(service, client, promise, mode, chances):
    service.serving = {**SERVING, "settings": {**SETTINGS, "learningMode": mode}}
    personalizer = client(promise, queue_bytes=3_000, when_full="uniform")
    assert personalizer.wait_until_ready(PATIENCE)
    service.gate.clear()
    answers = [personalizer.rank({}, ACTIONS) for _ in range(100)]
    unlogged = [each for each in answers if not each.is_logged]
    assert len(unlogged) == personalizer.health.not_logged > 0
    assert all(each.probabilities == chances for each in unlogged)
    service.gate.set()
    until(lambda: personalizer.health.waiting == 0)
    assert sorted(stored(service)) == sorted(each.event_id for each in answers if each.is_logged)


def test_a_full_queue_does_not_hold_up_the_event_loop(service):
    async def use() -> None:
        service.gate.clear()
        async with AsyncPersonalizer(service.endpoint, "key", promise="memory", queue_bytes=2_000, timeout=PATIENCE) as personalizer:
            ranks = asyncio.gather(*[personalizer.rank({}, ACTIONS) for _ in range(20)])
            await asyncio.sleep(0)
            service.gate.set()
            assert all(each.is_logged for each in await ranks)

    asyncio.run(use())
    assert len(service.decisions) == 20


def test_what_memory_could_not_send_in_time_is_lost_and_told(service, client, caplog):
    service.replies.extend([Reply(503, error("X"))] * 10_000)
    personalizer = client("memory")
    for _ in range(5):
        personalizer.rank({}, ACTIONS)
    assert personalizer.close(0.0) == personalizer.health.lost == 5
    assert "are lost" in caplog.text


def test_what_a_spool_could_not_send_in_time_is_sent_by_the_next_client(service, client):
    service.replies.extend([Reply(503, error("X"))] * 10_000)
    first = client("spooled")
    ids = [first.rank({}, ACTIONS).event_id for _ in range(5)]
    assert first.close(0.0) == 5
    assert first.health.lost == 0
    service.replies.clear()
    client("spooled")
    until(lambda: len(service.decisions) == 5)
    assert stored(service) == ids


def test_a_closed_client_refuses_calls(client):
    personalizer = client()
    personalizer.close()
    for call in (lambda: personalizer.rank({}, ACTIONS), lambda: personalizer.reward("e", 1.0), lambda: personalizer.activate("e")):
        with pytest.raises(ClosedError):
            call()
    assert personalizer.close() == 0


@pytest.mark.parametrize(
    "value", [1.1, -1.1, float("nan"), float("inf"), None, "1", True, 2, 10**400, -(10**5000)], ids=lambda value: str(type(value))
)
def test_a_reward_that_the_service_would_refuse_is_refused(client, value):
    with pytest.raises(InvalidRequestError):
        client().reward("e", value)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), Fraction(1, 2), np.int64(1), np.int8(-1), 0])
def test_a_reward_may_be_a_number_of_any_kind(service, client, value):
    made = client()
    made.reward("e", value)
    assert made.close() == 0
    assert [line["value"] for line in service.observations] == [float(value)]


def test_a_reward_has_the_id_that_it_is_given_or_one_of_its_own(service, client):
    made = client()
    for own in ('order "7"', 'order "7"', None, None):
        made.reward("e", 1.0, id=own)
    assert made.close() == 0
    ids = [line["id"] for line in service.observations]
    assert ids[:2] == ['order "7"'] * 2
    assert len(set(ids)) == 3


@pytest.mark.parametrize("wrong", ["", "x" * 257, 7])
def test_an_id_of_a_reward_that_the_service_would_refuse_is_refused(client, wrong):
    with pytest.raises(InvalidRequestError, match="id: must be"):
        client().reward("e", 1.0, id=wrong)


@pytest.mark.parametrize("name", ["timeout", "poll_seconds"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_time_that_is_none_is_refused(service, name, value):
    with pytest.raises(ValueError, match=f"{name}: .* is no number of seconds"):
        Personalizer(service.endpoint, "key", promise="memory", **{name: value})


@pytest.mark.parametrize("options", [{"promise": "best"}, {"when_full": "drop"}])
def test_an_unknown_choice_is_refused(service, options):
    with pytest.raises(ValueError, match="is none of"):
        Personalizer(service.endpoint, "key", **options)


def test_several_slots_are_filled_without_an_action_twice(service, client):
    service.serving = {**SERVING, "settings": {**SETTINGS, "policyArguments": "--ccb_explore_adf"}}
    with client("acknowledged") as personalizer:
        assert personalizer.wait_until_ready(PATIENCE)
        slots = [Slot("top", "a0"), Slot("side", "a1", {"width": 3}, ["a2"])]
        answer = personalizer.rank_slots({}, ACTIONS, slots, event_id="e1")
        assert answer == personalizer.rank_slots({}, ACTIONS, slots, event_id="e1")
    assert len({each.reward_action_id for each in answer.slots}) == 2
    assert service.decisions[0]["filled"] == [
        {"id": each.id, "rewardActionId": each.reward_action_id, "probability": each.probability} for each in answer.slots
    ]


def test_a_loop_for_one_slot_ranks_no_several(client):
    personalizer = client()
    assert personalizer.wait_until_ready(PATIENCE)
    with pytest.raises(InvalidRequestError, match="ccb_explore_adf"):
        personalizer.rank_slots({}, ACTIONS, [Slot("top", "a0")])


PROGRAM = """
import os, sys, threading, time
from open_personalizer import Action, Personalizer
imported = set(sys.modules)
endpoint, folder, promise, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
personalizer = Personalizer(endpoint, "key", promise=promise, spool=folder)
actions = [Action("a", {"x": 1}), Action("b", {"x": 2})]
def ranks(prefix):
    for number in range(count):
        told = personalizer.rank({"n": number}, actions, event_id=f"{prefix}{number}").event_id
        os.write(1, f"{told}\\n".encode())  # at once: a parent and its child tell in the same place
        personalizer.reward(f"{prefix}{number}", 1.0)
"""


def run(service: Service, folder: Path, promise: str, count: int, ending: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-c", PROGRAM + ending, service.endpoint, str(folder), promise, str(count)]
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'client'}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("promise", PROMISES)
def test_a_process_that_ends_without_closing_sends_what_it_has(service, tmp_path, promise):
    code, told = run(service, tmp_path, promise, 20, "ranks('e')")
    assert code == 0
    assert sorted(stored(service)) == sorted(told)
    assert len(service.observations) == 20


@pytest.mark.parametrize("promise", ["spooled", "acknowledged"])
def test_a_process_that_is_killed_has_lost_nothing_that_it_was_promised(service, tmp_path, promise):
    if promise == "spooled":
        service.gate.clear()
    code, told = run(service, tmp_path, promise, 20, "ranks('e'); os.kill(os.getpid(), 9)")
    assert code == -signal.SIGKILL
    assert len(told) == 20
    service.gate.set()
    with Personalizer(service.endpoint, "key", spool=tmp_path):
        until(lambda: set(stored(service)) == set(told) and len(service.observations) >= 20)


@pytest.mark.parametrize("promise", PROMISES)
def test_parent_and_child_of_a_fork_both_go_on_and_nothing_is_sent_twice(service, tmp_path, promise):
    ending = """
personalizer.wait_until_ready(60)
ranks("before")
child = os.fork()
ranks("child" if child == 0 else "parent")
left = personalizer.close(60)
if child:
    sys.exit(bool(left or os.waitpid(child, 0)[1]))
"""
    code, told = run(service, tmp_path, promise, 10, ending)
    assert code == 0
    ids = stored(service)
    assert sorted(ids) == sorted(f"{who}{number}" for who in ("before", "child", "parent") for number in range(10))
    assert set(ids) == set(told)


def test_a_fork_while_other_threads_rank_does_not_hang(service, tmp_path):
    ending = """
threads = [threading.Thread(target=ranks, args=(f"t{n}-",)) for n in range(4)]
[each.start() for each in threads]
children = []
for n in range(5):
    child = os.fork()
    if child == 0:
        personalizer.rank({}, actions, event_id=f"child{n}")
        os._exit(personalizer.close(60))
    children.append(child)
[each.join() for each in threads]
sys.exit(any([*[os.waitpid(child, 0)[1] for child in children], personalizer.close(60)]))
"""
    code, _ = run(service, tmp_path, "spooled", 30, ending)
    assert code == 0
    assert len(stored(service)) == len(set(stored(service))) == 4 * 30 + 5


@pytest.mark.parametrize("promise", PROMISES)
def test_nothing_is_imported_after_the_start_because_a_child_forked_meanwhile_could_never_import_it(service, tmp_path, promise):
    learner = Learner.cold()
    learner.learn(random_batch(1, 60))
    service.serving |= {"model": b64encode(dump_model(learner)).decode(), "modelVersion": "v1"}
    ending = """
assert personalizer.wait_until_ready(60) and personalizer.health.model_version == "v1"
ranks("e")
assert personalizer.close(60) == 0
print("late:", *set(sys.modules) - imported, flush=True)
"""
    code, told = run(service, tmp_path, promise, 3, ending)
    assert (code, told[-1]) == (0, "late:")


def test_two_processes_share_a_folder_and_nothing_is_sent_twice(service, tmp_path):
    running = [threading.Thread(target=run, args=(service, tmp_path, "spooled", 50, f"ranks('p{n}-')")) for n in range(2)]
    for each in running:
        each.start()
    for each in running:
        each.join(PATIENCE)
    assert sorted(stored(service)) == sorted(f"p{n}-{number}" for n in range(2) for number in range(50))


def test_a_reward_never_arrives_before_its_decision(service, tmp_path):
    run(service, tmp_path, "memory", 300, "[each.start() for each in [threading.Thread(target=ranks, args=(f't{n}-',)) for n in range(3)]]")
    seen: set[str] = set()
    for sent in service.sent:
        for line in sent.lines:
            if "value" in line:
                assert line["eventId"] in seen
            seen.add(line.get("eventId", ""))


def test_the_disk_has_what_was_refused(service, client, tmp_path):
    service.judge = lambda line: "NotReproduced" if "rewardActionId" in line else None
    personalizer = client("spooled")
    personalizer.rank({}, ACTIONS, event_id="e1")
    until(lambda: personalizer.health.refused == 1)
    until(lambda: list(tmp_path.rglob("refused.jsonl")))
    (kept,) = tmp_path.rglob("refused.jsonl")
    assert json.loads(kept.read_text())["line"]["eventId"] == "e1"
    assert personalizer.health.refused_lines[0].code == "NotReproduced"


def test_time_of_a_decision_is_when_it_was_made(service, client):
    service.gate.clear()
    personalizer = client("memory")
    before = time.time()
    personalizer.rank({}, ACTIONS)
    after = time.time()
    service.gate.set()
    until(lambda: service.decisions)
    assert before - 1e-3 <= datetime.fromisoformat(service.decisions[0]["timestamp"]).timestamp() <= after + 1e-3
