"""The log's properties, deletion and batches, and receipts, over HTTP."""

import csv
import io
import random
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from azure.storage.blob import BlobServiceClient

from tests.http.building import ON_ONE_HOST, VERSIONS, actions, activate, counters, path, rank, refused, reward
from tests.http.own_loops import QUICK, SETTINGS, OwnLoop, another_process, own_loop
from tests.patience import PATIENCE
from tests.running import Answer, Asked, RunningApp
from tests.services.log.test_mirroring import signed

pytestmark = pytest.mark.long

LINES = {"Content-Type": "application/x-ndjson"}
UPLOADING = VERSIONS[2:]
WAIT = {**QUICK, "rewardWaitTime": "PT2S"}


@pytest.fixture
def own(shared) -> Iterator[OwnLoop]:
    """A loop of the test's own, with short waits."""
    with own_loop(shared, **WAIT) as loop:
        yield loop


def interaction(event_id: str, **members: Any) -> dict[str, Any]:
    chances = [{"id": each, "probability": chance} for each, chance in zip("abc", (0.5, 0.25, 0.25), strict=True)]
    return {"eventId": event_id, "actions": actions(), "ranking": chances, "rewardActionId": "b", "modelVersion": "local-1", **members}


def upload(app: Asked, what: str, *documents: dict[str, Any], version: str = VERSIONS[3], headers: dict | None = None) -> Answer:
    body = b"\n".join(map(orjson.dumps, documents))
    return app.request("POST", path(f"logs/{what}", version=version), body, headers=headers or LINES)


def receipt(app: Asked, event_id: str, *, version: str = "v1.0", around: str = "") -> Answer:
    place = path(f"events/{quote(event_id, safe='')}", version=version)
    return app.request("GET", f"{place}{'&' if '?' in place else '?'}around={quote(around)}" if around else place)


def properties(app: Asked, *, version: str = "v1.0") -> Any:
    answer = app.request("GET", path("logs/properties", version=version))
    assert answer.status == 200
    return answer.json


def delete(app: Asked, *, version: str = "v1.0") -> Answer:
    return app.request("DELETE", path("logs", version=version))


def learned(app: Asked, number: int) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while (found := counters(app))["learned"] < number:
        assert time.monotonic() < until, app.logs
        app.request("POST", "/admin/functions/train")
        time.sleep(0.2)
    return found


def hostile(kind: str) -> list[dict[str, Any]]:
    """As many lines as fit in a body, each with a model version of its own that is as long as one may be."""
    noise = random.Random(9)
    letters = {"astral": range(0x10000, 0x110000), "control": range(0x20), "plain": range(0x61, 0x7B)}[kind]
    lines: list[dict[str, Any]] = []
    size = 0
    while len(lines) < 1_000:
        version = "".join(map(chr, noise.choices(letters, k=256)))
        one = {"actions": [{"id": "a", "features": [{"x": 1}]}], "ranking": [{"id": "a", "probability": 1}], "rewardActionId": "a"}
        lines.append({"eventId": f"h{len(lines)}", **one, "modelVersion": version})
        size += len(orjson.dumps(lines[-1])) + 1
        if size > 1024 * 1024:
            return lines[:-1]
    return lines


@ON_ONE_HOST
@pytest.mark.parametrize("kind", ["astral", "control", "plain"])
def test_a_hostile_batch_is_learned_or_refused_and_the_loop_goes_on(own, kind):
    lines = hostile(kind)
    assert len(lines) > 500
    rank(own, eventId="before")
    answer = upload(own, "interactions", *lines)
    if answer.status == 204:
        expected = len(lines)
    else:
        refused(answer, 400, "PayloadSizeExceeded", naming=f"these {len(lines)} events are too large to be logged together")
        expected = 0
    rank(own, eventId="after")
    assert learned(own, expected + 2)["learned"] == expected + 2
    assert counters(own)["skipped"] == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_properties_are_empty_until_something_is_logged_and_after_its_deletion(own, version):
    assert properties(own, version=version) == {}
    rank(own)
    assert properties(own, version=version)["dateRange"].keys() == {"from", "to"}
    answer = delete(own, version=version)
    assert (answer.status, answer.body) == (204, b"")
    assert properties(own, version=version) == {}
    assert counters(own)["skipped"] == {"logDeleted": 1}


