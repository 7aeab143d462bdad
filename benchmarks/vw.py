"""Vowpal Wabbit, which the original service runs, on the same events: its Python binding, its file driver, its arguments."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import orjson
import vowpalwabbit

from benchmarks.quality_ours import Choice
from shared.domain.events import Action, Features, Situation
from shared.learning.exploration import draw

CONFIGURATIONS = (
    "--epsilon 0.2 --power_t 0 -l 0.001 --cb_type mtr",  # the original service's default policy
    "--epsilon 0.05 -l 2",
    "--epsilon 0.02 -l 5",
    "--squarecb -l 2",
    "--squarecb -l 2 --gamma_scale 1000",
    "--squarecb -l 10 --gamma_scale 100",
    "--softmax --lambda 50 -l 2",
    "--regcbopt --mellowness 0.01 -l 2 --cb_min_cost -1 --cb_max_cost 0",
    "--bag 5 -l 2",
    "--cover 3 -l 0.5 --cb_type mtr --nounif",
    "--synthcover -l 0.5",
    "--synthcover -l 2",
)
"""Each also gets the interactions of every namespace of the context with every one of the actions."""


class VowpalWabbit:
    """A player: a workspace that gets the features as JSON, and ids only of actions that have no features."""

    def __init__(self, arguments: str, situations: Iterable[Situation]) -> None:
        self._workspace = vowpalwabbit.Workspace(f"--cb_explore_adf {arguments} {interactions(situations)} --json --quiet")

    def rank(self, situation: Situation, event_id: str) -> Choice:
        """Draw by the same chance as ours does."""
        text = situation_json(situation)
        probabilities = self.probabilities(text)
        chosen = draw(probabilities, loop="benchmark", event_id=event_id)
        return Choice(probabilities, chosen, logged(text, chosen))

    def probabilities(self, text: str) -> tuple[float, ...]:
        """Parse a request and give each action's chance."""
        examples = self._workspace.parse(text)
        probabilities = self._workspace.predict(examples)
        self._workspace.finish_example(examples)
        return tuple(probabilities)

    def learn(self, logged: Sequence[bytes], rewards: Sequence[float], probabilities: Sequence[float]) -> None:
        """Learn event by event."""
        for event, reward, probability in zip(logged, rewards, probabilities, strict=True):
            examples = self._workspace.parse(f'{{"_label_cost":{-reward},"_label_probability":{probability},{event.decode()}')
            self._workspace.learn(examples)
            self._workspace.finish_example(examples)

    def publish(self) -> None:
        """Do nothing: what was learned is served."""

    def close(self) -> None:
        """Free the workspace."""
        self._workspace.finish()


def situation_json(situation: Situation) -> str:
    """Write a request for ``--json``: only what VW makes features of.

    >>> from shared.domain.events import Action
    >>> situation_json(Situation(({"U": {"x": 1}},), (Action("a", ({"A": {"id": "a"}},)),)))
    '{"U":{"x":1},"_multi":[{"A":{"id":"a"}}]}'
    """
    actions = [_told(action) for action in situation.actions]
    return orjson.dumps({**_merged(situation.context), "_multi": actions}).decode()


def logged(text: str, chosen: int) -> bytes:
    """Give what `VowpalWabbit.learn` takes, made of a request's JSON."""
    return f'"_label_Action":{chosen + 1},"_labelIndex":{chosen},{text[1:]}'.encode()


def interactions(situations: Iterable[Situation]) -> str:
    """Cross each namespace of the contexts with each of the actions; VW knows them by their first letter.

    >>> from shared.domain.events import Action
    >>> interactions([Situation(({"user": {"x": 1}, "place": {"y": 1}},), (Action("a", ({"article": {"z": 1}},)),))])
    '-q pa -q ua'
    """
    contexts: set[str] = set()
    actions: set[str] = set()
    for situation in situations:
        contexts.update(name[0] for features in situation.context for name in features)
        actions.update(name[0] for action in situation.actions for name in _told(action))
    return " ".join(f"-q {one}{other}" for one, other in product(sorted(contexts), sorted(actions)))


def dsjson(situation: Situation, choice: Choice, reward: float) -> str:
    """Write an event for ``--dsjson`` with no more in it than VW learns from."""
    chosen, count = choice.chosen, len(choice.probabilities)
    head = (
        f'{{"_label_cost":{-reward},"_label_probability":{choice.probabilities[chosen]},"_label_Action":{chosen + 1},"_labelIndex":{chosen}'
    )
    order = [chosen, *(index for index in range(count) if index != chosen)]
    chances = [choice.probabilities[index] for index in order]
    return f'{head},"a":{[index + 1 for index in order]},"p":{chances},"c":{situation_json(situation)}}}\n'


def learn_file(arguments: str, path: Path | None) -> None:
    """Learn a file of dsjson by VW's own driver; without one, only make the model and drop it."""
    data = [] if path is None else ["-d", str(path)]
    vowpalwabbit.Workspace(arg_list=["--cb_explore_adf", *arguments.split(), "--dsjson", "--quiet", *data]).finish()


def _told(action: Action) -> Features:
    """Give an action's features; of one that has none its id, which would be like any other else."""
    return _merged(action.features) or {"id": {"id": action.id}}


def _merged(objects: Sequence[Features]) -> Features:
    return {name: value for features in objects for name, value in features.items()}
