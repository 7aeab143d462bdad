"""Where an SDK is pointed at: the app under each form of address, and what became of the calls there."""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.http.building import KEY, path, rank_body
from tests.patience import PATIENCE
from tests.running import Answer, RunningApp

ADMIN_KEY = "the-administrators-key"
POLL = 0.2
SETTINGS = {
    "PERSONALIZER_ADMIN_KEY": ADMIN_KEY,
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": f"PT{POLL}S",
}
LOOP = "news"
SEVERAL_SLOTS = {"name": "several slots", "arguments": "--ccb_explore_adf --epsilon 0.2"}


class Place(NamedTuple):
    """An endpoint and a key, as an application would be given them."""

    app: RunningApp
    endpoint: str
    key: str

    def request(self, method: str, rest: str, body: object = None) -> Answer:
        """Call the loop over plain HTTP, past the SDK."""
        root = self.endpoint.removeprefix(self.app.base_url).rstrip("/")
        return self.app.request(method, f"{root}{rest}", body, headers={KEY: self.key})

    def call(self, method: str, rest: str, body: object = None) -> Any:
        """Call an operation of the loop and give its answer, which has to be a success."""
        answer = self.request(method, path(rest), body)
        assert answer.status < 300, answer.body
        return json.loads(answer.body) if answer.body else None

    def status(self) -> Any:
        return self.request("GET", "/status").json["loop"]

    def decision(self, event_id: str) -> Any:
        """Give what the service has stored of an event that was ranked once."""
        (decision,) = self.call("GET", f"events/{quote(event_id, safe='')}")["decisions"]
        return decision

    def slots(self, event_id: str) -> dict[str, Any]:
        """Give what is stored of an event with several slots, by slot."""
        return {each["slotId"]: each for each in self.call("GET", f"events/{quote(event_id, safe='')}")["decisions"]}

    def learn(self, events: int = 6) -> str:
        """Have a model learned, unless there is one; gives its version once it is served."""
        version = self.status()["publishedModelVersion"]
        if not version:
            for _ in range(events):
                event_id = self.call("POST", "rank", rank_body("a", "b"))["eventId"]
                self.call("POST", f"events/{event_id}/reward", {"value": 1.0})
            version = self.until(lambda: self.train()["publishedModelVersion"])
        self.until(lambda: self.status()["modelVersion"] == version)
        return str(version)

    def train(self) -> Any:
        """Start the trainer by hand, and give the status that is seen next."""
        self.app.request("POST", "/admin/functions/train")
        time.sleep(0.2)
        return self.status()

    def until(self, found: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
        """Wait for it, and give it."""
        deadline = time.monotonic() + seconds
        while not (it := found()):
            assert time.monotonic() < deadline, self.app.logs[-3000:]
            time.sleep(0.05)
        return it


def place_at(app: RunningApp, address: str) -> Place:
    """Give the place with this form of address; the loop is made when it is first asked for."""
    endpoint = address.format(app=app.base_url)
    if "/loops/" not in address:
        return Place(app, endpoint, app.key)
    made = app.request("PUT", f"/loops/{LOOP}", headers={KEY: ADMIN_KEY})
    assert made.status == 201, made.body
    return Place(app, endpoint, made.json["keys"][1])
