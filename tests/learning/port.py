"""The decision in plain Python, from docs/internals/the-decision.md alone: if this comes to the same, the page says enough.

It imports nothing of the product and no numpy, so its numbers are those of any language with floating-point numbers of 64 bits.
"""

import hashlib
import io
import math
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

END = "\x1f"
WORD = 0xFFFFFFFF
Entries = dict[int, float]

# --- features --------------------------------------------------------------------------------------------------------


def mixed(word: int) -> int:
    word = (word ^ word >> 16) * 0x85EBCA6B & WORD
    word = (word ^ word >> 13) * 0xC2B2AE35 & WORD
    return word ^ word >> 16


def feature(text: str) -> int:
    return mixed(zlib.crc32(text.encode("utf-8", "surrogatepass"))) & ~2 | 1


CONSTANT = feature("constant of c") | 0x3C


def bounded(number: float) -> float:
    size = abs(number)
    return 0.0 if size < 1e-9 else math.copysign(1e9, number) if size > 1e9 else float(number)


def add(entries: Entries, name: int, value: float) -> None:
    if name in entries:
        entries[name] = bounded(entries[name] + value)
    elif value:
        entries[name] = value


def add_value(entries: Entries, path: str, value: Any) -> None:
    if isinstance(value, str):
        add(entries, feature(path + END + value), 1.0)
    elif value is None or isinstance(value, bool):
        add(entries, feature(path + END + {None: "null", True: "true", False: "false"}[value]), 1.0)
    elif isinstance(value, (int, float)):
        add(entries, feature(path) | 2, bounded(value))
    elif isinstance(value, Mapping):
        add_members(entries, path + ".", value)
    else:
        for position, each in enumerate(value):
            if isinstance(each, (int, float)) and not isinstance(each, bool):
                array = feature(path)
                place = array * (2 * position + 1) & WORD & ~0x3C | array & 0x3C | 2
                add(entries, place, bounded(each))
            else:
                add_value(entries, path if isinstance(each, str) else f"{path}.{position}", each)


