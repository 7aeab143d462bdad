"""Decisions of clients: stored as the service would have stored its own, or refused with a reason."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.api.decisions import read_decisions
from shared.api.multislot import MultiSlotRankRequest
from shared.api.rank import ActionReader, RankRequest
from shared.domain.errors import EventTooLargeError, InvalidRequestError, StorageUnavailableError
from shared.domain.events import Decision, LearningMode
from shared.domain.ledger import Provenance
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.domain.uploads import Accepted, Basis, RefusalCode
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.exploration import draw
from shared.learning.model import Model
from shared.services.process.sharing import Shared
from shared.services.serving.deciding import Decider
from shared.services.serving.kept_models import KeptModels
from shared.services.serving.model_server import Served
from shared.services.serving.multislot import decide_slots
from shared.services.serving.tickets import Tickets
from shared.services.serving.verified_uploads import Means, VerifiedUploads
from shared.services.serving.verifying import MOST_DECISIONS, Verifier
from shared.storage import names
from shared.storage.event_log import RowEventLog
from shared.storage.refused_lines import FileRefusedLines
from shared.storage.signing_keys import FileModelSigner
from tests.builders import T0, after
from tests.processes import WAIT, Process
from tests.reliability.world import GRACE, LOOP
from tests.services.serving.test_model_server import trained
from tests.stores import listed

VERSION = "00000000000000000001-abc"
SLOTS = LearningPolicy(arguments="--ccb_explore_adf")
CONTEXT = [{"user": {"segment": "s1", "age": 30}}]
ACTIONS = [{"id": each, "features": [{"topic": f"of {each}", "length": number / 4}]} for number, each in enumerate("abcd")]


class Client:
    """What decides in another process: it has a model, settings and a ticket, and a clock of its own."""

    def __init__(
        self, process: Process, *, version: str = VERSION, settings: LoopSettings | None = None, ahead: timedelta = timedelta(0)
    ) -> None:
        self.clock, self.ahead = process.clock, ahead
        self.settings = settings or process.configuration.loop
        self.version = version
        self.model = artifact.load_model(trained()) if version else Model.cold()
        self.place = LOOP.name

    @property
    def basis(self) -> Basis:
        return Basis.of(self.place, self.version, self.settings)

    def now(self) -> datetime:
        return self.clock.now() + self.ahead

    def decide(self, event_id: str, **members: Any) -> dict[str, Any]:
        """Decide, and write down the line that tells of it."""
        asked = {"contextFeatures": CONTEXT, "actions": ACTIONS, "eventId": event_id, **members}
        served = Served(self.version, None, self.model, self.settings, arguments=parse_arguments(self.settings.policy.arguments))
        at, deferred = self.clock.now(), bool(members.get("deferActivation"))
        told = {**asked, "timestamp": members.get("timestamp") or self.now().isoformat()}
        if "slots" in members:
            several = MultiSlotRankRequest.model_validate(asked, by_alias=True, by_name=False).to_situation(ActionReader())
            made = list(decide_slots(Decider(), several, served, event_id=event_id, at=at, deferred=deferred))
            return {**told, "filled": [{"id": each.slot, **self._shown(each)} for each in made]}
        situation = RankRequest.model_validate(asked, by_alias=True, by_name=False).to_situation(ActionReader())
        return {**told, **self._shown(Decider().decide(situation, served, event_id=event_id, at=at, deferred=deferred))}

    def _shown(self, decision: Decision) -> dict[str, Any]:
        return {"rewardActionId": ACTIONS[decision.chosen]["id"], "probability": decision.probabilities[decision.chosen]}


class NotAtFirst:
    """A log that stores nothing at first."""

    def __init__(self, log: RowEventLog) -> None:
        self._log = log
        self._is_away = True

    async def append_decisions(self, decisions: Sequence[Decision]) -> None:
        if self._is_away:
            self._is_away = False
            raise StorageUnavailableError("storage is away")
        await self._log.append_decisions(decisions)


class Service:
    """The door for such decisions in one process."""

    def __init__(self, process: Process, *, log: Any = None) -> None:
        self.process = process
        self.tickets = Tickets(FileModelSigner(process.account, clock=process.clock))
        refused = FileRefusedLines(process.account, loop=LOOP.name)
        means = Means(self.tickets, KeptModels(process.store, Shared().models), refused)
        self.door = VerifiedUploads(
            log or process.log, process.models, means, Verifier(Decider()), place=LOOP.name, clock=process.clock, grace=GRACE
        )

    async def publish(self, version: str = VERSION) -> None:
        await self.process.store.write_artifact(version, trained(), provenance=Provenance("", T0, T0, "", 1, ""))

    async def take(self, client: Client, *lines: dict[str, Any] | bytes, ticket: str | None = "", sent_at: str = "") -> Accepted:
        """Send these lines with the client's ticket, or another one, or (None) without."""
        given = await self.tickets.write(client.basis) if ticket == "" else ticket
        first = orjson.dumps({"sentAt": sent_at or client.now().isoformat(), "ticket": given})
        written = [each if isinstance(each, bytes) else orjson.dumps(each) for each in lines]
        return await self.door.decisions(read_decisions(b"\n".join([first, *written]), ActionReader()))

    async def stored(self) -> list[Decision]:
        heads = [head async for minute in self.process.log.decision_heads(T0, after(86_400)) for head in minute]
        return [event for segment in await self.process.log.decisions(heads) for event in segment.events or ()]


