"""HTTP: everything but the calls that an application makes all day: configuration, policy, loops, status.

One function takes all operations under each beginning of a path, so their number does not grow with that of the operations; the last
one takes every path that no other function takes. The Functions host tries routes in the order of the functions' names: these names come
after all others.
"""

from collections.abc import Callable, Iterator, Sequence

import azure.functions as func

from shared.runtime.http import MUCH, Handler, Operation, blueprint, dispatcher, first_used
from shared.runtime.wiring import Deployment


def _figures() -> Handler:
    from manage_function.figures import get

    return get


def _status() -> Handler:
    from manage_function.status import status

    return status


ALONE = (
    Operation("figures", "GET", "figures", first_used(_figures), versioned=False, time=MUCH),
    Operation("status", "GET", "status", first_used(_status), versioned=False, needs_key=False, time=MUCH),
)
"""Those that have functions of their own: what is asked all the time by what watches a service."""


def manage_blueprints(operations: Callable[[], Sequence[Operation]], deployment: Callable[[], Deployment]) -> Iterator[func.Blueprint]:
    """Give the functions of this folder; ``operations`` gives all that the service has, and is called when one of the functions is."""
    yield blueprint(ALONE, deployment)
    yield dispatcher("under_personalizer", "personalizer/", operations, deployment)
    yield dispatcher("under_loops", "loops/", operations, deployment)
    yield dispatcher("unmatched", "", operations, deployment)
