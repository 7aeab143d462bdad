"""An app with a setting that cannot be used says so to every call."""

from collections.abc import Iterator

import pytest

from tests.http.building import path, rank_body, refused
from tests.running import HostKind, RunningApp
from tests.stores import NewStorage


@pytest.fixture(scope="module")
def mistaken(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    settings = {"PERSONALIZER_DEFAULT_REWARD": "s3cr3t", "PERSONALIZER_ADMIN_KEY": "the-administrators-key"}
    with RunningApp(new_store(), kind=host, settings=settings, timers=True, queues=True, ready_status=503) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("POST", path("rank")),
        ("POST", path("events/e1/reward")),
        ("PUT", "/loops/news"),
        ("GET", "/status"),
        ("GET", "/"),
        ("DELETE", "/nothing"),
        ("OPTIONS", path("rank")),
    ],
)
def test_every_call_is_told_which_setting_has_to_be_mended(mistaken, method, place):
    answer = mistaken.request(method, place, rank_body() if method == "POST" else None)
    refused(answer, 503, "OperationNotAllowed", naming="PERSONALIZER_DEFAULT_REWARD must be a number from -1 to 1")
    assert (answer.headers["retry-after"], answer.headers["cache-control"]) == ("60", "no-store")
    assert "s3cr3t" not in str(answer)


def test_head_is_refused_without_a_body(mistaken):
    assert mistaken.request("HEAD", "/status")[::2] == (503, b"")


def test_the_log_has_the_setting_from_the_start_on(mistaken):
    first = next(line for line in mistaken.log_lines if "out of order" in line["message"])
    assert (first["level"].lower(), "PERSONALIZER_DEFAULT_REWARD must be" in first["message"]) == ("error", True)
    assert "s3cr3t" not in mistaken.logs
