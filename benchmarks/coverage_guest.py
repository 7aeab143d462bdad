"""``python coverage_guest.py``: values the logs that it is given with Open Bandit Pipeline (obp), in an environment that has it.

Reads the logs from standard input, as arrays of numpy (NPZ), and writes estimates and intervals to standard output, as JSON: see
`benchmarks.coverage`. Its numpy may be another one.
"""

import io
import json
import sys
from typing import Any

import numpy as np
from obp.ope import (  # type: ignore[import-not-found]  # in another environment
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkageTuning,
    InverseProbabilityWeighting,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobustTuning,
)

LAMBDAS = [1.0, 10.0, 100.0, 1000.0, float("inf")]
ESTIMATORS: dict[str, Any] = {
    "ipw": InverseProbabilityWeighting(),
    "snipw": SelfNormalizedInverseProbabilityWeighting(),
    "dm": DirectMethod(),
    "dr": DoublyRobust(),
    "sndr": SelfNormalizedDoublyRobust(),
    "switch-dr": SwitchDoublyRobustTuning(lambdas=LAMBDAS),
    "dr-os": DoublyRobustWithShrinkageTuning(lambdas=LAMBDAS),
}
WITH_INTERVALS = ("ipw", "snipw", "dr")


def main() -> None:
    """Value all logs."""
    arrays, results = np.load(io.BytesIO(sys.stdin.buffer.read())), []
    for number in range(int(arrays["logs"])):
        log = {name: arrays[f"{number} {name}"] for name in ("rewards", "chosen", "logged", "policy", "predictions")}
        asked = {
            "reward": log["rewards"],
            "action": log["chosen"],
            "pscore": log["logged"],
            "action_dist": log["policy"][:, :, np.newaxis],
            "estimated_rewards_by_reg_model": log["predictions"][:, :, np.newaxis],
        }
        values = {name: float(each.estimate_policy_value(**asked)) for name, each in ESTIMATORS.items()}
        ends = {}
        for name in WITH_INTERVALS:
            found = ESTIMATORS[name].estimate_interval(**asked, n_bootstrap_samples=int(arrays["resamples"]), random_state=1)
            ends[name] = [float(found[f"95.0% CI ({end})"]) for end in ("lower", "upper")]
        results.append((values, ends))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
