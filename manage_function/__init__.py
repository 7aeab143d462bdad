"""HTTP: everything but the calls that an application makes all day: configuration, policy, loops, status.

One function takes all operations under each beginning of a path, so their number does not grow with that of the operations; the last
one takes every path that no other function takes.
"""

from collections.abc import Callable, Iterator, Sequence

import azure.functions as func

from manage_function import configuration, logs, loops, model, policy, receipts, status
from shared.runtime.http import Operation, blueprint, dispatcher
from shared.runtime.wiring import Deployment

OPERATIONS = (
    *configuration.OPERATIONS,
    *policy.OPERATIONS,
    *loops.OPERATIONS,
    *model.OPERATIONS,
    *logs.OPERATIONS,
    *receipts.OPERATIONS,
    *status.OPERATIONS,
)


def manage_blueprints(operations: Sequence[Operation], deployment: Callable[[], Deployment]) -> Iterator[func.Blueprint]:
    """Give the functions of this folder; ``operations`` are all that the service has."""
    yield blueprint(status.OPERATIONS, deployment)
    yield dispatcher("manage", "personalizer/", operations, deployment)
    yield dispatcher("loops", "loops/", operations, deployment)
    yield dispatcher("unmatched", "", operations, deployment)
