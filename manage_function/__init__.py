"""HTTP: everything but the calls that an application makes all day: configuration, policy, loops, status.

One function takes all operations under each beginning of a path, so their number does not grow with that of the operations; the last
one takes every path that no other function takes. The Functions host tries routes in the order of the functions' names: these names come
after all others.
"""

from collections.abc import Callable, Iterator, Sequence

import azure.functions as func

from manage_function import configuration, figures, logs, loops, model, openapi, policy, receipts, status
from shared.runtime.http import Operation, blueprint, dispatcher
from shared.runtime.wiring import Deployment

OPERATIONS = (
    *configuration.OPERATIONS,
    *policy.OPERATIONS,
    *loops.OPERATIONS,
    *model.OPERATIONS,
    *logs.OPERATIONS,
    *receipts.OPERATIONS,
    *figures.OPERATIONS,
    *status.OPERATIONS,
)

ALONE = (*figures.OPERATIONS, *status.OPERATIONS)
"""Those that have functions of their own: what is asked all the time by what watches a service."""


def with_description(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Give these operations and those that describe them all."""
    return (*operations, *openapi.operations(operations))


def manage_blueprints(operations: Sequence[Operation], deployment: Callable[[], Deployment]) -> Iterator[func.Blueprint]:
    """Give the functions of this folder; ``operations`` are all that the service has beside those that describe it."""
    every = with_description(operations)
    yield blueprint(ALONE, deployment)
    yield dispatcher("under_personalizer", "personalizer/", every, deployment)
    yield dispatcher("under_loops", "loops/", every, deployment)
    yield dispatcher("unmatched", "", every, deployment)