@pytest.fixture
async def service(one) -> Service:
    service = Service(one)
    await service.publish()
    return service


@pytest.fixture
def client(one) -> Client:
    return Client(one)


def codes(accepted: Accepted) -> list[tuple[int, RefusalCode]]:
    return [(each.line, each.code) for each in accepted.refused]


# --- what is stored --------------------------------------------------------------------------------------------------


async def test_what_comes_out_the_same_is_stored_as_rank_would_have_stored_it(service, client, one):
    lines = [
        client.decide(f"e{number}", excludedActions=["c"] if number % 2 else [], deferActivation=number % 3 == 0) for number in range(40)
    ]
    accepted = await service.take(client, *lines)
    assert (accepted.stored, accepted.repeated, accepted.refused) == (40, 0, [])
    served = Served(VERSION, None, client.model, client.settings)
    for line, found in zip(lines, await service.stored(), strict=True):
        asked = RankRequest.model_validate({name: line[name] for name in line}, by_alias=True, by_name=False)
        expected = Decider().decide(
            asked.to_situation(ActionReader()), served, event_id=line["eventId"], at=one.clock.now(), deferred=bool(asked.defer_activation)
        )
        assert replace(found, probabilities=expected.probabilities) == expected
        assert found.probabilities == pytest.approx(expected.probabilities)


@pytest.mark.parametrize("mode", LearningMode)
@pytest.mark.parametrize("version", ["", VERSION])
async def test_every_mode_can_be_decided_in_with_and_without_a_model(service, one, mode, version):
    client = Client(one, version=version, settings=replace(LOOP, learning_mode=mode))
    assert (await service.take(client, client.decide("e1"), client.decide("e2", excludedActions=["a"]))).stored == 2
    found = await service.stored()
    assert {(each.mode, each.model_version) for each in found} == {(mode, version)}
    assert all((each.proposal is not None) == (mode is LearningMode.APPRENTICE) for each in found)


@pytest.mark.parametrize(
    "arguments", ["--epsilon 0.3", "--squarecb", "--softmax --lambda 3", "--bag 4", "--cover 3", "--first 5", "--regcb", "--regcbopt"]
)
async def test_every_exploration_can_be_decided_by(service, one, arguments):
    client = Client(one, settings=replace(LOOP, policy=LearningPolicy(arguments=f"--cb_explore_adf {arguments}")))
    assert (await service.take(client, *[client.decide(f"e{number}") for number in range(20)])).stored == 20


async def test_several_slots_are_one_event(service, one):
    client = Client(one, settings=replace(LOOP, policy=SLOTS))
    slots = [
        {"id": "top", "baselineAction": "a", "features": [{"size": 2}]},
        {"id": "side", "baselineAction": "b", "excludedActions": ["a"]},
    ]
    line = client.decide("e1", slots=slots)
    assert (await service.take(client, line)).stored == 1
    assert [each.slot for each in await service.stored()] == ["top", "side"]
    swapped = client.decide("e2", slots=slots)
    swapped["filled"].reverse()
    wrong = client.decide("e3", slots=slots)
    wrong["filled"][1]["probability"] /= 2
    one_slot = Client(one)
    assert codes(await service.take(client, swapped, wrong)) == [(2, RefusalCode.INVALID_LINE), (3, RefusalCode.NOT_REPRODUCED)]
    assert codes(await service.take(one_slot, client.decide("e4", slots=slots))) == [(2, RefusalCode.INVALID_LINE)]


