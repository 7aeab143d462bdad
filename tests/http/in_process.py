"""Processes of the app inside this one, on one storage and by one clock that a test sets; each answer is held against the description."""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.serving.model_server import ModelServer
from shared.storage import names
from tests.clocks import SetClock
from tests.http.building import code_of
from tests.http.described import Said, conforms, said
from tests.patience import PATIENCE
from tests.running import Answer
from tests.stored.calls import App
from tests.stores import received, settings_of

KEY: Final = "the-first-key"
ADMIN: Final = "the-administrators-key"
SETTINGS: Final[Mapping[str, str]] = {
    "PERSONALIZER_KEYS": f"{KEY},the-second-key",
    "PERSONALIZER_ADMIN_KEY": ADMIN,
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT1H",
}
"""A process polls when the test says so: its own thread comes by for the first time only."""


@cache
def operation(name: str) -> Said:
    """Give an operation by its id in the description; where it has one for each kind of version, by that of the newest."""
    found = {each.operation["operationId"]: each for each in said()}
    return found.get(f"{name}_2022") or found[name]


class Sent(NamedTuple):
    """A loop of a process, and the key that goes along."""

    loop: str
    key: str


class Process:
    """One process of the app. All of it runs on one event loop, which goes on only while something is asked."""

    def __init__(self, place: str, clock: SetClock, runner: asyncio.Runner) -> None:
        self.settings = read_settings({**settings_of(place), **SETTINGS})
        self._runner = runner
        self.deployment = Deployment(self.settings, clock=clock)
        self._app = App(self.deployment)

    def close(self) -> None:
        self._runner.run(self.deployment.close())

    def ask(
        self,
        name: str | Said,
        to: Sent,
        body: Any = None,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        query: str = "",
        **values: str,
    ) -> Answer:
        """Call an operation; whatever the answer is, it is one that the description has, and no failure."""
        asked = operation(name) if isinstance(name, str) else name
        before = "" if asked.operation["tags"] == ["Loops"] or to.loop == "default" else f"/loops/{to.loop}"
        quoted: Any = {key: quote(value, safe="") for key, value in values.items()}
        address = before + asked.address(**quoted)
        address += (("&" if "?" in address else "?") + query) if query else ""
        media_type = next(iter(asked.operation.get("requestBody", {}).get("content", {})), "application/json")
        found = self._runner.run(
            self._app.call(asked.method, address.lstrip("/"), body, key=to.key, media_type=media_type, headers=headers)
        )
        answer = found._replace(headers={name.lower(): value for name, value in found.headers.items()})
        assert answer.status != 500, (name, answer)
        if answer.status >= 400:
            assert code_of(answer)
        conforms(answer, asked)
        return answer

    def look_at(self, loop: str) -> None:
        """Have the process look at a loop, as it does by itself when it is first asked for one."""

        async def look() -> ModelServer:
            services = await self.deployment.find(loop)
            assert services is not None
            await asyncio.to_thread(services.models.refresh)
            return services.models

        watch = self.deployment.polling._watched[self._runner.run(look())]
        until = time.monotonic() + PATIENCE
        while watch.looked < 0:  # the first look of the thread that polls has to be over as well: no other comes within a test
            assert time.monotonic() < until
            time.sleep(0.001)

    def poll(self) -> None:
        """Have the process look at all that it serves."""

        async def look() -> None:
            for services in list(self.deployment._present.values()):
                await asyncio.to_thread(services.models.refresh)

        self._runner.run(look())

    def timer(self, name: str) -> None:
        self._runner.run(self._app.timer(name))

    def work(self, most: int) -> int:
        """Do steps of analyses that wait in the queue; gives how many there were."""
        for number in range(most):
            message = self._runner.run(received(self.deployment.host_storage, queue=names.JOBS, hidden_for=timedelta(seconds=30)))
            if message is None:
                return number
            self._runner.run(self._app.analyse(message))
        return most


def lines(*documents: Mapping[str, Any]) -> bytes:
    """Write a batch."""
    return "\n".join(map(json.dumps, documents)).encode()
