import asyncio
from datetime import UTC, datetime

import pytest
from cronsim import CronSimError

from local.backend import TimerCall, TimerTrigger
from local.timers import Timers, next_due

THURSDAY = datetime(2026, 1, 1, 12, 0, 30, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("0 * * * * *", "2026-01-01T12:01:00+00:00"),
        ("*/5 * * * * *", "2026-01-01T12:00:35+00:00"),
        ("31 0 12 * * *", "2026-01-01T12:00:31+00:00"),
        ("0 30 9 * * Mon-Fri", "2026-01-02T09:30:00+00:00"),
        ("0 0 0 1 Feb *", "2026-02-01T00:00:00+00:00"),
        ("0 5,10 * * * *", "2026-01-01T12:05:00+00:00"),
        ("0 0 0 13 * 5", "2026-02-13T00:00:00+00:00"),  # Friday the 13th: day and weekday, not either
    ],
)
def test_schedules_have_six_fields_the_first_for_seconds(schedule, due):
    assert next_due(schedule, THURSDAY).isoformat() == due


@pytest.mark.parametrize("schedule", ["", "60 * * * * *", "* * * * * * *", "00:05:00"])
def test_what_is_not_a_schedule_is_refused(schedule):
    with pytest.raises(CronSimError):
        next_due(schedule, THURSDAY)


class SlowBackend:
    """Notes each run's begin and end; a run takes as long as it is told."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.notes: list[str] = []

    async def call_timer(self, trigger: TimerTrigger, call: TimerCall) -> None:
        self.notes.append("begin")
        await asyncio.sleep(self.seconds)
        self.notes.append("end")


def timers(backend: SlowBackend) -> Timers:
    return Timers(backend, [TimerTrigger("train", "timer", schedule="0 0 0 1 1 *", run_on_startup=True)])  # type: ignore[arg-type]


async def test_stopping_waits_for_a_run_within_its_grace():
    backend = SlowBackend(0.1)
    running = timers(backend)
    running.start()
    await asyncio.sleep(0.01)
    await running.stop(grace=5)
    assert backend.notes == ["begin", "end"]


async def test_stopping_gives_up_on_a_run_after_its_grace():
    backend = SlowBackend(60)
    running = timers(backend)
    running.start()
    await asyncio.sleep(0.01)
    await running.stop(grace=0.1)
    await asyncio.sleep(0)
    assert backend.notes == ["begin"]


async def test_a_run_by_hand_finds_its_timer_in_any_case():
    backend = SlowBackend(0)
    running = timers(backend)
    assert running.run_by_hand("TRAIN")
    assert not running.run_by_hand("other")
    await running.stop(grace=1)
    assert backend.notes == ["begin", "end"]