@pytest.mark.parametrize("mode", LearningMode)
async def test_what_was_decided_without_a_ticket_had_equal_probabilities(account, clock, mode):
    process = Process(account, clock, loop=replace(LOOP, learning_mode=mode))
    service = Service(process)
    alone = Client(process, version="", settings=replace(LOOP, learning_mode=LearningMode.ONLINE))
    informed = Client(process, settings=replace(LOOP, learning_mode=LearningMode.ONLINE))
    accepted = await service.take(alone, alone.decide("e1"), informed.decide("e2", excludedActions=["a", "b"]), ticket=None)
    assert (accepted.stored, codes(accepted)) == (1, [(3, RefusalCode.NOT_REPRODUCED)])
    (found,) = await service.stored()
    assert (found.mode, found.probabilities, found.model_version, found.proposal) == (mode, (0.25,) * 4, "", None)
    process.models.stop()


async def test_a_share_that_is_held_out_is_decided_as_the_service_does_and_never_without_a_ticket(account, clock):
    process = Process(account, clock, loop=replace(LOOP, holdout_percentage=0.5))
    service, client = Service(process), Client(process)
    await service.publish()
    assert (await service.take(client, *[client.decide(f"e{number}") for number in range(30)])).stored == 30
    held = [each.holdout.is_held_out for each in await service.stored() if each.holdout is not None]
    assert (len(held), 5 < sum(held) < 25) == (30, True)
    alone = Client(process, version="", settings=LOOP)
    assert (await service.take(alone, *[alone.decide(f"f{number}") for number in range(30)], ticket=None)).stored == 30
    process.models.stop()


async def test_a_batch_may_hold_decisions_by_several_tickets(service, one):
    newer, older, alone = Client(one), Client(one, version=""), Client(one, version="")
    tickets = [orjson.dumps({"ticket": each}) for each in (await service.tickets.write(older.basis), None)]
    accepted = await service.take(newer, newer.decide("e1"), tickets[0], older.decide("e2"), tickets[1], alone.decide("e3"))
    assert (accepted.stored, accepted.refused) == (3, [])
    with pytest.raises(InvalidRequestError, match="line 9: a body has at most 8 tickets"):
        await service.take(newer, *[tickets[0]] * 9)


async def test_settings_that_were_changed_meanwhile_count_as_they_were(service, one):
    client = Client(one, settings=replace(LOOP, exploration_percentage=1.0))
    one.configuration.loop = replace(LOOP, exploration_percentage=0.0)
    assert (await service.take(client, *[client.decide(f"e{number}") for number in range(30)])).stored == 30


async def test_what_is_stored_is_joined_with_its_rewards_and_learned(service, client, one):
    await service.take(client, *[client.decide(f"e{number}") for number in range(10)])
    await one.reward(*[f"e{number}" for number in range(5)])
    one.clock.pass_(WAIT + 1)
    await one.train()
    found = await one.progress()
    assert (found.counters.learned, found.rewards, found.counters.unknown_rewards) == (10, 5, 0)


# --- what is refused -------------------------------------------------------------------------------------------------


async def test_what_does_not_come_out_the_same_is_refused_and_the_rest_is_stored(service, client):
    good = client.decide("good")
    shown = client.decide("shown")
    shown["rewardActionId"] = next(each for each in "abcd" if each != shown["rewardActionId"])
    likelier = client.decide("likelier")
    likelier["probability"] *= 0.98
    nearly = client.decide("nearly")
    nearly["probability"] *= 0.995
    renamed = {**client.decide("one name"), "eventId": "another name 7"}
    another = {**client.decide("context"), "contextFeatures": [{"user": {"segment": "s2", "age": 99}}]}
    accepted = await service.take(client, good, shown, likelier, nearly, another)
    assert codes(accepted) == [(3, RefusalCode.NOT_REPRODUCED), (4, RefusalCode.NOT_REPRODUCED), (6, RefusalCode.NOT_REPRODUCED)]
    assert [each.event_id for each in await service.stored()] == ["good", "nearly"]
    assert (await service.take(client, *[{**renamed, "eventId": f"another {number}"} for number in range(60)])).stored < 60


