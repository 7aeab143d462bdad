"""``python quality_guest.py FOLDER``: plays events with the learner of the checkout in that folder, which need not know this file.

Reads what to play from standard input and writes the scores to standard output, both pickled: see `benchmarks.quality_elsewhere`.
"""

import pickle
import runpy
import sys
from pathlib import Path
from typing import Any


def main(folder: str) -> None:
    """Play once. All imports are from the other checkout, besides the loop, which has none."""
    loop = runpy.run_path(str(Path(__file__).with_name("quality_loop.py")))
    sys.path[0] = folder  # in place of this file's own folder
    task: dict[str, Any] = pickle.load(sys.stdin.buffer)

    from benchmarks.problems import Event, known
    from benchmarks.quality_ours import Ours
    from shared.domain.events import Situation

    actions = [known(name, features) for name, features in task["actions"]]
    events = [
        Event(Situation(context, tuple([actions[place] for place in offered])), expected, rewards)
        for context, offered, expected, rewards in task["events"]
    ]
    scores = loop["play"](Ours(exploration=task["exploration"]), events, protocol=task["protocol"], seed=task["seed"])
    sys.stdout.buffer.write(pickle.dumps(scores.tolist()))


if __name__ == "__main__":
    main(sys.argv[1])
