"""What happens in the storage that a release leaves behind: loops of every kind, with something waiting in each log.

Everything is done through the app's own functions; what no request can bring about (a damaged row, a writer that has not heard of
something, a trainer that is stopped) is done to storage itself.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from shared.domain.errors import UnreadableError
from shared.domain.ledger import Pointer
from shared.domain.loop import ApprenticeLearning
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.services.analysis import running
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage.azure.storage import AzureStorage
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from tests.clocks import SetClock
from tests.stored.calls import App, place, said, under
from tests.stores import received, rows_of

BEGIN: Final = datetime(2026, 5, 17, 12, tzinfo=UTC)
ADMIN: Final = "the-administrators-key"
OWN_KEYS: Final = ("the-apps-first-key", "the-apps-second-key")
SETTINGS: Final[Mapping[str, str]] = {
    "PERSONALIZER_KEYS": ",".join(OWN_KEYS),
    "PERSONALIZER_ADMIN_KEY": ADMIN,
    "PERSONALIZER_REWARD_WAIT_TIME": "PT1M",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT1S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT1H",
    "PERSONALIZER_POLICY_ARGUMENTS": "--cb_explore_adf --ignore i",  # without parts of the actions' own, which make a state large
}
SERVED: Final = ("default", "pages", "imitating", "observing", "silent", "cleared", "again", "free")
"""Loops that are there in the end."""
GONE: Final = "gone"
HELD: Final = "held"
"""The only loop beside the app's own in a part that tells of a holdout and a schedule."""

SHARE: Final = 0.25

ROUNDS: Final = 10
"""Events of a loop in each window."""
_VISITORS: Final = ("young", "old")
_ACTIONS: Final = ("news", "sport", "weather")
_LINES: Final = "application/x-ndjson"
_MIRROR: Final = "copies"
_CONFIGURATION: Final[Mapping[str, Any]] = {
    "rewardWaitTime": "PT1M",
    "defaultReward": 0.25,
    "rewardAggregation": "sum",
    "explorationPercentage": 0.3,
    "modelExportFrequency": "PT2S",
    "logRetentionDays": 30,
    "modelRetrainDays": 3,
    "learningMode": "Online",
    "isInferenceExplainabilityEnabled": True,
    "isAutoOptimizationEnabled": False,
    "autoOptimizationFrequency": "P7D",
    "autoOptimizationStartDate": "2026-06-01T00:00:00Z",
    "logMirrorEnabled": True,
}


class StoppedError(Exception):
    """A trainer was stopped before its commit."""


class _Stopping(FileModelStore):
    async def commit(self, pointer: Pointer, *, expected: str | None) -> str:
        raise StoppedError