async def test_what_another_processor_rounds_otherwise_is_stored(service, one):
    """Its scores differ in their last digits, and so where one action's part of the draw ends and the next one's begins."""
    client = Client(
        one, settings=replace(LOOP, exploration_percentage=1.0, policy=LearningPolicy(arguments="--cb_explore_adf --epsilon 1"))
    )
    here, there, too_far = (0.25,) * 4, (0.2509, 0.2491, 0.25, 0.25), (0.2524, 0.2476, 0.25, 0.25)
    names = [f"e{number}" for number in range(6_000)]
    lines = [{**client.decide(each), **shown(there, each)} for each in otherwise(names, here, there)]
    assert len(lines) > 2
    assert (await service.take(client, *lines)).stored == len(lines)
    assert {each.event_id: ACTIONS[each.chosen]["id"] for each in await service.stored()} == {
        line["eventId"]: line["rewardActionId"] for line in lines
    }
    others = [
        {**client.decide(each), **shown(too_far, each)} for each in otherwise(names, here, too_far) if not otherwise([each], here, there)
    ]
    refused = await service.take(client, *others)
    assert {each.code for each in refused.refused} == {RefusalCode.NOT_REPRODUCED}
    assert refused.stored < len(others) / 2  # those that fall right behind what rounding may do


def otherwise(names: Sequence[str], here: Sequence[float], there: Sequence[float]) -> list[str]:
    return [each for each in names if draw(here, loop=LOOP.name, event_id=each) != draw(there, loop=LOOP.name, event_id=each)]


def shown(probabilities: Sequence[float], event_id: str) -> dict[str, Any]:
    chosen = draw(probabilities, loop=LOOP.name, event_id=event_id)
    return {"rewardActionId": ACTIONS[chosen]["id"], "probability": probabilities[chosen]}


async def test_a_line_that_cannot_be_read_is_refused_alone(service, client):
    lines: Sequence[Any] = [
        b"{nonsense",
        b"[]",
        {"eventId": "no more"},
        {**client.decide("e1"), "actions": []},
        {**client.decide("e2"), "excludedActions": ["a", "b", "c", "d"]},
        {**client.decide("e3"), "probability": 1.5},
        {**client.decide("e4"), "timestamp": "yesterday"},
        {**client.decide("e5"), "eventId": ""},
        {**client.decide("e6"), "rewardActionId": "z"},
        {"ticket": ["x"]},
        client.decide("e7"),
    ]
    accepted = await service.take(client, client.decide("good"), *lines)
    assert accepted.stored == 1
    expected = [RefusalCode.INVALID_LINE] * 8 + [RefusalCode.NOT_REPRODUCED, RefusalCode.INVALID_LINE, RefusalCode.INVALID_TICKET]
    assert codes(accepted) == list(enumerate(expected, start=3))
    assert [each.event_id for each in accepted.refused][:6] == ["", "", "no more", "e1", "e2", "e3"]


async def test_only_tickets_of_this_loop_count(service, client, one):
    another = Client(one)
    another.place = "otherx0001"
    ticket = await service.tickets.write(another.basis)
    assert codes(await service.take(client, client.decide("e1"), ticket=ticket)) == [(2, RefusalCode.TICKET_OF_ANOTHER_LOOP)]
    assert codes(await service.take(client, client.decide("e1"), ticket="made up")) == [(2, RefusalCode.INVALID_TICKET)]
    cold = Client(one, version="")
    renamed = Client(one, version="", settings=replace(LOOP, name="other"))
    lines = [renamed.decide(f"e{number}") for number in range(60)]
    assert {each.code for each in (await service.take(cold, *lines)).refused} == {RefusalCode.NOT_REPRODUCED}


async def test_models_that_are_not_kept_any_more_are_told_so(service, client, one):
    gone = Client(one, version="00000000000000000000-gone")
    accepted = await service.take(gone, gone.decide("e1"))
    assert codes(accepted) == [(2, RefusalCode.MODEL_NOT_KEPT)]
    assert "not kept" in accepted.refused[0].message