@ON_ONE_HOST
def test_a_deletion_keeps_what_is_learned_and_counted_and_learning_goes_on(own):
    for number in range(3):
        rank(own, eventId=f"e{number}")
    before = learned(own, 3)
    version = own.request("GET", "/status").json["loop"]["publishedModelVersion"]
    assert delete(own).status == 204
    assert (counters(own)["ranked"], counters(own)["learned"]) == (before["ranked"], 3)
    assert own.request("GET", "/status").json["loop"]["publishedModelVersion"] == version
    rank(own, eventId="after")
    reward(own, "after")
    learned(own, 4)
    refused(receipt(own, "e1"), 404, "ResourceNotFound", naming="the log was deleted at", target="eventId")
    assert receipt(own, "after").json["decisions"][0]["fate"] == "learned"


@ON_ONE_HOST
@pytest.mark.slow
def test_two_processes_under_traffic_lose_nothing_that_the_deleting_one_acknowledges_later(host, own):
    """Both rank all the time while a trainer runs; the log is deleted twice through one of them."""
    with another_process(own.app, host) as process:
        one, other = own, own.at(process)
        step = 0
        acknowledged: list[tuple[int, OwnLoop, str]] = []
        is_over = threading.Event()

        def traffic(app: OwnLoop, name: str) -> None:
            number = 0
            while not is_over.is_set():
                begun, event_id = step, f"{name}{number}"
                if rank(app, eventId=event_id).status == 201:
                    acknowledged.append((begun, app, event_id))
                number += 1
                time.sleep(0.01)

        threads = [threading.Thread(target=traffic, args=each) for each in ((one, "a"), (one, "b"), (other, "c"))]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(1.5)
            one.request("POST", "/admin/functions/train")
            assert delete(one).status == 204
            step += 1
        other.request("POST", "/admin/functions/train")
        time.sleep(1.0)  # more than the other needs to hear of it
        heard = step = step + 1
        time.sleep(0.5)
        is_over.set()
        for thread in threads:
            thread.join()
        mine = [event_id for begun, app, event_id in acknowledged if begun >= 2 and app is one]
        both = [event_id for begun, _, event_id in acknowledged if begun >= heard]
        old = [event_id for begun, app, event_id in acknowledged if begun == 0 and app is one]
        assert min(len(mine), len(both), len(old)) > 5
        assert not [event_id for event_id in {*mine, *both} if receipt(one, event_id).status != 200]
        assert receipt(one, old[0]).status == receipt(other, old[0]).status == 404
        until = time.monotonic() + PATIENCE
        while (found := counters(other))["pending"]:
            assert time.monotonic() < until
            one.request("POST", "/admin/functions/train")
        assert found["ranked"] == found["learned"] + sum(found["skipped"].values())
        assert found["ranked"] <= len(acknowledged)
        assert found["learned"] >= len({*mine, *both})


def test_batches_of_every_version_are_stored_and_learned(own):
    for version in UPLOADING:
        ids = [f"{version}-{number}" for number in range(5)]
        assert upload(own, "interactions", *map(interaction, ids), version=version).status == 204
        answer = upload(own, "observations", {"eventId": ids[1], "value": 0.5}, {"eventId": ids[2], "value": 1}, version=version)
        assert (answer.status, answer.body) == (204, b"")
    assert learned(own, 5 * len(UPLOADING))["rewards"] == 2 * len(UPLOADING)
    for version in UPLOADING:
        found = receipt(own, f"{version}-1").json["decisions"][0]
        assert (found["reward"], found["rewardActionId"], found["probability"], found["modelVersion"]) == (0.5, "b", 0.25, "local-1")


@pytest.mark.parametrize("what", ["interactions", "observations"])
@pytest.mark.parametrize("version", VERSIONS[:2])
def test_versions_that_had_no_batches_have_none(quiet, what, version):
    refused(upload(quiet, what, {}, version=version), 404, "ResourceNotFound", naming="not part of API version")