@dataclass
class Story:
    """The app at work on an account, and what a reader has to know of it afterwards."""

    connection: str
    clock: SetClock = field(default_factory=lambda: SetClock(BEGIN))
    keys: dict[str, list[str]] = field(default_factory=lambda: {"default": [*OWN_KEYS]})
    refused: dict[str, list[str]] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(15))
    shown: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deployment, self.app = self._process(self.clock)
        self.slow_clock = SetClock(BEGIN)
        self.slow, self.slow_app = self._process(self.slow_clock)

    def _process(self, clock: SetClock) -> tuple[Deployment, App]:
        deployment = Deployment(read_settings({"AzureWebJobsStorage": self.connection, **SETTINGS}), clock=clock)
        return deployment, App(deployment)

    async def close(self) -> None:
        await self.deployment.close()
        await self.slow.close()

    async def tell(self) -> None:
        """Do it all; what is waiting then is learned by whoever comes by later."""
        await self._make_loops()
        await self._hear()
        await self._first_window()
        self.clock.at = BEGIN + timedelta(seconds=200)
        await self._come_by()
        await self._between()
        await self._second_window()
        self.clock.at = BEGIN + timedelta(seconds=420)
        await self._come_by()
        await self._change_hands()
        await self._analyse()
        await self._waiting_window()
        await self._stop_a_trainer()

    async def tell_of_a_holdout(self) -> None:
        """Have a loop with a holdout and a daily schedule: one run is over, one is asked for, and events wait to be learned."""
        await self._make(HELD, "S0")
        await self._configure(HELD, holdoutPercentage=SHARE, logMirrorEnabled=False)
        await self._hear()
        await self._traffic("first", loops=(HELD,))
        self.clock.at = BEGIN + timedelta(seconds=200)
        await self._come_by()
        schedule = {
            "name": "every day",
            "everyDays": 1,
            "overDays": 30,
            "startTime": (BEGIN + timedelta(seconds=210)).isoformat(),
            "policies": [{"name": "greedy", "arguments": "--cb_explore_adf --first 1 --ignore i"}],
            "comparedWith": "online",
            "leastLifts": {"greedy": -2.0},
        }
        said(await self.app.call("PUT", under(HELD, "evaluations/schedules/daily"), schedule, key=self.keys[HELD][0]))
        self.clock.at = BEGIN + timedelta(seconds=220)
        await self.app.timer("analyses")
        while await self._next_step():
            continue
        await self.app.timer("analyses")
        self.clock.at = BEGIN + timedelta(days=1, seconds=220)
        await self._traffic("waiting", loops=(HELD,))
        await self.app.timer("analyses")

    # --- calls -----------------------------------------------------------------------------------------------------------

    async def call(self, loop: str, method: str, rest: str, body: object = None, **others: Any) -> Any:
        version = {"version": others.pop("version")} if "version" in others else {}
        app = others.pop("app", self.app)
        return said(await app.call(method, place(loop, rest, **version), body, key=self.keys[loop][0], **others))

    async def manage(self, method: str, path: str, body: object = None) -> Any:
        return said(await self.app.call(method, path, body, key=ADMIN))

    async def rank(self, loop: str, event_id: str, **members: Any) -> None:
        app = members.pop("app", self.app)
        visitor = self.chance.choice(_VISITORS)
        body = {"contextFeatures": [{"user": {"kind": visitor, "age": self.chance.randrange(18, 90)}}], "actions": _actions(), **members}
        self.shown[loop, event_id] = await self.call(loop, "POST", "rank", {**body, "eventId": event_id}, app=app), visitor
        self._note(loop, event_id)

    async def rank_slots(self, loop: str, event_id: str, **members: Any) -> None:
        visitor = self.chance.choice(_VISITORS)
        slots = [{"id": each, "baselineAction": each_first, "features": [{"where": each}]} for each, each_first in _SLOTS]
        body = {"contextFeatures": [{"user": {"kind": visitor}}], "actions": _actions(), "slots": slots, **members}
        self.shown[loop, event_id] = await self.call(loop, "POST", "multislot/rank", {**body, "eventId": event_id}), visitor
        self._note(loop, event_id)

    async def reward(self, loop: str, event_id: str) -> None:
        """Report what the action that was shown is worth to that visitor."""
        shown, visitor = self.shown[loop, event_id]
        if loop == "pages":
            worth = [{"slotId": each["id"], "value": _worth(each["rewardActionId"], visitor)} for each in shown["slots"]]
            await self.call(loop, "POST", f"multislot/events/{event_id}/reward", {"reward": worth})
        else:
            await self.call(loop, "POST", f"events/{event_id}/reward", {"value": _worth(shown["rewardActionId"], visitor)})

    async def activate(self, loop: str, event_id: str) -> None:
        if loop == "pages":
            await self.call(loop, "POST", f"multislot/events/{event_id}/activate", version="v1.1-preview.3")
        else:
            await self.call(loop, "POST", f"events/{event_id}/activate")

    def _note(self, loop: str, event_id: str) -> None:
        """Remember an event to be asked about later: all with a name of their own, and of each window the first ones."""
        known = self.events.setdefault(loop, [])
        number = event_id.rpartition("-")[2]
        is_one_of_many = number.isdecimal() and int(number) > (2 if loop == "default" else 0)
        if event_id not in known and not is_one_of_many:
            known.append(event_id)

    async def _services(self, loop: str) -> LoopServices:
        found = await self.deployment.fresh(loop)
        assert found is not None
        return found

    # --- the parts -------------------------------------------------------------------------------------------------------

    async def _make_loops(self) -> None:
        policy = {"name": "several", "arguments": "--ccb_explore_adf --epsilon 0.2 --ignore i"}
        for name, tier in {"pages": "S0", "imitating": "E0", "observing": "E0", "silent": "S0", "cleared": "S0", "free": "F0"}.items():
            await self._make(name, tier)
        for name in (GONE, "again"):
            await self._make(name, "S0")
        await self.call("pages", "PUT", "configurations/policy", policy)
        for mode in ("Online", "LoggingOnly"):  # the other settings first: they cannot be changed together
            await self._configure("silent", learningMode=mode)
        await self._configure("free", isAutoOptimizationEnabled=True, logMirrorEnabled=False)
        await self.call("observing", "PUT", "configurations/policy", {"name": "with parts of its own", "arguments": "--cb_explore_adf"})
        observing = await self._services("observing")
        await observing.configurator.edit(lambda record: record.overriding({"apprentice_learning": ApprenticeLearning.OBSERVE}))
        storage = self.deployment.storage
        assert isinstance(storage, AzureStorage)
        await storage.blobs.create_container(_MIRROR)
        await self._configure("default", logMirrorSasUri=_signed(self.connection))
        await self.call(
            "default", "PUT", "configurations/policy", {"name": "chosen", "arguments": "--cb_explore_adf --squarecb --ignore i"}
        )
        key = await self.manage("POST", "loops/default/keys/1/regenerate")
        self.refused["default"] = [OWN_KEYS[0]]
        self.keys["default"] = [key["key"], OWN_KEYS[1]]
        key = await self.manage("POST", "loops/pages/keys/2/regenerate")
        self.refused["pages"] = [self.keys["pages"][1]]
        self.keys["pages"] = [self.keys["pages"][0], key["key"]]

    async def _make(self, name: str, tier: str) -> None:
        self.keys[name] = (await self.manage("PUT", f"loops/{name}", {"tier": tier}))["keys"]

    async def _configure(self, loop: str, **members: Any) -> None:
        body = {**_CONFIGURATION, "logMirrorEnabled": loop == "default", **members}
        await self.call(loop, "PUT", "configurations/service", body)

    async def _hear(self) -> None:
        """Have all processes know the settings that are in force."""
        for deployment in (self.deployment, self.slow):
            for loop in self.keys:
                services = await deployment.find(loop)
                assert services is not None
                await asyncio.to_thread(services.models.refresh)

    async def _traffic(self, window: str, *, loops: tuple[str, ...] = (*SERVED, GONE)) -> None:
        """Rank an event of each loop every four seconds, and have most of the last ones' rewards come in between."""
        for number in range(ROUNDS):
            for loop in loops:
                rank = self.rank_slots if loop == "pages" else self.rank
                await rank(loop, f"{window}-{number}")
            self.clock.pass_(2)
            for loop in loops:
                if self.chance.random() < 0.7:
                    await self.reward(loop, f"{window}-{number}")
            self.clock.pass_(2)

    async def _first_window(self) -> None:
        await self._traffic("first")
        await self._upload()
        await self._damage_one()
        await self._deferred("first")
        await self.rank("default", "twice")
        self.clock.pass_(1)
        await self.rank("default", "twice")
        for value in (1.0, 0.5):
            await self.call("default", "POST", "events/twice/reward", {"value": value})
        await self.call("default", "POST", "events/nobody/reward", {"value": 1.0})
        await self.rank("default", "rewarded-late")
        await self.rank("default", "excluding", excludedActions=["sport"])

    async def _deferred(self, window: str) -> None:
        for loop in ("default", "pages"):
            rank = self.rank_slots if loop == "pages" else self.rank
            await rank(loop, f"{window}-activated", deferActivation=True)
            await rank(loop, f"{window}-not-activated", deferActivation=True)
            await self.reward(loop, f"{window}-activated")
            await self.reward(loop, f"{window}-not-activated")
            await self.activate(loop, f"{window}-activated")

    async def _upload(self) -> None:
        lines = [
            {
                "eventId": f"uploaded-{number}",
                "contextFeatures": [{"user": {"kind": "old", "age": 50 + number}}],
                "actions": _actions(),
                "ranking": [{"id": each, "probability": share} for each, share in zip(_ACTIONS, (0.5, 0.3, 0.2), strict=True)],
                "rewardActionId": _ACTIONS[number],
                "modelVersion": "a client's own é𝄞",
            }
            for number in range(3)
        ]
        await self.call("default", "POST", "logs/interactions", _lines(lines), media_type=_LINES)
        reports = [{"eventId": "uploaded-0", "value": 0.75}, {"eventId": "uploaded-1", "value": -0.5}]
        await self.call("default", "POST", "logs/observations", _lines(reports), media_type=_LINES)
        for line in lines:
            self._note("default", str(line["eventId"]))

    async def _damage_one(self) -> None:
        """Have a row that does not verify."""
        self.clock.pass_(1)
        await self.rank("default", "damaged")
        rows = self.deployment.storage.rows
        row = max(await rows_of(self.deployment.storage, table := "defaultx0001d20260517"), key=lambda each: str(each["RowKey"]))
        await rows.put(table, {**row, "Payload00": row["Payload00"][:-1] + b"?"})

    async def _come_by(self) -> None:
        """Have the timers do their work, and what they publish served."""
        for timer in ("train", "mirror", "retention"):
            await self.app.timer(timer)
        for loop in self.keys:
            services = await self.deployment.find(loop)
            assert services is not None
            await asyncio.to_thread(services.models.refresh)

    async def _straggle(self, loop: str, event_id: str, *, behind: float) -> None:
        """Have a process whose clock is slow store a decision."""
        pointer = (await (await self._services(loop)).store.pointer() or (None,))[0]
        assert pointer is not None
        self.slow_clock.at = pointer.watermark - timedelta(seconds=behind)
        await self.rank(loop, event_id, app=self.slow_app)

    async def _between(self) -> None:
        """Have stragglers, a late reward, a log that is deleted while a writer has not heard of it, and loops that end."""
        await self._straggle("default", "straggling", behind=9)
        await self.call("default", "POST", "events/rewarded-late/reward", {"value": 1.0})
        await self.call("cleared", "DELETE", "logs")
        self.slow_clock.at = self.clock.pass_(1)
        await self.rank("cleared", "written-by-who-has-not-heard", app=self.slow_app)
        await self._end("again")
        self.clock.pass_(1)
        await self._make("again", "S0")

    async def _end(self, loop: str) -> None:
        await self.manage("DELETE", f"loops/{loop}")
        self.refused[loop] = self.keys.pop(loop)
        self.events.pop(loop)

    async def _second_window(self) -> None:
        self.clock.at = BEGIN + timedelta(seconds=230)
        await self._traffic("second")

    async def _change_hands(self) -> None:
        """Have models that the trainer did not make in the usual way: gone back to, brought back, begun anew; and a loop that ended."""
        versions = await self.call("default", "GET", "model/versions")
        await self.call("default", "POST", f"model/versions/{versions['value'][-1]['version']}/restore")
        archive = await self.app.call("GET", place("cleared", "model?signed=true"), key=self.keys["cleared"][0])
        await self.call("cleared", "DELETE", "model")
        await self.call("cleared", "PUT", "model", archive.body)
        await self.call("silent", "DELETE", "model")
        await self.call("free", "PUT", "configurations/policy", {"name": "narrow", "arguments": "--cb_explore_adf --ignore iu"})
        await self.app.timer("train")
        await self._end(GONE)

    async def _analyse(self) -> None:
        """Have an analysis of each kind that is over, one that is under way, and one that nobody has begun with."""
        running.STEP_CHUNKS = 1  # type: ignore[misc]  # so that there are several steps
        span = {"startTime": "2026-05-17T00:00:00Z", "endTime": "2026-05-18T00:00:00Z"}
        policies = [{"name": "greedy", "arguments": "--cb_explore_adf --first 1 --ignore i"}]
        await self.call("default", "PUT", "evaluations/finished", {"name": "one", **span, "policies": policies})
        await self.call("default", "PUT", "featureImportances/weighed", {"name": "what matters", **span})
        await self.call("pages", "PUT", "evaluations/of%20slots", {"name": "slots", **span, "policies": []})
        while await self._next_step():
            continue
        self.clock.pass_(1)
        await self.call("default", "PUT", "evaluations/underway", {"name": "two", **span, "policies": policies})
        for _ in range(2):
            await self._next_step()
        self.clock.pass_(1)
        await self.call("default", "PUT", "evaluations/asked-for", {"name": "three", **span, "policies": policies})

    async def _next_step(self) -> bool:
        message = await received(self.deployment.host_storage)
        if message is not None:
            await self.app.analyse(message)
        return message is not None

    async def _waiting_window(self) -> None:
        """Have something wait in each log when all is over: every shape of a decision, with its rewards, and a straggler."""
        self.clock.at = BEGIN + timedelta(seconds=440)
        await self._straggle("default", "straggling-again", behind=9)
        await self._traffic("waiting", loops=SERVED)
        await self._deferred("waiting")
        await self.rank("default", "first-0")
        await self.call("default", "POST", "events/nobody-again/reward", {"value": 1.0})
        await self._configure("again", rewardWaitTime="PT30S")

    async def _stop_a_trainer(self) -> None:
        """Have what a run leaves behind that is stopped before its commit: a chunk, a model and its state that no pointer names."""
        services = await self._services("imitating")
        clock = SetClock(self.clock.at + timedelta(seconds=80))

        trainer = Trainer(
            services.log,
            FileColdLog(self.deployment.storage, loop=services.place),
            _Stopping(self.deployment.storage, loop=services.place),
            services.configuration,
            clock=clock,
            limits=Limits(grace=services.settings.ingest_grace, lookback=services.settings.lookback),
        )
        try:
            await trainer.run()
        except StoppedError:
            return
        raise UnreadableError("nothing was waiting for the trainer")


_SLOTS: Final = (("top", "news"), ("side", "sport"))


def _actions() -> list[dict[str, Any]]:
    return [{"id": each, "features": [{"article": {"topic": each, "length": number / 10}}]} for number, each in enumerate(_ACTIONS, 1)]


def _worth(action: str, visitor: str) -> float:
    return {"news": 0.25, "sport": 1.0 if visitor == "young" else 0.0, "weather": 0.5 if visitor == "old" else 0.0}[action]


def _lines(documents: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in documents)


def _signed(connection: str) -> str:
    """Give the address of the container that the log is mirrored to, with the right to write there."""
    parts = dict(part.split("=", 1) for part in connection.rstrip(";").split(";"))
    signature = generate_container_sas(
        parts["AccountName"],
        _MIRROR,
        account_key=parts["AccountKey"],
        permission=ContainerSasPermissions.from_string("w"),
        expiry=datetime(2099, 1, 1, tzinfo=UTC),
    )
    return f"{parts['BlobEndpoint']}/{_MIRROR}?{signature}"
