"""Analyses on Blob storage: read back as they were, listed without being opened, replaced only by who has seen the newest."""

import logging
from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, NewerFormatError, StorageUnavailableError, UnreadableError
from shared.domain.evaluation import (
    Bucket,
    Estimate,
    Evaluation,
    EvaluationKind,
    FeatureImportance,
    FeatureScore,
    Job,
    JobStatus,
    Listed,
    Point,
    PolicyResult,
    PolicySource,
    Series,
    Sums,
    Window,
)
from shared.domain.loop import LearningPolicy
from shared.storage import names
from shared.storage.evaluation_store import evaluation_store, importance_store
from shared.storage.files import Files
from tests.builders import T0, after

WIDE = "\x01" * 256
"""What takes the most room that an id or a name of 256 characters can take in JSON."""


def evaluation(job_id: str = "e1", *, created: float = 0, name: str = "first") -> Evaluation:
    return Evaluation(Job(job_id, name, T0, after(3600), after(created)), LearningPolicy("default", "--cb_explore_adf"))


def finished(job_id: str = "e1") -> Evaluation:
    estimate, sums = Estimate(0.5, -0.125, 1.0625), Sums(22.2, 1906.0, 1993.761, 2.484, 68.0)
    points = tuple(Point(after(300 * n), replace(estimate, expected_reward=n / 7)) for n in range(500))
    result = PolicyResult(
        "online",
        "--cb_explore_adf",
        PolicySource.ONLINE,
        "top",
        estimate,
        sums,
        (Bucket(T0, sums, estimate),),
        (Series(Window.EXPANDING, 5, points), Series(Window.ROLLING, 1440, points[:1])),
    )
    job = replace(evaluation(job_id).job, status=JobStatus.SUCCEEDED, description="all went well", request_id="r1")
    policies = (LearningPolicy("mine", "--cb_explore_adf --softmax"),)
    return replace(
        evaluation(job_id),
        job=job,
        policies=policies,
        seeks_better=True,
        kind=EvaluationKind.AUTO,
        optimal_policy="mine",
        results=(result, PolicyResult("random", "", PolicySource.RANDOM)),
        important=(("user.age", "user.name"), ("topic",)),
    )


@pytest.fixture
def store(account):
    return evaluation_store(account, loop="default")


@pytest.fixture
def files(account):
    return Files(account, names.MODELS)


async def test_what_was_stored_is_read_back_to_the_last_figure(store):
    await store.create(finished())
    kept, _ = await store.read("e1")
    assert kept == finished()


async def test_a_feature_importance_is_read_back_too(account):
    store = importance_store(account, loop="default")
    importance = FeatureImportance(evaluation().job, (FeatureScore("user", "age", 1.0), FeatureScore("", "x", 0.1)))
    await store.create(importance)
    stored = await store.read("e1")
    assert stored is not None
    assert stored[0] == importance
    assert await store.listed() == [Listed(importance.job)]


async def test_an_empty_store_has_nothing(store):
    assert await store.read("e1") is None
    assert await store.listed() == []
    assert not await store.delete("e1")


@pytest.mark.parametrize("job_id", ["a/b", "../up", "A", "ä ö", "x" * 256, "🙂" * 256, WIDE, "%2F?#", " "], ids=ascii)
async def test_any_text_can_be_an_id(store, job_id):
    await store.create(evaluation(job_id, name=WIDE))
    assert (await store.read(job_id))[0].job.id == job_id
    assert [each.job.id for each in await store.listed()] == [job_id]
    assert await store.delete(job_id)
    assert await store.read(job_id) is None


async def test_ids_that_differ_in_case_only_are_different(store):
    for job_id in ("a", "A"):
        await store.create(evaluation(job_id))
    assert {each.job.id for each in await store.listed()} == {"a", "A"}


async def test_another_one_of_the_same_id_is_refused_and_changes_nothing(store):
    await store.create(evaluation())
    with pytest.raises(ConflictError):
        await store.create(evaluation(name="second"))
    assert (await store.read("e1"))[0].job.name == "first"


async def test_writing_the_same_again_changes_nothing(store):
    await store.create(evaluation())
    _, etag = await store.read("e1")
    await store.create(evaluation())
    assert (await store.read("e1"))[1] == etag


async def test_only_who_has_seen_the_newest_may_replace_it(store):
    await store.create(evaluation())
    _, first = await store.read("e1")
    second = await store.replace(finished(), expected=first)
    with pytest.raises(ConflictError):
        await store.replace(evaluation(name="late"), expected=first)
    assert await store.read("e1") == (finished(), second)


async def test_what_was_deleted_is_not_brought_back_by_a_late_result(store):
    await store.create(evaluation())
    _, etag = await store.read("e1")
    await store.delete("e1")
    with pytest.raises((ConflictError, StorageUnavailableError)):
        await store.replace(finished(), expected=etag)
    assert await store.read("e1") is None


async def test_a_listing_has_the_newest_first_and_says_how_far_they_are(store):
    for number in (1, 0, 2):
        await store.create(evaluation(f"e{number}", created=number))
    _, etag = await store.read("e1")
    await store.replace(replace(finished(), job=replace(finished().job, created_at=after(1))), expected=etag)
    listed = await store.listed()
    assert [(each.job.id, each.job.status, each.kind) for each in listed] == [
        ("e2", JobStatus.NOT_SUBMITTED, EvaluationKind.MANUAL),
        ("e1", JobStatus.SUCCEEDED, EvaluationKind.AUTO),
        ("e0", JobStatus.NOT_SUBMITTED, EvaluationKind.MANUAL),
    ]


async def test_loops_and_kinds_are_apart(account, store):
    await store.create(evaluation())
    for other in (evaluation_store(account, loop="other"), importance_store(account, loop="default")):
        assert await other.read("e1") is None
        assert await other.listed() == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"format": 1}', b'{"format": "x"}', b'{"format": 1, "job": null}'])
async def test_a_damaged_file_is_said_to_be_unreadable(store, files, text):
    await files.write_once(names.evaluations_prefix("default") + names.job_file("e1"), text)
    with pytest.raises(UnreadableError):
        await store.read("e1")


async def test_a_file_of_a_later_release_says_so(store, files):
    await files.write_once(names.evaluations_prefix("default") + names.job_file("e1"), b'{"format": 2}')
    with pytest.raises(NewerFormatError):
        await store.read("e1")


@pytest.mark.parametrize("metadata", [None, {"listed": "no base64!"}, {"listed": "e30="}, {"other": "x"}])
async def test_an_entry_that_cannot_be_read_is_left_out_of_a_listing_and_logged(store, files, metadata, caplog):
    await store.create(evaluation())
    await files.write_once(names.evaluations_prefix("default") + "stray.json", b"{}", metadata=metadata)
    with caplog.at_level(logging.WARNING):
        assert [each.job.id for each in await store.listed()] == ["e1"]
    assert "left out of a listing" in caplog.text
