"""Calls that an application would make, for the pages to show something of."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from tests.http.building import path, rank_body
from tests.patience import PATIENCE
from tests.running import Asked

ADMIN_KEY = "the-administrators-key"
SETTINGS = {
    "PERSONALIZER_ADMIN_KEY": ADMIN_KEY,
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S",
}


def ranked(app: Asked, count: int, *, reward: float | None = 1.0, named: str = "") -> list[str]:
    """Rank so many events, and reward them; gives their ids, which begin as told, so that what is drawn for them is the same each time.

    A reward is sent before its event, which it may be by two minutes: so it is in time however slow the machine is.
    """
    ids = [f"{named}{number}" if named else secrets.token_hex(16) for number in range(count)]
    for event_id in ids if reward is not None else ():
        assert app.request("POST", path(f"events/{event_id}/reward"), {"value": reward}).status == 204
    for event_id in ids:
        assert app.request("POST", path("rank"), rank_body("a", "b", eventId=event_id)).status == 201
    return ids


def loop_of(app: Asked) -> Any:
    return app.request("GET", "/status").json["loop"]


def until(app: Asked, found: Callable[[], Any]) -> Any:
    """Wait for it, and give it."""
    deadline = time.monotonic() + PATIENCE
    while not (it := found()):
        assert time.monotonic() < deadline, app.logs[-3000:]
        time.sleep(0.1)
    return it


def learned(app: Asked, count: int) -> None:
    """Have the trainer come by until so many events are learned and served."""

    def is_so() -> bool:
        app.request("POST", "/admin/functions/train")
        loop = loop_of(app)
        is_served = loop["modelVersion"] == loop["publishedModelVersion"] is not None
        return bool(is_served and loop["counters"]["learned"] >= count)

    until(app, is_so)
