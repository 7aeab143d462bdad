"""The learner of another checkout, played by the same loop on the same events, in a process of its own."""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.problems import Event
from shared.domain.events import Action

GUEST = Path(__file__).with_name("quality_guest.py")
NEEDED = ("benchmarks/quality_ours.py", "benchmarks/problems.py", "shared/learning")
"""What a checkout must have to be played."""


class CheckoutError(Exception):
    """The learner of another checkout could not be played; the message has the last line of what its process said."""


def play_elsewhere(folder: Path, events: Sequence[Event], *, protocol: str, seed: int, exploration: float) -> npt.NDArray[np.float64]:
    """Give what `benchmarks.quality_loop.play` gives for the learner of the checkout in this folder.

    Raises `CheckoutError` when its process fails.
    """
    task = {**_plain(events), "protocol": protocol, "seed": seed, "exploration": exploration}
    command = [sys.executable, str(GUEST), str(folder.resolve())]
    done = subprocess.run(command, input=pickle.dumps(task), cwd=folder, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise CheckoutError(f"the learner in {folder} can not be played: {said[-1]}")
    return np.array(pickle.loads(done.stdout))


def lacks(folder: Path) -> list[str]:
    """Give what this folder lacks of a checkout that can be played.

    >>> lacks(Path(__file__).parents[1]), lacks(Path(__file__).parent)
    ([], ['benchmarks/quality_ours.py', 'benchmarks/problems.py', 'shared/learning'])
    """
    return [name for name in NEEDED if not (folder / name).exists()]


def _plain(events: Sequence[Event]) -> dict[str, object]:
    """Give events without any class of this checkout; each action, which has one object of features, stands once."""
    places: dict[int, int] = {}
    actions: list[Action] = []
    rows = []
    for event in events:
        for action in event.situation.actions:
            if id(action) not in places:
                places[id(action)] = len(actions)
                actions.append(action)
        offered = [places[id(action)] for action in event.situation.actions]
        rows.append((event.situation.context, offered, event.expected, event.rewards))
    return {"actions": [(action.id, action.features[0]) for action in actions], "events": rows}
