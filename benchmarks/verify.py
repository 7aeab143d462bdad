"""Batches of decisions that clients made: reading and verifying them, against deciding the same requests one by one as Rank does.

Nothing is stored: `append` measures that. Seconds are those of the processor, so that other programs count for little.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import orjson

from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import median
from shared.api.decisions import read_decisions
from shared.api.rank import ActionReader
from shared.api.times import written_time
from shared.domain.clock import SystemClock
from shared.domain.events import LearningMode, Situation
from shared.domain.loop import LoopSettings
from shared.learning import artifact
from shared.learning.encoding import to_batch
from shared.learning.learner import Learner
from shared.learning.model import Model
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import Served
from shared.services.serving.verifying import Terms, Verifier

GOAL = Goal(1.0, at_least=True)
_LARGEST: Final = 1024 * 1024
_LEARNED: Final = 1_000
_TICKET: Final = "t"
_USUAL: Final = 10
"""Actions of a request; of many, half of the time is for reading them."""


def run(storage: str, *, quick: bool) -> list[Line]:
    """Measure; storage is not needed."""
    return [_line(actions, rounds=2 if quick else 20) for actions in (_USUAL, 50)]


def _line(actions: int, *, rounds: int) -> Line:
    traffic = Traffic(actions=actions, seed=25)
    served = Served("00000001-a", None, _model(traffic), LoopSettings())
    body = _body(traffic, served)
    reader, decider, verifying = ActionReader(), Decider(), Decider()
    asked = [each.asked for each in read_decisions(body, reader).claims if isinstance(each.asked, Situation)]
    at = SystemClock().now()
    terms = Terms(at, at, timedelta(hours=1), timedelta(hours=2), LearningMode.ONLINE, {_TICKET: served})

    def verify() -> None:
        verified = Verifier(verifying).verify(read_decisions(body, reader).claims, terms)
        if verified.stored != len(asked):
            raise RuntimeError(f"{len(asked) - verified.stored} of {len(asked)} decisions were refused")

    def decide() -> None:
        for number, each in enumerate(asked):
            decider.decide(each, served, event_id=f"e{number}", at=at, deferred=False)

    times = [(_seconds(verify), _seconds(decide)) for _ in range(rounds)]
    ours, floor = (len(asked) / median(each) for each in zip(*times[1:], strict=True))
    measure = f"decisions a second of the processor's time, {actions} actions, {len(asked)} a batch"
    return Line("verify", measure, f"{ours:,.0f}", f"{floor:,.0f}", ours / floor, GOAL if actions == _USUAL else None)


def _seconds(work: Callable[[], None]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _model(traffic: Traffic) -> Model:
    at = SystemClock().now()
    made = [traffic.decision(f"e{number}", at) for number in range(_LEARNED)]
    batch = to_batch([each.encoded for each in made], rewards=[traffic.reward() for _ in made], probabilities=[0.5] * _LEARNED)
    learner = Learner.cold()
    for first in range(0, _LEARNED, 100):
        learner.learn(batch.cut(first, first + 100))
    return artifact.load_model(artifact.dump_model(learner))


def _body(traffic: Traffic, served: Served) -> bytes:
    """Fill a body with decisions as a client makes them, at most a thousand lines."""
    at, decider, reader = SystemClock().now(), Decider(), ActionReader()
    lines = [orjson.dumps({"sentAt": written_time(at), "ticket": _TICKET})]
    size = len(lines[0])
    while len(lines) < 1_000:
        request = traffic.body(f"e{len(lines) - 1}")
        told = {**request, "rewardActionId": request["actions"][0]["id"], "probability": 0.0, "timestamp": written_time(at)}
        (claim,) = read_decisions(b"\n".join([lines[0], orjson.dumps(told)]), reader).claims
        assert isinstance(claim.asked, Situation)
        made = decider.decide(claim.asked, served, event_id=claim.event_id, at=at, deferred=False)
        shown = {"rewardActionId": claim.asked.actions[made.chosen].id, "probability": made.probabilities[made.chosen]}
        line = orjson.dumps({**told, **shown})
        size += len(line) + 1
        if size > _LARGEST:
            break
        lines.append(line)
    return b"\n".join(lines)
