"""The model over HTTP: out, in, away, and back to an earlier version, seen by every process."""

import time
import zipfile
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any

import pytest

from shared.api.model_archive import LARGEST_ARCHIVE
from tests.http.building import ON_ONE_HOST, QUERY_VERSION, VERSIONS, path, probabilities, rank, refused, reward
from tests.http.own_loops import QUICK, OwnLoop, another_process, own_loop
from tests.patience import PATIENCE
from tests.running import Answer, Asked

LATEST = "v1.1-preview.3"


@pytest.fixture
def learning(shared) -> Iterator[OwnLoop]:
    with own_loop(shared, **QUICK, explorationPercentage=0.3) as loop:
        yield loop


def model(app: Asked, method: str = "GET", rest: str = "", body: object = None, *, version: str = LATEST, query: str = "") -> Answer:
    address = path(f"model{rest}", version=version)
    return app.request(method, address + (f"{'&' if '?' in address else '?'}{query}" if query else ""), body)


def status(app: Asked) -> Any:
    return app.request("GET", "/status").json["loop"]


def until(app: Asked, holds) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not holds(found := status(app)):
        assert time.monotonic() < deadline, (found, app.logs[-3000:])
        time.sleep(0.1)
    return found


def learn(app: Asked, name: str, *, events: int = 12) -> str:
    """Have the app learn some events of which action a is the best; gives the model that it serves then."""
    before = status(app)["counters"]["learned"]
    for number in range(events):
        answer = rank(app, "a", "b", eventId=f"{name}-{number}")
        reward(app, f"{name}-{number}", 1.0 if answer.json["rewardActionId"] == "a" else 0.0)
    deadline = time.monotonic() + PATIENCE
    while status(app)["counters"]["learned"] < before + events:
        assert time.monotonic() < deadline, app.logs[-3000:]
        app.request("POST", "/admin/functions/train")
        time.sleep(0.3)
    return str(until(app, lambda loop: loop["modelVersion"] == loop["publishedModelVersion"])["modelVersion"])


def served(app: Asked, version: str | None) -> None:
    until(app, lambda loop: loop["modelVersion"] == version)


def asked(app: Asked) -> Any:
    """What the app gives each action for the same question: which one is drawn differs from event to event."""
    return sorted(probabilities(rank(app, "a", "b")))


def test_a_model_goes_out_away_and_back_and_answers_as_before(learning):
    learn(learning, "first")
    answers, properties = asked(learning), model(learning, rest="/properties").json
    archive = model(learning, query="signed=true").body
    unsigned = model(learning)

    assert model(learning, "DELETE").status == 204
    served(learning, None)
    assert asked(learning) != answers
    counters = status(learning)["counters"]

    sent = model(learning, "PUT", body=archive)
    assert (sent.status, sent.body) == (204, b"")
    until(learning, lambda loop: loop["modelVersion"] is not None)
    assert asked(learning) == answers
    assert model(learning).body == unsigned.body
    assert model(learning, query="signed=true").body == archive
    assert status(learning)["counters"]["learned"] == counters["learned"]
    assert model(learning, rest="/properties").json != properties
    learn(learning, "second")
    assert model(learning).body != unsigned.body


def test_the_status_tells_how_many_events_the_model_that_is_published_learned(learning):
    learn(learning, "before")
    known = status(learning)
    assert known["publishedModelLearned"] >= 12
    assert model(learning, "DELETE").status == 204
    gone = status(learning)
    assert (gone["publishedModelVersion"], gone["publishedModelLearned"], gone["counters"]) == (None, 0, known["counters"])
    learn(learning, "after", events=3)
    again = status(learning)
    assert again["publishedModelLearned"] == 3
    assert again["counters"]["learned"] == known["counters"]["learned"] + 3