def add_members(entries: Entries, prefix: str, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        if not name.startswith("_"):
            add_value(entries, prefix + name, value)


def row(first: int, side: str, objects: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    entries: Entries = {first: 1.0}
    for each in objects:
        for name, value in each.items():
            if isinstance(value, Mapping) and not name.startswith("_"):
                add_members(entries, side + name + END, value)
        add_members(entries, side + END, {name: value for name, value in each.items() if not isinstance(value, Mapping)})
    return list(entries.items()) if len(entries) <= 256 else folded(entries, first, side)


def folded(entries: Entries, first: int, side: str) -> list[tuple[int, float]]:
    few: Entries = {first: 1.0}
    for name, value in entries.items():
        if name != first:
            add(few, feature(f"{(name >> 6) % 255} of {side}"), value)
    return list(few.items())


def of_context(objects: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    return row(CONSTANT, "c", objects)


def of_action(action: Mapping[str, Any]) -> list[tuple[int, float]]:
    return row(feature("i" + END + action["id"]), "a", action["features"])


# --- the model -------------------------------------------------------------------------------------------------------


def arrays(file: bytes) -> dict[str, list[Any]]:
    found = {}
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        for name in archive.namelist():
            member = archive.read(name)
            start = 10 + int.from_bytes(member[8:10], "little")
            kind = member[10:start].decode("ascii").split("'descr': '")[1][:3]
            code = {"<i8": "q", "<f8": "d", "<u4": "I", "<f4": "f", "<i4": "i"}[kind]
            found[name.removesuffix(".npy")] = [each for (each,) in struct.iter_unpack(f"<{code}", member[start:])]
    return found


@dataclass
class Measure:
    size: float = 1.0
    edges: Sequence[float] = ()

    def scaled(self, value: float) -> float:
        return min(max(value / self.size, -4.0), 4.0)

    def ranked(self, value: float) -> float:
        edges = self.edges
        if not edges:
            return min(max(value / self.size, -1.0), 1.0)
        if value <= edges[0] or value >= edges[-1]:
            return -1.0 if value <= edges[0] else 1.0
        at = bisect_right(edges, value) - 1
        return 2.0 * (at + (value - edges[at]) / (edges[at + 1] - edges[at])) / (len(edges) - 1) - 1.0


def cut(numbers: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


class Model:
    def __init__(self, file: bytes) -> None:
        found = arrays(file)
        version, encoder, self.learned, columns, own_columns = found["header"]
        assert (version, encoder, found["interactions"]) == (4, 3, [])
        self.remembered, self.deviation, self.share, self.ridge, self.joint_share = found["mixture"]
        self.weights = dict(zip(found["cells"], cut(found["weights"], columns), strict=True))
        self.columns, self.own_columns = columns, own_columns
        self.arms = {name: place for place, name in enumerate(found["arms"])}
        self.own = cut(cut(found["arm_weights"], 129), own_columns)
        self.joint = cut(found["joint_weights"], 257)
        edges = iter(found["edges"])
        counts = zip(found["measured"], found["sizes"], found["quantiles"], strict=True)
        self.measures = {name: Measure(size, [next(edges) for _ in range(count)]) for name, size, count in counts}

    def scaled(self, name: int, value: float) -> float:
        return (self.measures.get(name, Measure()) if name & 2 else Measure()).scaled(value)

    def ranked(self, name: int, value: float) -> float:
        return self.measures.get(name, Measure()).ranked(value) if name & 2 else Measure().scaled(value)


# --- scores ----------------------------------------------------------------------------------------------------------

QUANTILES = [NormalDist().inv_cdf((place + 0.5) / 4096) for place in range(4096)]


def gaussians(key: int, count: int) -> list[float]:
    return [QUANTILES[mixed(key + number * 0x9E3779B1 & WORD) >> 20] for number in range(1, count + 1)]


PHASES = [mixed(number + 0x51ED270B & WORD) * 2.0 * math.pi / 2.0**32 for number in range(128)]
WIDTHS = [0.4 * 5.0 ** (number / 127) for number in range(128)]


def shared(model: Model, context: Sequence[tuple[int, float]], action: Sequence[tuple[int, float]]) -> list[float]:
    total = [0.0] * model.columns
    for name, value in context:
        for other, partner in action:
            cell = (name * other & WORD) >> 14
            worths = model.weights.get(cell)
            if worths is None:
                worths = [0.0, *[each / math.sqrt(model.ridge) for each in gaussians(cell, 4)]][: model.columns]
            product = model.scaled(name, value) * model.scaled(other, partner)
            total = [each + product * worth for each, worth in zip(total, worths, strict=True)]
    return total


def own(model: Model, context: Sequence[tuple[int, float]], action: Sequence[tuple[int, float]]) -> list[float]:
    angles, root = list(PHASES), math.sqrt(max(len(context) - 1, 1))
    for name, value in context[1:]:
        ranked = model.ranked(name, value) / root
        angles = [angle + ranked * 2.0 * each for angle, each in zip(angles, gaussians(name, 128), strict=True)]
    waves = [1.0, *[3.0 * math.sqrt(2.0 / 128) * math.cos(angle) for angle in angles]]
    arm = model.own[model.arms.get(action[0][0], len(model.arms))]
    return [sum(weight * wave for weight, wave in zip(weights, waves, strict=True)) for weights in arm]


def turned(model: Model, side: Sequence[tuple[int, float]]) -> list[float]:
    angles, root = [0.0] * 128, math.sqrt(max(len(side), 1))
    for name, value in side:
        frequencies = [each * width for each, width in zip(gaussians(name ^ 0x7FEB352C, 128), WIDTHS, strict=True)]
        angles = [angle + value / root * each for angle, each in zip(angles, frequencies, strict=True)]
    return angles


def joint(model: Model, context: Sequence[tuple[int, float]], action: Sequence[tuple[int, float]]) -> list[float]:
    features = [(name, model.ranked(name, value)) for name, value in action[1:]] or [(action[0][0], 1.0)]
    of_context = turned(model, [(name, model.ranked(name, value)) for name, value in context[1:]])
    angles = [one + other for one, other in zip(of_context, turned(model, features), strict=True)]
    waves = [1.0]
    for turn in (math.cos, math.sin):
        waves += [3.0 / math.sqrt(128) * turn(angle) for angle in angles]
    return [sum(weight * wave for weight, wave in zip(weights, waves, strict=True)) for weights in model.joint]


def score(model: Model, context: Sequence[tuple[int, float]], action: Sequence[tuple[int, float]]) -> tuple[float, list[float]]:
    left = 1.0 - model.joint_share - (model.share if action[0][0] in model.arms else 0.0)
    parts = [part(model, context, action) for part in (own, joint, shared)]
    shares = [1.0 if model.share else 0.0, 1.0 if model.joint_share else 0.0, left if left > 1e-9 else 0.0]
    mean = sum(share * part[0] for share, part in zip(shares, parts, strict=True))
    return mean, next((part[1:] for part in parts if len(part) > 1), [])


# --- from scores to the choice ---------------------------------------------------------------------------------------


def first_best(numbers: Sequence[float], allowed: Sequence[bool]) -> int:
    return max((place for place, may in enumerate(allowed) if may), key=lambda place: (numbers[place], -place))


def rest_to(best: int, chances: list[float]) -> list[float]:
    others = [0.0 if place == best else chance for place, chance in enumerate(chances)]
    rest = 1.0 - sum(others)
    others[best] = rest if rest >= 0.5 else max(rest, *others)
    return others


def by_default(model: Model, scores: Sequence[tuple[float, list[float]]], allowed: Sequence[bool], exploration: float) -> list[float]:
    hopes = []
    for mean, draws in scores:
        spread = math.sqrt(sum(each * each for each in draws) / len(draws)) if draws else 0.0
        hopes.append(mean + min(0.6 * model.deviation * spread, 0.5))
    best, count, gamma = first_best(hopes, allowed), sum(allowed), 100.0 * math.sqrt(model.remembered)
    shares = [1.0 / (count + gamma * (hopes[best] - hope)) if may else 0.0 for hope, may in zip(hopes, allowed, strict=True)]
    lowest = min(0.01, exploration)
    kept = (exploration - lowest) / max(sum(shares) - shares[best], exploration) if exploration else 0.0
    return rest_to(best, [lowest / count + kept * share if may else 0.0 for share, may in zip(shares, allowed, strict=True)])


def epsilon_greedy(_: Model, scores: Sequence[tuple[float, list[float]]], allowed: Sequence[bool], exploration: float) -> list[float]:
    best = first_best([mean for mean, _ in scores], allowed)
    return rest_to(best, [exploration / sum(allowed) if may else 0.0 for may in allowed])


def chance(loop: str, event_id: str, *, slot: str = "", person: bytes = b"") -> float:
    name, seed = loop.encode(), event_id + ("\0" + slot if slot else "")
    digest = hashlib.blake2b(len(name).to_bytes(4, "little") + name + seed.encode(), digest_size=8, person=person).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2.0**53


def draw(probabilities: Sequence[float], number: float) -> int:
    drawn = 0
    for place, probability in enumerate(probabilities):
        if probability > 0.0:
            drawn, number = place, number - probability
            if number < 0.0:
                break
    return drawn


@dataclass
class Choice:
    action: int
    probabilities: list[float]
    scores: list[float]


def own_choice_of(actions: Sequence[Mapping[str, Any]], allowed: Sequence[bool], baseline: str) -> int:
    named = [place for place, each in enumerate(actions) if allowed[place] and each["id"] == baseline]
    return named[0] if named else list(allowed).index(True)


def decide(
    model: Model | None,
    served: Mapping[str, Any],
    request: Mapping[str, Any],
    *,
    slot: str = "",
    baseline: str = "",
    held: float | None = None,
) -> Choice:
    """Decide one request, with the members of GET models/serving and the body of a Rank call."""
    settings, actions = served["settings"], request["actions"]
    excluded = set(request.get("excludedActions") or ())
    allowed = [each["id"] not in excluded for each in actions]
    if settings["learningMode"] != "Online":
        shown = own_choice_of(actions, allowed, baseline)
        return Choice(shown, [float(place == shown) for place in range(len(actions))], [])
    scores: list[tuple[float, list[float]]] = []
    if model is None:
        probabilities = [1.0 / sum(allowed) if may else 0.0 for may in allowed]
    else:
        context = of_context(request.get("contextFeatures") or [])
        scores = [score(model, context, of_action(each)) for each in actions]
        explore = {"--cb_explore_adf": by_default, "--ccb_explore_adf": by_default}.get(settings["policyArguments"], epsilon_greedy)
        probabilities = explore(model, scores, allowed, settings["explorationPercentage"])
    drawn = draw(probabilities, chance(served["loop"], request["eventId"], slot=slot))
    share = settings["holdoutPercentage"]
    if share:
        held = share if held is None else held
        own_choice = own_choice_of(actions, allowed, baseline)
        probabilities = [(1.0 - held) * each + (held if place == own_choice else 0.0) for place, each in enumerate(probabilities)]
        if chance(served["loop"], request["eventId"], person=b"holdout") < share:
            drawn = own_choice
    return Choice(drawn, probabilities, [mean for mean, _ in scores])


# --- several slots ---------------------------------------------------------------------------------------------------


def decide_slots(model: Model | None, served: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[Choice]:
    """Decide a multi-slot request, slot by slot."""
    slots = request["slots"]
    excluded = {slot["id"]: set(slot.get("excludedActions") or ()) for slot in slots}
    kept = {slot["baselineAction"]: slot["id"] for slot in slots if excluded[slot["id"]]}
    left: dict[str, str] = {action["id"]: kept.get(action["id"], "") for action in request["actions"]}
    taken: set[str] = set()
    held = served["settings"]["holdoutPercentage"]
    for slot in slots:
        left = {action: "" if keeper == slot["id"] else keeper for action, keeper in left.items()}
        ways = other_ways(left, excluded)
        needed = {action for action, keeper in left.items() if keeper and keeper not in ways}
        asked = {
            "eventId": request["eventId"],
            "contextFeatures": [
                *(request.get("contextFeatures") or []),
                *(slot.get("features") or []),
                *(slot.get("positionFeatures") or []),
                {"slot": {"id": slot["id"]}},
            ],
            "actions": request["actions"],
            "excludedActions": [*(excluded[slot["id"]] | taken | needed)],
        }
        choice = decide(model, served, asked, slot=slot["id"], baseline=slot["baselineAction"], held=held)
        yield choice
        allowed = [each["id"] not in asked["excludedActions"] for each in asked["actions"]]
        own_choice = own_choice_of(asked["actions"], allowed, slot["baselineAction"])
        held = min(held / choice.probabilities[own_choice], 1.0) if choice.action == own_choice else 0.0
        action = request["actions"][choice.action]["id"]
        taken.add(action)
        keeper = left.pop(action)
        while keeper:
            other = ways[keeper]
            left[other], keeper = keeper, left[other]


def other_ways(left: Mapping[str, str], excluded: Mapping[str, set[str]]) -> dict[str, str]:
    ways: dict[str, str] = {}
    kept = [(action, keeper) for action, keeper in left.items() if keeper]
    free = [action for action, keeper in left.items() if not keeper]
    for action in free if kept else []:
        for own_action, keeper in kept:
            if keeper not in ways and action not in excluded[keeper]:
                ways[keeper] = action
                free.append(own_action)
    return ways
