"""Which of a run's storage calls are failed, where failing each of them would take long and most do as their neighbours do."""

import re
from collections.abc import Sequence

from tests.storage_proxy import Call, StorageProxy

NEVER = 1_000
"""More calls than any of these runs makes."""

_OF_ITS_OWN = re.compile(r"\([^)]*\)|[^/]*\d[^/]*")


def kind_of(call: Call) -> str:
    """Tell what is asked of what, without the names that differ from one run to the next.

    >>> kind_of(Call(7, "PUT", "/account007/personalizer-models/loops/run3/states/00000002-1f"))
    'PUT /*/personalizer-models/loops/*/states/*'
    """
    return f"{call.method} {_OF_ITS_OWN.sub('*', call.path)}"


def chosen(calls: Sequence[Call]) -> list[int]:
    """Number the calls that stand for all of them, counted from 1: the first of each kind, and the last of all.

    >>> rows = [Call(number, "GET", f"/a1/table{number}") for number in (1, 2, 3)]
    >>> chosen([*rows, Call(4, "PUT", "/a1/pointer"), Call(5, "GET", "/a1/table5"), Call(6, "PUT", "/a1/pointer")])
    [1, 4, 6]
    """
    first: dict[str, int] = {}
    for number, call in enumerate(calls, 1):
        first.setdefault(kind_of(call), number)
    return sorted({*first.values(), len(calls)} - {0})


def last_calls(way: StorageProxy | str, calls: int, *, done_first: bool) -> list[int]:
    """Number the calls, of so many of an undisturbed run, that a process is killed at: in a folder every other, before it and after it.

    That is each moment, since to storage a process killed before a call is one that was killed after the call before. On an account,
    where it takes five times as long, the chosen ones in turn: every other is a last that is not done, the rest are lasts that are done.
    """
    if isinstance(way, str):
        return list(range(1, calls + 1, 2))
    return chosen(way.calls)[done_first::2]


def stops(calls: Sequence[Call], *, engine: str, stride: int) -> list[int]:
    """Number the calls to stop an undisturbed run before: in memory every other, or one of so many of them; on the wire the chosen ones.

    >>> rows = [Call(number, "GET", f"/a1/table{number}") for number in (1, 2, 3, 4, 5)]
    >>> stops(rows, engine="memory", stride=1), stops(rows, engine="memory", stride=2), stops(rows, engine="azurite", stride=1)
    ([1, 3, 5], [1, 5], [1, 5])
    """
    return chosen(calls) if engine == "azurite" else list(range(1, len(calls) + 1, 2 * stride))
