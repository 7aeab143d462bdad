"""``python -m tests.learning.vectors`` writes docs/internals/the-decision.json: what ports of the decision are tried with.

The models that are in the file stay, so that what is expected stays as well; delete the file to make others.
"""

import json
import random
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from shared.api.multislot import MultiSlotRankRequest
from shared.api.rank import ActionReader, RankRequest
from shared.domain.events import Action, Decision, LearningMode, Situation
from shared.domain.loop import LearningPolicy, LoopSettings
from shared.learning import artifact
from shared.learning.arguments import parse_arguments
from shared.learning.encoding import Encoder, Row, to_batch
from shared.learning.learner import Learner
from shared.learning.model import Model
from shared.services.serving.deciding import Decider
from shared.services.serving.model_server import Served
from shared.services.serving.multislot import decide_slots
from tests.builders import T0
from tests.running import REPOSITORY

PLACE: Final = REPOSITORY / "docs" / "internals" / "the-decision.json"
Document = dict[str, Any]

_CATALOGUE: Final = [
    {"id": each, "features": [{"topic": {"kind": "news" if number % 2 else "sport"}, "length": number * 120.0 + 30}]}
    for number, each in enumerate("abcd")
]
_NEW: Final = {"id": "new", "features": [{"topic": {"kind": "film", "tags": ["long", "old"]}, "length": 95}]}
_BARE: Final = {"id": "bare", "features": [{"_ignored": 1}]}

ODD: Final[list[Document]] = [
    {"text": "a", "number": 1.5, "whole": 3, "zero": 0, "yes": True, "no": False, "nothing": None},
    {"user": {"segment": "s1", "age": 34, "_ignored": "x"}, "_ignored": {"a": 1}, "bare": "b"},
    {"deep": {"a": {"b": {"c": "d", "n": 2}}}, "vector": [0.5, 0, -2, 7e10], "tags": ["x", "y", "x"]},
    {"empty": [], "without members": {}, "zeros": [0, 0.0, 5], "texts": [""], "one": [1]},
    {"größe": "groß", "emoji": "\U0001f600", "with space": "a|b:c"},
    {"tiny": 1e-12, "huge": 1e300, "negative": -1e15, "large": 12345678901234567890},
    {"same": 1},
    {"same": 2},
]
"""Features of every kind that a request may have; each is tried as a context and as an action's."""


def written() -> Document:
    """Give the document that stands in the documentation."""
    document: Document = json.loads(PLACE.read_text("utf-8"))
    return document


def made(models: Mapping[str, bytes]) -> Document:
    """Make the document of these models, as the service decides."""
    return {
        "algorithm": 1,
        "models": {name: b64encode(each).decode() for name, each in models.items()},
        "encodings": [_encoding(each) for each in _objects()],
        "decisions": [_decision(models, *each) for each in _asked()],
        "slots": [_slots(models, *each) for each in _asked_of_slots()],
    }


def _objects() -> Iterator[list[Document]]:
    yield []
    yield from ([each] for each in ODD)
    yield ODD
    yield [{f"name {number}": number for number in range(300)}]


def _encoding(objects: list[Document]) -> Document:
    encoded = Encoder().encode(Situation(tuple(objects), (Action("an id", tuple(objects)),)))
    return {"features": objects, "actionId": "an id", "context": _entries(encoded.context), "action": _entries(encoded.actions[0])}


def _entries(row: Row) -> list[tuple[int, float]]:
    return list(zip(row.hashes, row.values, strict=True))


def _served(model: str, **settings: Any) -> Document:
    members = {
        "learningMode": "Online",
        "apprenticeLearning": "Imitate",
        "explorationPercentage": 0.2,
        "policyArguments": "--cb_explore_adf",
        "holdoutPercentage": 0.0,
    }
    return {"model": model, "loop": "default", "settings": members | settings}


def _asked() -> Iterator[tuple[Document, Document]]:
    chance = random.Random(25)
    for model in ("", "shared", "own", "joint"):
        for number in range(12):
            context = [{"user": {"segment": chance.choice(["s1", "s2", "s4"]), "age": chance.randrange(18, 90)}}]
            actions = [*_CATALOGUE, _NEW, _BARE][: chance.choice([1, 2, 4, 6])]
            excluded = [actions[0]["id"]] if len(actions) > 1 and number % 3 == 0 else []
            settings: list[Document] = [
                {},
                {"explorationPercentage": 1.0},
                {"policyArguments": "--cb_explore_adf --epsilon 0.2"},
                {"explorationPercentage": 0.0},
            ]
            request = {"eventId": f"{model}-{number}", "contextFeatures": context, "actions": actions, "excludedActions": excluded}
            yield _served(model, **settings[number % 4]), request
    for number in range(8):
        excluded = ["a"] if number % 2 else []
        yield _served("own", holdoutPercentage=0.5), {"eventId": f"held-{number}", "actions": _CATALOGUE, "excludedActions": excluded}
    for mode in ("Apprentice", "LoggingOnly"):
        yield _served("own", learningMode=mode), {"eventId": mode, "actions": _CATALOGUE, "excludedActions": ["a"]}
    yield (
        {**_served("own"), "loop": "news"},
        {"eventId": "größe/\U0001f600", "contextFeatures": [*ODD[:3], *ODD[4:]], "actions": _CATALOGUE, "excludedActions": []},
    )