def test_the_answers_have_the_names_and_headers_of_files(learning):
    learn(learning, "first")
    unsigned, signed = model(learning), model(learning, query="signed=True")
    assert (unsigned.status, signed.status) == (200, 200)
    assert unsigned.headers["content-disposition"] == "attachment; filename=model.vw"
    assert signed.headers["content-disposition"] == "attachment; filename=model.vw.zip"
    published = datetime.fromisoformat(model(learning, rest="/properties").json["lastModifiedTime"])
    for answer in (unsigned, signed):
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert parsedate_to_datetime(answer.headers["last-modified"]) == published.replace(microsecond=0)
    with zipfile.ZipFile(BytesIO(signed.body)) as archive:
        assert archive.namelist() == ["model.vw", "signer.der", "sha512_signature.bin"]
        assert archive.read("model.vw") == unsigned.body
        assert len(archive.read("sha512_signature.bin")) == 256
    assert b"PRIVATE" not in signed.body
    assert "PRIVATE" not in learning.logs


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_hands_out_a_model_and_its_times_and_has_none_before_the_first(quiet, version):
    assert model(quiet, version=version).status == 200
    assert model(quiet, version=version).headers.get("last-modified") is None
    assert model(quiet, rest="/properties", version=version).json == dict.fromkeys(
        ("creationTime", "lastModifiedTime"), "0001-01-01T00:00:00+00:00"
    )
    assert model(quiet, rest="/versions", version=version).json == {"value": []}
    assert model(quiet, "DELETE", version=version).status == 204


@pytest.mark.parametrize("version", VERSIONS)
def test_models_are_brought_back_from_the_version_on_that_has_it(quiet, version):
    answer = model(quiet, "PUT", body=b"nonsense", version=version)
    if version in (LATEST, QUERY_VERSION):
        refused(answer, 400, "InvalidModelImportFormat", naming="zip")
    else:
        assert answer.status in (404, 405)


def test_what_is_sent_instead_of_a_model_is_refused_by_name(quiet):
    archive = model(quiet, query="signed=true").body
    refused(model(quiet, "PUT", body=b""), 400, "InvalidModelImportFormat", naming="no body")
    refused(model(quiet, "PUT", body=model(quiet).body), 400, "InvalidModelImportFormat", naming="members")
    forged = archive.replace(b"\x00" * 8, b"\x00" * 7 + b"\x01", 1)
    assert model(quiet, "PUT", body=forged).json["error"]["code"] in ("InvalidModelImportFormat", "InvalidModelImportSignature")
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    rezipped = BytesIO()
    with zipfile.ZipFile(rezipped, "w") as writing:
        for name, content in (parts | {"model.vw": parts["model.vw"] + b"x"}).items():
            writing.writestr(name, content)
    refused(model(quiet, "PUT", body=rezipped.getvalue()), 400, "InvalidModelImportSignature", naming="signature")
    refused(model(quiet, query="signed=maybe"), 400, "InvalidRequest", naming="signed", target="signed")
    assert status(quiet)["modelVersion"] is None


def test_an_archive_beyond_the_limit_is_too_large(quiet):
    refused(model(quiet, "PUT", body=bytes(LARGEST_ARCHIVE + 1)), 413, "PayloadSizeExceeded", naming=str(LARGEST_ARCHIVE))
    refused(model(quiet, "PUT", body=bytes(2 * 1024 * 1024)), 400, "InvalidModelImportFormat", naming="zip")


def test_nothing_of_the_model_is_shown_or_changed_without_a_key(quiet):
    others = [("GET", "/properties"), ("GET", "/versions"), ("POST", "/versions/a/restore")]
    for method, rest in [("GET", ""), ("PUT", ""), ("DELETE", ""), *others]:
        answer = quiet.request(method, path(f"model{rest}", version=LATEST), keyed=False)
        refused(answer, 401, "401", naming="key")


@ON_ONE_HOST
def test_an_earlier_version_is_restored_and_served_by_another_process_within_a_poll(learning, host):
    first = learn(learning, "first")
    then = asked(learning)
    second = learn(learning, "second", events=30)
    with another_process(learning.app, host) as process:
        other = learning.at(process)
        served(other, second)
        told = model(learning, rest="/versions").json["value"]
        assert [each["version"] for each in told if each["isServed"]] == [second]
        assert {each["kind"] for each in told} == {"trained"}
        assert told[0]["window"].keys() == {"since", "until"}
        assert first in [each["version"] for each in told]

        answer = model(learning, "POST", f"/versions/{first}/restore")
        assert (answer.status, answer.json["kind"], answer.json["parent"], answer.json["isServed"]) == (200, "restored", first, True)
        for app in (learning, other):
            served(app, answer.json["version"])
            assert asked(app) == then
        assert model(other, rest="/versions").json["value"][0] == answer.json
    refused(model(learning, "POST", "/versions/nobody/restore"), 404, "ResourceNotFound", naming="nobody", target="version")
