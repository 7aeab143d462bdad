"""A loop of a test's own in an app that many tests share: nobody else's calls, settings, log or model, and no process to start for it."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.http.building import KEY
from tests.running import Answer, HostKind, RunningApp

ADMIN = {KEY: "the-administrators-key"}
SETTINGS = {
    "PERSONALIZER_ADMIN_KEY": ADMIN[KEY],
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT0.2S",
}
"""Of the app that is shared: its processes hear of each other soon, and what waits for rewards waits for nothing else."""
QUICK = {"rewardWaitTime": "PT1S", "modelExportFrequency": "PT1S"}


class OwnLoop(NamedTuple):
    """A loop that is asked as an app is whose default loop it were."""

    app: RunningApp
    name: str
    key: str

    def request(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None, keyed: bool = True
    ) -> Answer:
        """Send what `RunningApp.request` does to this loop; what is asked of the host, like a timer's turn, goes to the host."""
        place = path if path.startswith("/admin/") else f"/loops/{self.name}{path}"
        sent = {KEY: self.key} if keyed else {}
        return self.app.request(method, place, body, headers={**sent, **(headers or {})}, keyed=False)

    @property
    def base_url(self) -> str:
        return self.app.base_url

    def at(self, app: RunningApp) -> "OwnLoop":
        """Give the same loop as another process of the app serves it."""
        return self._replace(app=app)

    @property
    def logs(self) -> str:
        """All that the process has written, about this loop and others."""
        return self.app.logs


@contextmanager
def own_loop(app: RunningApp, **configuration: Any) -> Iterator[OwnLoop]:
    """Make a loop, with these settings in their names of the wire, and delete it at the end."""
    name = f"own{secrets.token_hex(6)}"
    made = app.request("PUT", f"/loops/{name}", {"configuration": configuration}, headers=ADMIN)
    assert made.status == 201, made.body
    try:
        yield OwnLoop(app, name, made.json["keys"][0])
    finally:
        app.request("DELETE", f"/loops/{name}", headers=ADMIN)


def another_process(app: RunningApp, kind: HostKind) -> RunningApp:
    """Give one more process of the shared app, which is to be started."""
    other = RunningApp(app.storage, kind=kind, settings={**SETTINGS, "PERSONALIZER_KEYS": app.key})
    other.key = app.key
    return other