@pytest.mark.parametrize("what", ["interactions", "observations"])
@pytest.mark.parametrize("sent", ["application/octet-stream", "application/json"])
def test_binary_batches_are_refused_with_a_word_on_what_is_read(quiet, what, sent):
    answer = upload(quiet, what, {"eventId": "e1"}, headers={"Content-Type": sent})
    refused(answer, 415, "InvalidRequest", naming="application/x-ndjson", target="Content-Type")


def test_a_batch_with_one_bad_line_is_refused_whole(app):
    before = counters(app)
    refused(
        upload(app, "interactions", interaction("good"), interaction("bad", rewardActionId="z")),
        400,
        "InvalidRankRequest",
        naming="line 2: rewardActionId",
        target="line 2: rewardActionId",
    )
    refused(
        upload(app, "observations", {"eventId": "e1", "value": 1}, {"eventId": "e2", "value": 7}),
        400,
        "InvalidRewardRequest",
        naming="line 2: value",
        target="line 2: value",
    )
    assert counters(app) == before


@pytest.mark.parametrize("what", ["interactions", "observations"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\n\n", 400),
        (b"nonsense", 400),
        (b"\x00\x01\x02\xff" * 50, 400),
        (b"[" * 100_000, 400),
        (b'{"eventId": "e"}\n' * 1_001, 400),
        (b'{"eventId": "e", "actions": ' + b"[" * 500_000, 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
    ids=["empty", "no lines", "no JSON", "binary", "deep", "many lines", "deeper", "too long"],
)
def test_hostile_batches_are_refused(quiet, what, body, status):
    answer = quiet.request("POST", path(f"logs/{what}", version=VERSIONS[3]), body, headers=LINES)
    assert answer.status == status, answer.body
    assert answer.json["error"]["code"] in ("InvalidRequest", "PayloadSizeExceeded", "InvalidRankRequest", "InvalidRewardRequest")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_receipt_tells_what_waits(app, version):
    event_id = f"receipt {version} / ü"
    rank(app, eventId=event_id, deferActivation=True)
    reward(app, event_id, 0.5)
    activate(app, event_id)
    found = receipt(app, event_id, version=version)
    assert found.status == 200
    (decision,) = found.json["decisions"]
    assert found.json["eventId"] == event_id
    assert (decision["fate"], decision["deferActivation"], "activatedAt" in decision) == ("pending", True, True)
    assert decision["pendingUntil"] > decision["rankedAt"]
    assert [(each["value"], each["outcome"]) for each in decision["rewards"]] == [(0.5, "pending")]
    assert found.json["searched"]["isCut"] is False
    assert sum(each["probability"] for each in decision["actions"]) == pytest.approx(1.0)
    (shown,) = [each for each in decision["actions"] if each["isChosen"]]
    assert (shown["id"], shown["probability"]) == (decision["rewardActionId"], decision["probability"])
    assert [each["features"] for each in decision["actions"]] == [each["features"] for each in actions()]


def test_an_unknown_event_has_no_receipt(app):
    refused(receipt(app, "never ranked"), 404, "ResourceNotFound", naming="was not found in the log from", target="eventId")


@pytest.mark.parametrize("hint", ["2026", "now", "2026-13-01", "1e9"])
def test_a_hint_that_is_no_time_is_refused(app, hint):
    refused(receipt(app, "e1", around=hint), 400, "InvalidRequest", naming="around", target="around")


@pytest.mark.parametrize("hint", ["0001-01-01", "9999-12-31T23:59:59Z", "2020-01-01T00:00:00-12:00"])
def test_a_hint_of_any_time_is_answered(app, hint):
    refused(receipt(app, "e1 at no time", around=hint), 404, "ResourceNotFound", naming="was not found", target="eventId")


def test_an_event_id_that_cannot_be_one_has_no_receipt(app):
    refused(receipt(app, "e" * 257), 400, "InvalidRequest", naming="at most 256", target="eventId")


@pytest.mark.parametrize(
    ("method", "place"),
    [("GET", "logs/properties"), ("DELETE", "logs"), ("POST", "logs/interactions"), ("POST", "logs/observations"), ("GET", "events/e1")],
)
def test_nothing_of_the_log_is_there_without_a_key(quiet, method, place):
    refused(quiet.request(method, path(place, version=VERSIONS[3]), keyed=False), 401, "401", naming="Access denied")


def test_other_methods_are_told_which_to_use(quiet):
    answer = quiet.request("GET", path("logs"))
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE")


@ON_ONE_HOST
def test_a_mirror_that_the_configuration_names_gets_what_was_learned(new_account, host):
    """It may lie on this machine since the app's own storage is an emulator there."""
    owners = new_account()
    with (
        BlobServiceClient.from_connection_string(owners) as service,
        RunningApp(new_account(), kind=host, settings=SETTINGS) as app,
        own_loop(app, **WAIT) as own,
    ):
        copies = service.create_container("copies")
        configured = path("configurations/service")
        settings = own.request("GET", configured).json
        mirror = {"logMirrorEnabled": True, "logMirrorSasUri": signed(owners, "copies")}
        assert own.request("PUT", configured, settings | mirror).status == 200
        rank(own, eventId="mirrored")
        learned(own, 1)
        assert own.request("POST", "/admin/functions/mirror").status in (200, 202)
        until = time.monotonic() + PATIENCE
        while not (names := list(copies.list_blob_names())):
            assert time.monotonic() < until, own.logs
            time.sleep(0.2)
        (line,) = copies.download_blob(names[0]).readall().splitlines()
        assert orjson.loads(line)["EventId"] == "mirrored"
        assert "sig=" not in own.logs


def test_beside_a_store_in_a_folder_no_mirror_is_on_this_machine(quiet):
    place = path("configurations/service")
    settings = quiet.request("GET", place).json | {
        "logMirrorEnabled": True,
        "logMirrorSasUri": "http://127.0.0.1:10000/x/copies?sp=w&sr=c&sig=s",
    }
    refused(quiet.request("PUT", place, settings), 400, "InvalidContainer", naming="must begin with https:", target="logMirrorSasUri")


def test_a_mirror_elsewhere_is_refused_by_each_versions_name(quiet):
    for version in VERSIONS:
        place = path("configurations/service", version=version)
        settings = quiet.request("GET", place).json | {"logMirrorEnabled": True, "logMirrorSasUri": "https://169.254.169.254/x?sp=w&sig=s"}
        code = "InvalidSasUri" if version == VERSIONS[-1] else "InvalidContainer"
        refused(quiet.request("PUT", place, settings), 400, code, naming="host of Azure Blob storage", target="logMirrorSasUri")


# --- the log in pieces ---------------------------------------------------------------------------------------------------


def test_the_log_comes_as_lines_and_as_a_table(own):
    for number in range(3):
        rank(own, eventId=f"e{number}")
        reward(own, f"e{number}", float(number == 1))
    learned(own, 3)
    answer = own.request("GET", "/log/lines")
    assert (answer.status, answer.headers["content-type"], answer.headers["x-personalizer-events"]) == (200, "application/x-ndjson", "3")
    assert "x-personalizer-next" not in answer.headers
    found = [orjson.loads(line) for line in answer.body.splitlines()]
    assert {each["EventId"] for each in found} == {"e0", "e1", "e2"}
    table = own.request("GET", "/log/lines?format=CSV")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert {row["event_id"]: float(row["reward"]) for row in rows} == {"e0": 0.0, "e1": 1.0, "e2": 0.0}
    assert own.request("GET", "/log/lines?until=2020-01-01").body == b""


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("format=parquet", "format"),
        ("spreadsheet=perhaps", "spreadsheet"),
        ("since=x", "since"),
        ("since=2026-01-02&until=2026-01-01", "until"),
        ("cursor=x", "cursor"),
    ],
)
def test_lines_that_make_no_sense_are_refused(quiet, query, target):
    refused(quiet.request("GET", f"/log/lines?{query}"), 400, "InvalidRequest", target=target)


def test_a_part_of_the_log_that_is_gone_is_not_found(quiet):
    refused(quiet.request("GET", "/log/lines?cursor=a:1"), 404, "ResourceNotFound", naming="begin the download again")
