"""Whatever order calls, timers and time come in: the service says of it what a client that remembers everything knows.

One machine draws sequences of calls to two processes of the app on one storage, by one clock, and holds each answer against
`tests.http.remembered`.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.clocks import SetClock
from tests.http.building import actions
from tests.http.in_process import ADMIN, KEY, Process, Sent, lines
from tests.http.remembered import Remembered, Rules, Shown, Told
from tests.running import Answer
from tests.stores import quick_folder

BEGIN: Final = datetime(2026, 5, 17, 12, tzinfo=UTC)
NAMES: Final = ("default", "news", "pages")
EVENTS: Final = ("e1", "e2", "e3", "a/b", "é %")
IDS: Final = ("a", "b", "c")
SLOTS: Final = ("top", "side")
ARGUMENTS: Final = ("--cb_explore_adf", "--cb_explore_adf --softmax --lambda 3", "--cb_explore_adf --ignore i", "--ccb_explore_adf")
JOBS: Final = ("first", "a/second")
RANGE: Final = {"startTime": "2026-05-17", "endTime": "2026-06-17"}
OTHERS: Final[Any] = {"importances": {}, "breakdowns": {"feature": "user.segment"}}
"""Jobs on a range of the log that are asked for beside evaluations, and what they need."""
CHANGES: Final[Any] = {
    "rewardWaitTime": ["PT1S", "PT30S", "PT10M", "PT4H"],
    "defaultReward": [0.0, -1.0, 0.5],
    "rewardAggregation": ["earliest", "sum", "average", "median", "min", "max"],
    "explorationPercentage": [0.0, 0.2, 1.0],
    "modelExportFrequency": ["PT1S", "PT5M"],
    "learningMode": ["Online", "Apprentice", "LoggingOnly"],
    "logRetentionDays": [-1, 90, 100],
    "modelRetrainDays": [0, 2, 90],
    "isInferenceExplainabilityEnabled": [False, True],
    "breakdownFeature": ["", "user.segment"],
    "holdoutPercentage": [0.0, 0.5],
}
REWARDS: Final = ("rewardWaitTime", "defaultReward", "rewardAggregation")
SECONDS: Final = {"PT1S": 1.0, "PT30S": 30.0, "PT10M": 600.0, "PT4H": 14400.0, "PT5M": 300.0}

at = st.sampled_from(NAMES)
events = st.sampled_from(EVENTS)
values = st.sampled_from([-1.0, 0.0, 0.25, 1.0])
ids = st.permutations(IDS)
changes = st.fixed_dictionaries({}, optional={name: st.sampled_from(each) for name, each in CHANGES.items()})


@dataclass
class Loop:
    """One life of a loop, as its client knows it."""

    name: str
    keys: list[str]
    memory: Remembered
    configuration: dict[str, Any]
    policy: dict[str, str]
    client: str = ""
    ended: set[str] = field(default_factory=set)
    """Keys that were replaced."""
    jobs: set[str] = field(default_factory=set)
    others: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in OTHERS})
    schedules: dict[str, int] = field(default_factory=dict)
    """How many runs each had when it was looked at last."""
    modes: set[str] = field(default_factory=set)
    """What the other process may take the learning mode for."""
    heard: list[str] = field(default_factory=list)
    """The keys as the other process knows them."""
    may_be_heard: set[str] = field(default_factory=set)
    """Later ones that it may know as well: it has trained the loop."""

    def polled(self) -> None:
        """Take note that the other process has looked."""
        self.modes, self.heard = {self.configuration["learningMode"]}, [*self.keys]
        self.may_be_heard.clear()

    @property
    def several(self) -> bool:
        return "--ccb" in self.policy["arguments"]

    @property
    def rules(self) -> Rules:
        wait = timedelta(seconds=SECONDS[self.configuration["rewardWaitTime"]])
        return Rules(wait, self.configuration["defaultReward"], self.configuration["rewardAggregation"])

    @property
    def sent(self) -> Sent:
        return Sent(self.name, self.keys[0])


class AnySequence(RuleBasedStateMachine):
    """Two processes, of which the first is called, and the second hears of changes when it polls."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="personalizer-tests-", dir=quick_folder())
        self.runner = asyncio.Runner()
        self.clock = SetClock(BEGIN)
        self.near = Process(self.folder, self.clock, self.runner)
        self.far = Process(self.folder, self.clock, self.runner)
        self.loops: dict[str, Loop] = {}
        self.gone: list[Sent] = []
        self.names: Sequence[str] = NAMES
        self.events: Sequence[str] = EVENTS
        self.exported: list[tuple[bytes, bytes]] = []
        self.uploads = 0
        self.apps = self._begin("default", [KEY, "the-second-key"]).configuration
        self.touched = "default"

    def teardown(self) -> None:
        try:
            self.everything_is_as_remembered()
        finally:
            self.near.close()
            self.far.close()
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self, name: str, keys: list[str]) -> Loop:
        loop = self.loops[name] = Loop(name, keys, Remembered(self.clock.now()), {}, {})
        loop.configuration = read(self.near.ask("configuration_get", loop.sent))
        loop.policy = self.near.ask("policy_get", loop.sent).json
        self._look(self.near, loop)
        self._look(self.far, loop)
        return loop

    def _look(self, process: Process, loop: Loop) -> None:
        process.look_at(loop.name)
        if process is self.far:
            loop.polled()

    def _tick(self) -> datetime:
        """No two calls come at the same time."""
        return self.clock.pass_(0.001)

    def _ask(self, name: str, loop: Loop, body: Any = None, *, process: Process | None = None, **others: Any) -> Answer:
        self._tick()
        self.touched = loop.name
        if process is self.far:
            answer = self.far.ask(name, Sent(loop.name, loop.heard[0]), body, **others)
            if answer.status != 401:
                return answer
            assert loop.heard[0] in loop.ended  # it may hear of new keys before it polls, as when it trains the loop
            loop.heard = [*loop.keys]
            return self.far.ask(name, loop.sent, body, **others)
        return self.near.ask(name, loop.sent, body, **others)

    def _event(self, name: str) -> str:
        return self.events[EVENTS.index(name) % len(self.events)]

    def _there(self, name: str) -> Loop | None:
        """Give a loop that is there; one that is not has to be gone for everybody."""
        name = self.names[NAMES.index(name) % len(self.names)]
        if name in self.loops:
            return self.loops[name]
        assert self.near.ask("loops_get", Sent("default", ADMIN), loop=name).status == 404
        for each in self.gone:
            if each.loop == name:
                assert self.near.ask("status", each).json.get("loop") is None
                assert self.near.ask("configuration_get", each).status == 404
        return None

    @initialize(change=changes, loops=st.sampled_from([1, 3]), events=st.sampled_from([1, 2, 5]))
    def make_loops(self, change: dict[str, Any], loops: int, events: int) -> None:
        """Much happens to the same events of the same loop only where there are few."""
        self.names, self.events = NAMES[:loops], EVENTS[:events]
        self.make_or_change_a_loop("news", change)
        self.make_or_change_a_loop("pages", {})
        self.change_the_policy("pages", ARGUMENTS[-1], "several")

    # --- events ----------------------------------------------------------------------------------------------------------

    @rule(at=at, event=events, deferred=st.booleans(), order=ids, excluded=st.sets(st.sampled_from(IDS), max_size=2), far=st.booleans())
    def rank(self, at: str, event: str, deferred: bool, order: list[str], excluded: set[str], far: bool) -> None:
        loop = self._there(at)
        if loop is None:
            return
        event = self._event(event)
        body = {
            "contextFeatures": [{"user": {"segment": "s1"}}],
            "actions": actions(*order),
            "excludedActions": sorted(excluded),
            "eventId": event,
            "deferActivation": deferred,
        }
        answer = self._ask("rank", loop, body, process=self.far if far else self.near)
        assert answer.status == 201, answer
        ranking = {each["id"]: each["probability"] for each in answer.json["ranking"]}
        assert answer.json["eventId"] == event
        assert abs(sum(ranking.values()) - 1) < 1e-6
        assert all(ranking[each] == 0 for each in excluded)
        chosen = answer.json["rewardActionId"]
        assert ranking[chosen] > 0
        modes = loop.modes if far else {loop.configuration["learningMode"]}
        if "Online" not in modes:
            assert chosen == next(each for each in order if each not in excluded)
        loop.memory.shown.append(Shown(event, self.clock.now(), chosen, deferred, frozenset(modes), ranking[chosen]))

    @rule(at=at, event=events, deferred=st.booleans(), order=ids, several=st.booleans())
    def rank_slots(self, at: str, event: str, deferred: bool, order: list[str], several: bool) -> None:
        loop = self._there(at)
        if loop is None:
            return
        event = self._event(event)
        slots = [{"id": slot, "baselineAction": each} for slot, each in zip(SLOTS, order, strict=False)][: 2 if several else 1]
        body = {
            "contextFeatures": [{"user": {"segment": "s2"}}],
            "actions": actions(*order),
            "slots": slots,
            "eventId": event,
            "deferActivation": deferred,
        }
        answer = self._ask("multislot_rank", loop, body)
        if not loop.several:
            assert answer.status == 400, answer
            return
        assert answer.status == 201, answer
        assert [each["id"] for each in answer.json["slots"]] == [each["id"] for each in slots]
        chosen = [each["rewardActionId"] for each in answer.json["slots"]]
        assert len({*chosen}) == len(chosen)
        mode = loop.configuration["learningMode"]
        if mode != "Online":
            assert chosen == [each["baselineAction"] for each in slots]
        for slot, action in zip(slots, chosen, strict=True):
            shown = Shown(event, self.clock.now(), action, deferred, frozenset({mode}), slot=slot["id"])
            loop.memory.shown.append(shown)

    @rule(at=at, event=events, value=values, far=st.booleans())
    def reward(self, at: str, event: str, value: float, far: bool) -> None:
        event = self._event(event)
        if loop := self._there(at):
            assert self._ask("reward", loop, {"value": value}, process=self.far if far else self.near, eventId=event).status == 204
            loop.memory.told.append(Told(event, self.clock.now(), value))

    @rule(at=at, event=events, found=st.dictionaries(st.sampled_from(SLOTS), values, min_size=1))
    def reward_slots(self, at: str, event: str, found: dict[str, float]) -> None:
        event = self._event(event)
        if loop := self._there(at):
            body = {"reward": [{"slotId": slot, "value": value} for slot, value in found.items()]}
            answer = self._ask("multislot_reward", loop, body, eventId=event)
            assert answer.status == (204 if loop.several else 400), answer
            if loop.several:
                loop.memory.told += [Told(event, self.clock.now(), value, slot) for slot, value in found.items()]

    @rule(at=at, event=events, several=st.booleans())
    def activate(self, at: str, event: str, several: bool) -> None:
        event = self._event(event)
        if loop := self._there(at):
            answer = self._ask("multislot_activate" if several else "activate", loop, eventId=event)
            assert answer.status == (400 if several and not loop.several else 204), answer
            if answer.status == 204:
                loop.memory.told.append(Told(event, self.clock.now(), None))

    @rule(at=at, batch=st.lists(st.tuples(events, values | st.none()), min_size=1, max_size=4), again=st.booleans())
    def upload_observations(self, at: str, batch: list[tuple[str, float | None]], again: bool) -> None:
        """What has an id of its own may be sent again, and counts once."""
        batch = [(self._event(event), value) for event, value in batch]
        if loop := self._there(at):
            documents = [{"eventId": event, **({"activate": True} if value is None else {"value": value})} for event, value in batch]
            if again:
                documents = [{**each, "id": self._upload()} for each in documents]
            assert self._ask("logs_observations", loop, lines(*documents)).status == 204
            loop.memory.told += [Told(event, self.clock.now(), value) for event, value in batch]
            if again:
                assert self._ask("logs_observations", loop, lines(*documents)).status == 204

    def _upload(self) -> str:
        self.uploads += 1
        return f"upload {self.uploads}"

    @rule(at=at, action=st.sampled_from(IDS), deferred=st.booleans(), again=st.booleans())
    def upload_a_decision(self, at: str, action: str, deferred: bool, again: bool) -> None:
        """Where there is one action, it is the only one that the service can come to as well."""
        loop = self._there(at)
        if loop is None:
            return
        at_time = self._tick()
        line = {
            "eventId": self._upload(),
            "actions": actions(action),
            "rewardActionId": action,
            "probability": 1,
            "deferActivation": deferred,
        }
        head = {"sentAt": at_time.isoformat(), "ticket": None}
        body = lines(head, {**line, "timestamp": at_time.isoformat()})
        answer = self._ask("logs_decisions", loop, body)
        assert (answer.status, answer.json) == (200, {"stored": 1, "repeated": 0, "refused": []}), answer
        modes = frozenset({loop.configuration["learningMode"]})
        loop.memory.shown.append(Shown(str(line["eventId"]), self.clock.now(), action, deferred, modes, 1.0))
        if again:
            assert self._ask("logs_decisions", loop, body).json == {"stored": 0, "repeated": 1, "refused": []}

    @rule(at=at, batch=st.dictionaries(events, st.sampled_from(IDS), min_size=1, max_size=3), deferred=st.booleans())
    def upload_interactions(self, at: str, batch: dict[str, str], deferred: bool) -> None:
        batch = {self._event(event): action for event, action in batch.items()}
        if loop := self._there(at):
            ranking = [{"id": each, "probability": 1 / len(IDS)} for each in IDS]
            documents = [
                {"eventId": event, "actions": actions(*IDS), "ranking": ranking, "rewardActionId": action, "deferActivation": deferred}
                for event, action in batch.items()
            ]
            assert self._ask("logs_interactions", loop, lines(*documents)).status == 204
            modes = frozenset({loop.configuration["learningMode"]})
            loop.memory.shown += [Shown(event, self.clock.now(), action, deferred, modes, 1 / len(IDS)) for event, action in batch.items()]

    # --- what time brings ------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 2, 20, 80, 100, 700, 4000, 20000, 100000]))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    @rule(far=st.booleans())
    def the_trainer_comes_by(self, far: bool) -> None:
        process = self.far if far else self.near
        self._tick()
        process.timer("train")
        for loop in self.loops.values():
            if far:
                loop.may_be_heard.update(loop.keys)
            self._follow_the_trainer(loop)

    def _follow_the_trainer(self, loop: Loop) -> None:
        told = self._ask("status", loop).json["loop"]
        assert told["error"] is None, told
        if told["watermark"] is None:
            assert not [each for each in loop.memory.shown if each.at < self._horizon(loop)], told
            return
        until = datetime.fromisoformat(told["watermark"])
        assert until <= max(self._horizon(loop), loop.memory.until or BEGIN)
        loop.memory.dealt_with(until, loop.rules)
        waiting = [each for each in loop.memory.shown if each.fate == "pending" and each.at < self._horizon(loop)]
        if waiting and told["publishedModelVersion"] is not None:
            properties = self.near.ask("model_properties", loop.sent).json
            age = self.clock.now() - datetime.fromisoformat(properties["lastModifiedTime"])
            assert age < timedelta(seconds=SECONDS[loop.configuration["modelExportFrequency"]]), (age, told)

    def _horizon(self, loop: Loop) -> datetime:
        return self.clock.now() - loop.rules.wait - self.near.settings.grace

    @rule()
    def all_that_waits_is_learned(self) -> None:
        longest = max(loop.rules.wait for loop in self.loops.values())
        self.clock.pass_(longest.total_seconds() + 400)
        self.near.timer("train")
        for loop in self.loops.values():
            self._follow_the_trainer(loop)
            assert not [each for each in loop.memory.shown if each.fate == "pending"], self.near.ask("status", loop.sent).json

    @rule()
    def processes_poll(self) -> None:
        self.near.poll()
        self.far.poll()
        for loop in self.loops.values():
            loop.polled()

    @rule()
    def housekeeping_comes_by(self) -> None:
        for timer in ("retention", "mirror", "analyses"):
            self.near.timer(timer)

    @rule()
    def a_process_starts_again(self) -> None:
        self.near.close()
        self.near = Process(self.folder, self.clock, self.runner)
        for loop in self.loops.values():
            self._look(self.near, loop)

    # --- settings --------------------------------------------------------------------------------------------------------

    @rule(at=at, change=changes, how=st.sampled_from(["put", "set", "preview"]), tag=st.sampled_from(["", "current", "stale"]))
    def configure(self, at: str, change: dict[str, Any], how: str, tag: str) -> None:
        loop = self._there(at)
        if loop is None:
            return
        present = self._ask("configuration_get", loop)
        assert without_times(read(present)) == without_times(loop.configuration)
        new = {**loop.configuration, **change}
        changed = {name for name in change if new[name] != loop.configuration[name]}
        headers = {"if-match": {"current": present.headers["etag"], "stale": '"stale"'}[tag]} if tag else {}
        if how == "put":
            answer = self._ask("configuration_put", loop, {k: v for k, v in new.items() if v is not None}, headers=headers)
        elif how == "set":
            answer = self._ask("configuration_set", loop, {"configuration": change}, headers=headers)
        else:
            answer = self._ask("preview", loop, {"configuration": change})
        is_refused = "learningMode" in changed and changed & {*REWARDS}
        is_refused = is_refused or -1 < new["logRetentionDays"] < new["modelRetrainDays"]
        if changed and is_refused:
            assert answer.status == 400, (answer, changed)
            return
        if answer.status == 412:
            assert (tag, how == "preview") == ("stale", False)
            return
        assert answer.status == 200, (answer, changed, tag)
        if how == "preview":
            assert {each["member"] for each in answer.json["changes"]} == changed, (answer.json, changed)
            assert answer.json["isLearnedAgain"] or not changed & {*REWARDS}
            may_be_less = {*REWARDS, "modelRetrainDays", "logRetentionDays"}  # of what an earlier change has the model learn again
            assert changed & may_be_less or not answer.json["isLearnedAgain"]
            return
        assert tag != "stale" or not changed
        loop.configuration = read(answer)
        assert without_times(loop.configuration) == without_times(new)
        loop.modes = loop.modes | {new["learningMode"]}

    @rule(at=at, members=st.sets(st.sampled_from([*CHANGES]), min_size=1, max_size=3))
    def follow_the_apps_settings_again(self, at: str, members: set[str]) -> None:
        loop = self._there(at)
        if loop is None:
            return
        answer = self._ask("configuration_unset", loop, {"members": sorted(members)})
        new = {**loop.configuration, **{name: self.apps[name] for name in members}}
        changed = {name for name in members if new[name] != loop.configuration[name]}
        if answer.status == 400:
            is_refused = "learningMode" in changed and changed & {*REWARDS}
            assert is_refused or -1 < new["logRetentionDays"] < new["modelRetrainDays"], answer
            return
        assert answer.status == 200, answer
        loop.configuration = read(answer)
        assert without_times(loop.configuration) == without_times(new)
        loop.modes = loop.modes | {new["learningMode"]}

    @rule(at=at, arguments=st.sampled_from(ARGUMENTS), name=st.sampled_from(["one", "two"]))
    def change_the_policy(self, at: str, arguments: str, name: str) -> None:
        if loop := self._there(at):
            policy = {"name": name, "arguments": arguments}
            answer = self._ask("policy_put", loop, policy)
            assert (answer.status, answer.json) == (200, policy)
            loop.policy = policy

    @rule(at=at)
    def go_back_to_the_apps_policy(self, at: str) -> None:
        if loop := self._there(at):
            answer = self._ask("policy_delete", loop)
            assert (answer.status, answer.json["arguments"]) == (200, "--cb_explore_adf")
            loop.policy = answer.json

    # --- the model and the log -------------------------------------------------------------------------------------------

    def _model(self, loop: Loop) -> bytes:
        return self._ask("model_get", loop).body

    @rule(at=at)
    def export_the_model(self, at: str) -> None:
        if loop := self._there(at):
            signed = self._ask("model_get", loop, query="signed=true")
            assert signed.status == 200
            self.exported.append((signed.body, self._model(loop)))

    @rule(at=at, which=st.integers(0, 3))
    def import_a_model(self, at: str, which: int) -> None:
        loop = self._there(at)
        if loop is None or which >= len(self.exported):
            return
        signed, plain = self.exported[which]
        answer = self._ask("model_put", loop, signed)
        assert answer.status == 204, answer
        assert self._model(loop) == plain

    @rule(at=at)
    def delete_the_model(self, at: str) -> None:
        if loop := self._there(at):
            assert self._ask("model_delete", loop).status == 204
            assert self._ask("status", loop).json["loop"]["publishedModelVersion"] is None

    @rule(at=at, number=st.integers(0, 3))
    def go_back_to_a_version(self, at: str, number: int) -> None:
        loop = self._there(at)
        if loop is None:
            return
        found = self._ask("model_versions", loop).json["value"]
        published = self._ask("status", loop).json["loop"]["publishedModelVersion"]
        assert published is None or found[0]["version"] == published
        if number < len(found):
            answer = self._ask("model_restore", loop, modelVersion=found[number]["version"])
            assert answer.status == 200, answer
            assert self._ask("status", loop).json["loop"]["publishedModelVersion"] == answer.json["version"]
            assert answer.json["learned"] == found[number]["learned"]

    @rule(at=at)
    def delete_the_log(self, at: str) -> None:
        if loop := self._there(at):
            answer = self._ask("logs_delete", loop)
            if answer.status == 503:
                assert "earlier deletions" in answer.json["error"]["message"]
                return
            assert answer.status == 204, answer
            loop.memory.forget(self.clock.now())
            loop.others["breakdowns"].clear()
            assert self._ask("logs_properties", loop).json == {}

    # --- evaluations -----------------------------------------------------------------------------------------------------

    @rule(at=at, job=st.sampled_from(JOBS), arguments=st.sampled_from(ARGUMENTS[:2]))
    def evaluate(self, at: str, job: str, arguments: str) -> None:
        if loop := self._there(at):
            body = {"name": job, **RANGE, "policies": [{"name": "mine", "arguments": arguments}]}
            answer = self._ask("evaluations_put", loop, body, evaluationId=job)
            assert answer.status == (400 if job in loop.jobs else 200), answer
            loop.jobs.add(job)

    @rule(at=at, job=st.sampled_from(JOBS))
    def delete_an_evaluation(self, at: str, job: str) -> None:
        if loop := self._there(at):
            answer = self._ask("evaluations_delete", loop, evaluationId=job)
            assert answer.status == (204 if job in loop.jobs else 404), answer
            loop.jobs.discard(job)

    @rule(at=at, job=st.sampled_from(JOBS), kind=st.sampled_from([*OTHERS]), is_deleted=st.booleans())
    def analyse_otherwise(self, at: str, job: str, kind: str, is_deleted: bool) -> None:
        loop = self._there(at)
        if loop is None:
            return
        known = loop.others[kind]
        place: Any = {{"importances": "featureImportanceId", "breakdowns": "breakdownId"}[kind]: job}
        if is_deleted:
            answer = self._ask(f"{kind}_delete", loop, **place)
            assert answer.status == (204 if job in known else 404), answer
            known.discard(job)
        else:
            answer = self._ask(f"{kind}_put", loop, {"name": job, **RANGE, **OTHERS[kind]}, **place)
            assert answer.status == (400 if job in known else 200), answer
            known.add(job)

    @rule(at=at, name=st.sampled_from(JOBS), days=st.sampled_from([1, 7]))
    def schedule(self, at: str, name: str, days: int) -> None:
        if loop := self._there(at):
            answer = self._ask("schedules_put", loop, {"name": name, "everyDays": days, "overDays": 7}, scheduleId=name)
            assert answer.status == 200, answer
            assert (answer.json["id"], answer.json["everyDays"]) == (name, days)
            assert answer.json["numberOfRuns"] >= max(loop.schedules.get(name, 0), 1), "it begins at once, and the series stays"
            loop.schedules[name] = answer.json["numberOfRuns"]

    @rule(at=at, name=st.sampled_from(JOBS))
    def delete_a_schedule(self, at: str, name: str) -> None:
        if loop := self._there(at):
            answer = self._ask("schedules_delete", loop, scheduleId=name)
            assert answer.status == (204 if loop.schedules.pop(name, 0) else 404), answer

    @rule(steps=st.sampled_from([1, 100]))
    def analyses_go_on(self, steps: int) -> None:
        self.near.work(steps)

    # --- loops and keys --------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES[1:]), change=changes)
    def make_or_change_a_loop(self, name: str, change: dict[str, Any]) -> None:
        self._tick()
        answer = self.near.ask("loops_put", Sent("default", ADMIN), {"configuration": change}, loop=name)
        loop = self.loops.get(name)
        if answer.status == 400:
            return
        assert answer.status == (200 if loop else 201), answer
        if loop is None:
            loop = self._begin(name, answer.json["keys"])
        else:
            loop.modes = loop.modes | {answer.json["configuration"]["learningMode"]}
            expected = {**loop.configuration, **change}
            loop.configuration = read(self._ask("configuration_get", loop))
            assert without_times(loop.configuration) == without_times(expected)
        assert {name: loop.configuration[name] for name in change} == change
        self.touched = name

    @rule(name=st.sampled_from(NAMES))
    def delete_a_loop(self, name: str) -> None:
        self._tick()
        answer = self.near.ask("loops_delete", Sent("default", ADMIN), loop=name)
        assert answer.status == (400 if name == "default" else 204 if name in self.loops else 404), answer
        if answer.status == 204:
            loop = self.loops.pop(name)
            self.gone = [each for each in self.gone if each.loop != name] + [Sent(name, key) for key in loop.keys]
            self.touched = "default"
            self._there(name)
            self.processes_poll()  # what the other one acknowledges until then is lost with the loop

    @rule(at=at, number=st.sampled_from(["1", "2"]))
    def make_a_key(self, at: str, number: str) -> None:
        if loop := self._there(at):
            self._tick()
            answer = self.near.ask("keys_regenerate", Sent("default", ADMIN), loop=loop.name, number=number)
            assert answer.status == 200, answer
            loop.ended.add(loop.keys[int(number) - 1])
            loop.keys[int(number) - 1] = answer.json["key"]

    @rule(at=at, far=st.booleans())
    def keys_that_were_replaced_open_nothing(self, at: str, far: bool) -> None:
        if loop := self._there(at):
            for key in loop.ended.difference((*loop.heard, *loop.may_be_heard) if far else ()):
                answer = (self.far if far else self.near).ask("configuration_get", Sent(loop.name, key))
                assert answer.status == 401, answer

    # --- what holds at any time ------------------------------------------------------------------------------------------

    @invariant()
    def what_was_touched_is_as_remembered(self) -> None:
        if self.touched in self.loops:
            self._check(self.loops[self.touched])

    @rule()
    def everything_is_as_remembered(self) -> None:
        for loop in self.loops.values():
            self._check(loop)
            self._check_log(loop)
        listed = self.near.ask("loops_list", Sent("default", ADMIN)).json["value"]
        assert [each["name"] for each in listed] == sorted(self.loops)

    def _check(self, loop: Loop) -> None:
        counters = self.near.ask("status", loop.sent).json["loop"]["counters"]
        assert counters == loop.memory.counters(), (counters, loop.memory.counters())
        for event in loop.memory.events():
            self._check_receipt(loop, event)

    def _check_receipt(self, loop: Loop, event: str) -> None:
        answer = self.near.ask("receipt", loop.sent, eventId=event)
        assert answer.status == 200, answer
        found = answer.json["decisions"]
        expected = loop.memory.decisions(event)
        got = [{name: each.get(name) for name in want} for each, want in zip(found, expected, strict=False)]
        assert (got, len(found)) == (expected, len(expected)), (found, expected)
        assert not [each for each in found if each["fate"] == "pending" and "reward" in each]
        since = self.clock.now() - timedelta(hours=20)  # older ones may be gone from the hot log, if they were not counted
        for each, outcomes in zip(found, loop.memory.outcomes(event, loop.rules), strict=True):
            told = [(datetime.fromisoformat(one["observedAt"]), one["value"], one["outcome"]) for one in each["rewards"]]
            assert sorted(one for one in told if one[0] >= since) == sorted(one for one in outcomes if one[0] >= since), (each, outcomes)

    def _check_log(self, loop: Loop) -> None:
        memory = loop.memory
        found = self._ask("logs_properties", loop).json
        if memory.shown:
            assert datetime.fromisoformat(found["dateRange"]["from"]) == min(each.at for each in memory.shown)
            assert datetime.fromisoformat(found["dateRange"]["to"]) >= max(each.at for each in memory.shown)
        else:
            assert found == {}
        listed = self._ask("events", loop, query="top=500").json["value"]
        times = [datetime.fromisoformat(each["rankedAt"]) for each in listed]
        assert times == sorted(times, reverse=True)
        found = sorted((each["eventId"], each["slotId"] or "", each["fate"]) for each in listed)
        expected = sorted((each.event, each.slot or "", each.fate) for each in memory.shown)
        assert found == expected, (found, expected)
        learned = memory.learned()
        figures = self._ask("figures", loop).json
        assert figures["totals"]["events"] == learned.total(), figures
        rows = self._ask("figures_actions", loop).json["value"]
        assert {each["id"]: each["events"] for each in rows if each["events"]} == learned, rows
        text = self._ask("logs_lines", loop).body
        dealt_with = [each for each in memory.shown if each.fate != "pending"]
        assert sorted(json.loads(line)["EventId"] for line in text.splitlines()) == sorted(each.event for each in dealt_with)
        self._check_jobs(loop)

    def _check_jobs(self, loop: Loop) -> None:
        for kind, known in loop.others.items():
            assert {each["id"] for each in self._ask(f"{kind}_list", loop).json["value"]} == known
        found = {each["id"] for each in self._ask("evaluations_list", loop).json["value"]}
        schedules = self._ask("schedules_list", loop).json["value"]
        assert {each["id"] for each in schedules} == {*loop.schedules}
        for each in schedules:
            assert each["numberOfRuns"] >= loop.schedules[each["id"]]
            loop.schedules[each["id"]] = each["numberOfRuns"]
            assert each["lastRun"]["evaluationId"] in found, each
        assert {each for each in found if not each.startswith("scheduled-")} == loop.jobs


def read(answer: Answer) -> dict[str, Any]:
    return {"breakdownFeature": "", "holdoutPercentage": 0.0, **answer.json}


def without_times(configuration: dict[str, Any]) -> dict[str, Any]:
    left_out = {"lastConfigurationEditDate", "latestApprenticeModeMetrics"}
    return {name: value for name, value in configuration.items() if name not in left_out and value is not None}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("examples", "steps"), [pytest.param(10, 20, id="some"), pytest.param(75, 40, id="many", marks=pytest.mark.exhaustive)]
)
def test_any_sequence_of_calls_is_answered_as_a_client_that_remembers_everything_expects(examples, steps):
    found = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(AnySequence, settings=found)
