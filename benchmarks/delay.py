"""From a reward to answers by a model that learned it, next to the waits that were asked for."""

import secrets
import time

from benchmarks.hosts import Connection, running_host
from benchmarks.samples import Traffic
from benchmarks.table import Goal, Line
from benchmarks.timing import median

WAIT, GRACE, SCHEDULE, POLL_INTERVAL = 1.0, 4.0, 1.0, 0.5
FLOOR = WAIT + GRACE + SCHEDULE + POLL_INTERVAL
"""The longest that the settings ask to wait."""

GOAL = Goal(1.3)
_EVENTS = 20
_SETTINGS = {
    "PERSONALIZER_REWARD_WAIT_TIME": f"PT{WAIT:g}S",
    "PERSONALIZER_INGEST_GRACE": f"PT{GRACE:g}S",
    "PERSONALIZER_TRAINER_SCHEDULE": "* * * * * *",
    "PERSONALIZER_MODEL_POLL_INTERVAL": f"PT{POLL_INTERVAL:g}S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
}
_PATIENCE = 30.0


def run(storage: str, *, quick: bool) -> list[Line]:
    """Rank, reward and wait, with HTTP and timers in processes of their own, as Azure scales them."""
    rounds = 1 if quick else 5
    traffic = Traffic(actions=10, seed=6)
    with (
        running_host(storage, settings=_SETTINGS) as host,
        running_host(storage, settings=_SETTINGS, timers=True),
        host.connection() as caller,
    ):
        seconds = [_round(caller, traffic, known=number * _EVENTS) for number in range(rounds)]
    return [
        Line(
            "delay",
            f"median of {rounds}, against the settings",
            f"{median(seconds):.2f} s",
            f"{FLOOR:.2f} s",
            median(seconds) / FLOOR,
            GOAL,
        ),
        Line("delay", "slowest", f"{max(seconds):.2f} s", f"{FLOOR:.2f} s", max(seconds) / FLOOR),
    ]


def _round(caller: Connection, traffic: Traffic, *, known: int) -> float:
    """Give the seconds from the last reward's answer until the model that learned it is served."""
    events = [secrets.token_hex(16) for _ in range(_EVENTS)]
    for event_id in events:
        caller.rank(traffic.body(event_id))
    for event_id in events:
        caller.reward(event_id, traffic.reward())
    begin = time.perf_counter()
    while not _is_live(caller, learned=known + _EVENTS):
        if time.perf_counter() - begin > _PATIENCE:
            raise TimeoutError(f"{known + _EVENTS} events are still not learned")
        time.sleep(0.02)
    return time.perf_counter() - begin


def _is_live(caller: Connection, *, learned: int) -> bool:
    loop = caller.loop()
    return bool(loop["modelVersion"] == loop["publishedModelVersion"] and loop["counters"]["learned"] >= learned)
