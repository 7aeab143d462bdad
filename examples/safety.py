"""Simulated visitors must not be mixed with real ones: the model learns both, and the log keeps both."""

from examples.errors import OthersDataError
from examples.player import is_local
from examples.status import LoopStatus

ITS_LOOP = "demo"
"""The loop that `make run` makes for simulated visitors."""


def check_loop(endpoint: str, status: LoopStatus, *, command: str) -> None:
    """Raise `OthersDataError` if the loop may have events of real visitors.

    The loop `demo` and an empty loop may be used. A loop on another machine that does not say how many events it has may not. `command` is
    the command that calls the loop all the same.
    """
    if status.name == ITS_LOOP:
        return
    told = [count for count in (status.ranked, status.learned) if count is not None]
    if not told and is_local(endpoint):
        return
    if not told:
        raise OthersDataError(f"{endpoint} does not say whether its loop has events already. {_advice(command)}")
    if max(told):
        raise OthersDataError(f"The loop {status.name or 'there'} has {max(told):,} events already. {_advice(command)}")


def _advice(command: str) -> str:
    return (
        "The model would learn simulated events together with them, and the log keeps both, so nothing was sent."
        f" Use an empty loop (python -m cli loops create NAME), or the loop `{ITS_LOOP}` of `make run`."
        f" To send simulated events all the same: {command}"
    )