async def test_a_model_that_is_kept_at_hand_may_be_let_go(service, client):
    assert (await service.take(client, client.decide("e1"))).stored == 1
    service.door.close()
    assert (await service.take(client, client.decide("e2"))).stored == 1


@pytest.mark.parametrize("minutes", [-6, 6, -1_000_000, 1_000_000])
async def test_a_clock_that_is_wrong_by_more_than_5_minutes_is_told_the_time(service, one, minutes):
    client = Client(one, ahead=timedelta(minutes=minutes))
    with pytest.raises(InvalidRequestError, match="2026-") as error:
        await service.take(client, client.decide("e1"))
    assert error.value.target == "line 1: sentAt"
    assert await service.stored() == []


async def test_without_a_time_of_its_own_a_batch_is_sent_when_it_comes(service, client, one):
    now = one.clock.now()
    ages = {"now": timedelta(0), "recent": timedelta(seconds=1), "old": timedelta(hours=2), "ahead": timedelta(minutes=-6)}
    lines = [orjson.dumps(client.decide(name, timestamp=(now - age).isoformat())) for name, age in ages.items()]
    first = orjson.dumps({"ticket": await service.tickets.write(client.basis)})
    accepted = await service.door.decisions(read_decisions(b"\n".join([first, *lines]), ActionReader()))
    assert codes(accepted) == [(4, RefusalCode.TOO_OLD), (5, RefusalCode.IN_THE_FUTURE)]
    assert [each.decided_at for each in await service.stored()] == [now, now - timedelta(seconds=1)]


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
async def test_a_clock_that_is_a_little_wrong_does_not_matter(service, one, minutes):
    client = Client(one, ahead=timedelta(minutes=minutes))
    line = client.decide("e1")
    one.clock.pass_(1)
    assert (await service.take(client, line)).stored == 1
    assert [each.decided_at for each in await service.stored()] == [one.clock.now() - timedelta(seconds=1)]


async def test_a_decision_counts_from_its_time_as_far_back_as_the_join_can_look(service, client, one):
    now = one.clock.now()
    ages = {"new": timedelta(0), "recent": GRACE / 4, "old": timedelta(minutes=30), "ahead": timedelta(minutes=-4)}
    lines = [client.decide(name, timestamp=(now - age).isoformat()) for name, age in ages.items()]
    assert (await service.take(client, *lines)).stored == 4
    found = {each.event_id: now - each.decided_at for each in await service.stored()}
    assert (found["new"], found["recent"], found["ahead"]) == (timedelta(0), GRACE / 4, timedelta(0))
    assert GRACE / 2 - timedelta(milliseconds=1) <= found["old"] <= GRACE / 2


async def test_no_decision_is_so_old_that_its_id_may_be_forgotten_already(service, client, one):
    now, limit = one.clock.now(), LOOP.reward_wait + timedelta(minutes=50)
    lines = [
        client.decide(name, timestamp=(now - age).isoformat())
        for name, age in {
            "just": limit,
            "old": limit + timedelta(seconds=1),
            "never": timedelta(days=700_000),
            "ahead": timedelta(minutes=-6),
        }.items()
    ]
    accepted = await service.take(client, *lines)
    assert codes(accepted) == [(3, RefusalCode.TOO_OLD), (4, RefusalCode.TOO_OLD), (5, RefusalCode.IN_THE_FUTURE)]


# --- what comes again ------------------------------------------------------------------------------------------------


async def test_the_same_again_is_accepted_and_stored_once(service, client):
    lines = [client.decide(f"e{number}") for number in range(3)]
    assert (await service.take(client, *lines, lines[0])) == Accepted(3, 1, [])
    assert (await service.take(client, *lines, client.decide("e3"))) == Accepted(1, 3, [])
    assert [each.event_id for each in await service.stored()] == ["e0", "e1", "e2", "e3"]


async def test_another_decision_with_the_same_id_is_refused(service, client):
    first, other = client.decide("e1"), client.decide("e1", excludedActions=["d"])
    assert codes(await service.take(client, first, other)) == [(3, RefusalCode.CONFLICT)]
    assert codes(await service.take(client, other)) == [(2, RefusalCode.CONFLICT)]