def _asked_of_slots() -> Iterator[tuple[Document, Document]]:
    slots: list[Document] = [
        {"id": "top", "baselineAction": "a", "features": [{"size": 2}]},
        {"id": "side", "baselineAction": "b", "excludedActions": ["a", "d"]},
        {"id": "foot", "baselineAction": "c", "excludedActions": ["b"], "features": [{"size": 1}]},
    ]
    kinds: list[Document] = [{}, {"learningMode": "Apprentice"}, {"holdoutPercentage": 0.4}]
    for settings in kinds:
        for model in ("", "own"):
            for number in range(6):
                context = [{"user": {"segment": "s2", "age": 20 + 9 * number}}]
                request = {"eventId": f"slots-{number}", "contextFeatures": context, "actions": _CATALOGUE, "slots": slots}
                yield _served(model, policyArguments="--ccb_explore_adf", explorationPercentage=1.0, **settings), request


def of_served(told: Document, models: Mapping[str, bytes]) -> Served:
    """Give what the service decides by, of the members of GET models/serving."""
    settings = told["settings"]
    policy = LearningPolicy(arguments=settings["policyArguments"])
    loop = LoopSettings(
        name=told["loop"],
        learning_mode=LearningMode(settings["learningMode"]),
        exploration_percentage=settings["explorationPercentage"],
        policy=policy,
        holdout_percentage=settings["holdoutPercentage"],
    )
    model = artifact.load_model(models[told["model"]]) if told["model"] else Model.cold()
    return Served(told["model"], None, model, loop, arguments=parse_arguments(policy.arguments))


def decided(told: Document, request: Document, models: Mapping[str, bytes]) -> Decision:
    """Decide as the service does."""
    situation = RankRequest.model_validate(request, by_alias=True, by_name=False).to_situation(ActionReader())
    return Decider().decide(situation, of_served(told, models), event_id=request["eventId"], at=T0, deferred=False)


def decided_slots(told: Document, request: Document, models: Mapping[str, bytes]) -> list[Decision]:
    """Decide all slots as the service does."""
    asked = MultiSlotRankRequest.model_validate(request, by_alias=True, by_name=False).to_situation(ActionReader())
    return list(decide_slots(Decider(), asked, of_served(told, models), event_id=request["eventId"], at=T0, deferred=False))


def _decision(models: Mapping[str, bytes], told: Document, request: Document) -> Document:
    made = decided(told, request, models)
    situation = RankRequest.model_validate(request, by_alias=True, by_name=False).to_situation(ActionReader())
    return {"served": told, "request": request, "scores": Decider().scores(situation, of_served(told, models)), **_shown(made, request)}


def _slots(models: Mapping[str, bytes], told: Document, request: Document) -> Document:
    filled = [{"id": each.slot, **_shown(each, request)} for each in decided_slots(told, request, models)]
    return {"served": told, "request": request, "filled": filled}


def _shown(made: Decision, request: Document) -> Document:
    return {"probabilities": made.probabilities, "rewardActionId": request["actions"][made.chosen]["id"]}


# --- models ----------------------------------------------------------------------------------------------------------


def new_models() -> dict[str, bytes]:
    """Train three models, of which each explores by the draws of another part."""
    chance = random.Random(5)

    def by_segment(segment: str, _: int, action: int) -> float:
        return 0.6 * ((segment == "s1") == (action % 2 == 0)) + 0.3 * chance.random()

    def by_two(segment: str, age: int, action: int) -> float:
        return ((age > 40) != (segment == "s2")) * (action == 2) + 0.1 * chance.random()

    def by_likeness(_: str, age: int, action: int) -> float:
        return ((age > 40) != (action % 2 == 0)) * 0.8 + 0.1 * chance.random()

    return {
        "shared": _trained(by_segment, chance, 60, lambda _: _CATALOGUE),
        "own": _trained(by_two, chance, 60, lambda _: _CATALOGUE),
        "joint": _trained(by_likeness, chance, 90, lambda number: [{**each, "id": f"{each['id']}{number}"} for each in _CATALOGUE]),
    }


def _trained(
    reward: Callable[[str, int, int], float], chance: random.Random, count: int, catalogue: Callable[[int], list[Document]]
) -> bytes:
    learner, encoder = Learner.cold(), Encoder()
    encoded, rewards = [], []
    for number in range(count):
        segment, age = chance.choice(["s1", "s2", "s3"]), chance.randrange(18, 80)
        action = chance.randrange(4)
        actions = tuple([Action(each["id"], tuple(each["features"])) for each in catalogue(number)])
        encoded.append(encoder.encode(Situation(({"user": {"segment": segment, "age": age}},), actions)).logged(action))
        rewards.append(reward(segment, age, action))
    batch, first = to_batch(encoded, rewards=rewards, probabilities=[0.25] * count), 0
    while first < count:
        last = min(count, first + max(10, first // 5))
        learner.learn(batch.cut(first, last))
        first = last
    return artifact.dump_model(learner)


def main(place: Path = PLACE) -> None:
    """Write the file, by its own models if it is there."""
    models = {name: b64decode(each) for name, each in written()["models"].items()} if place.exists() else new_models()
    document = made(models)
    parts = [f'"{name}": {_lines(part)}' for name, part in document.items()]
    place.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")


def _lines(part: object) -> str:
    if isinstance(part, list):
        return "[\n" + ",\n".join(map(json.dumps, part)) + "\n]"
    if isinstance(part, dict):
        return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in part.items()) + "\n}"
    return json.dumps(part)


if __name__ == "__main__":
    main()
