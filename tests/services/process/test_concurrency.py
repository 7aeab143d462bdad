"""Two things at a time, and the garbage collector at rest."""

import asyncio
import gc

import pytest

from shared.services.process.concurrency import collector_at_rest, together


async def test_both_are_awaited_at_the_same_time():
    met = asyncio.Barrier(2)
    assert await together(met.wait(), met.wait()) in ((0, 1), (1, 0))


async def test_when_one_fails_the_other_is_over_before_the_error_leaves():
    ended: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(LookupError):
        await together(wait(), fail())
    assert ended == ["cancelled"]


def test_the_collector_runs_again_whatever_happened():
    def fail_inside() -> None:
        with collector_at_rest():
            with collector_at_rest():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise LookupError

    with pytest.raises(LookupError):
        fail_inside()
    assert gc.isenabled()