async def test_an_id_that_the_join_has_forgotten_is_a_new_event(service, client, one):
    await service.take(client, client.decide("e1"))
    one.clock.pass_((LOOP.reward_wait + timedelta(hours=1)).total_seconds() + 1)
    assert (await service.take(client, client.decide("e1", excludedActions=["d"]))).stored == 1


async def test_what_two_processes_store_is_learned_once(service, client, one, other):
    line = client.decide("e1")
    assert (await service.take(client, line)).stored == 1
    assert (await Service(other).take(client, line)).stored == 1
    one.clock.pass_(WAIT + 1)
    await one.train()
    found = (await one.progress()).counters
    assert (found.learned, found.skipped) == (1, {"duplicate": 1})


async def test_an_upload_that_is_replayed_later_stores_nothing(service, client, one):
    sent_at, line = client.now().isoformat(), client.decide("e1")
    await service.take(client, line, sent_at=sent_at)
    one.clock.pass_(301)
    with pytest.raises(InvalidRequestError, match="sentAt"):
        await service.take(client, line, sent_at=sent_at)
    one.clock.pass_(LOOP.reward_wait.total_seconds() + 3600)
    assert codes(await service.take(client, line)) == [(2, RefusalCode.TOO_OLD)]


async def test_what_could_not_be_stored_may_come_again(client, one):
    service = Service(one, log=NotAtFirst(one.log))
    await service.publish()
    line = client.decide("e1")
    with pytest.raises(StorageUnavailableError):
        await service.take(client, line)
    assert service.door.counts.stored == 0
    assert await service.take(client, line) == Accepted(1, 0, [])


# --- bounds and copies -----------------------------------------------------------------------------------------------


async def test_no_batch_asks_for_more_decisions_than_can_be_made_at_a_time(service, one):
    client = Client(one, version="", settings=replace(LOOP, policy=SLOTS))
    actions = [{"id": f"a{number}", "features": [{"x": 1}]} for number in range(50)]
    slots = [{"id": f"s{number}", "baselineAction": f"a{number}"} for number in range(50)]
    filled = [{"id": f"s{number}", "rewardActionId": "a0", "probability": 0.5} for number in range(50)]
    line = {"actions": actions, "slots": slots, "filled": filled, "timestamp": client.now().isoformat()}
    with pytest.raises(EventTooLargeError, match=f"more than {MOST_DECISIONS} slots"):
        await service.take(client, *[{**line, "eventId": f"e{number}"} for number in range(101)])


async def test_refused_lines_are_copied_beside_damaged_rows_and_dropped_with_them(service, client, one):
    await service.take(client, {**client.decide("e1"), "probability": 0.0001}, b"{nonsense")
    (name,) = await listed(one.account, names.LOGS, names.quarantine_prefix(LOOP.name))
    content = await one.account.files(names.LOGS).read(name)
    lines = [orjson.loads(each) for each in content.data.splitlines()]
    assert [(each["line"], each["eventId"], each["code"]) for each in lines] == [(2, "e1", "NotReproduced"), (3, "", "InvalidLine")]
    assert orjson.loads(lines[0]["text"])["eventId"] == "e1"
    assert lines[1]["text"] == "{nonsense"
    assert await one.joined.drop_quarantined(before=one.clock.now()) == 0
    assert await one.joined.drop_quarantined(before=one.clock.now() + timedelta(seconds=1)) == 1


async def test_few_copies_are_made_of_what_is_refused_all_the_time(service, client, one):
    for number in range(70):
        await service.take(client, b"{nonsense %d" % number)
    assert len(await listed(one.account, names.LOGS, names.quarantine_prefix(LOOP.name))) == 60
    one.clock.pass_(3600)
    await service.take(client, b"{nonsense again")
    assert len(await listed(one.account, names.LOGS, names.quarantine_prefix(LOOP.name))) == 61


async def test_everything_is_counted(service, client):
    line = client.decide("e1")
    await service.take(client, line, line, b"{nonsense")
    await service.take(client, line, {**line, "eventId": "e2", "probability": 0.1})
    counts = service.door.counts
    assert (counts.stored, counts.repeated, dict(counts.refused)) == (
        1,
        2,
        {RefusalCode.INVALID_LINE: 1, RefusalCode.NOT_REPRODUCED: 1},
    )
