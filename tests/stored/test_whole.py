"""The whole storage of a release, put into an empty account and opened by today's app."""

from io import BytesIO
from zipfile import ZipFile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from shared.domain.loop import Tier
from shared.services.serving.allowance import PORTION
from shared.storage.cold_log import FileColdLog
from shared.storage.loop_store import FileUsage
from shared.storage.mirror import ContainerMirror
from tests.stored.account import blob
from tests.stored.asking import answers, differences, of_what_is_chosen, of_what_is_summed, of_what_went_on, without_digests
from tests.stored.calls import place, said, under

pytestmark = pytest.mark.long


async def status(opened, loop, key):
    return (await opened.app.call("GET", place(loop, "configurations/policy"), key=key)).status


async def test_keys_open_what_they_opened_and_no_others_do(read):
    known = read.release.known()
    for loop, keys in known["keys"].items():
        assert [await status(read, loop, key) for key in keys] == [200, 200], loop
        assert (await read.app.call("GET", under(loop, "status"), key=keys[1])).status == 200
    for loop, keys in known["refused"].items():
        statuses = {await status(read, loop, key) for key in keys}
        assert statuses <= {401, 404}, loop  # 404 to who had a key of a loop that ended
    assert (await read.app.call("GET", "loops", key=known["admin"])).status == 200


async def test_everything_says_what_it_said(read):
    known = read.release.known()
    said_now = await answers(read.deployment, read.app, known["keys"], known["events"])
    assert not of_what_is_summed(differences(read.release.read("said"), said_now))


async def test_loops_that_ended_are_not_there_and_may_be_made_again(opened):
    known = opened.release.known()
    found = said(await opened.app.call("GET", "loops", key=known["admin"]))
    assert {each["name"] for each in found["value"]} == known["keys"].keys()
    gone = known["refused"].keys() - known["keys"].keys()
    assert gone
    for loop in gone:
        assert await status(opened, loop, known["refused"][loop][0]) == 404
        made = said(await opened.app.call("PUT", f"loops/{loop}", {"tier": "S0"}, key=known["admin"]))
        assert await status(opened, loop, made["keys"][0]) == 200


def test_what_was_waiting_is_learned_with_its_rewards_and_all_comes_out_as_it_did(release, later):
    assert not of_what_went_on(differences(without_digests(release.read("said-later")), without_digests(later.said)))
    before = release.read("said")
    for loop, now in later.said.items():
        counters = now["status"]["loop"]["counters"]
        assert (counters["pending"], counters["ranked"]) == (0, before[loop]["status"]["loop"]["counters"]["ranked"])


def test_an_evaluation_that_was_on_its_way_is_over_and_tells_each_lift_from_all_of_its_rounds(later):
    """Its first half was summed without pairs. So its lifts come from the intervals of both policies, not from pairs of its second half."""
    over = {each["id"]: each["status"] for each in later.said["default"]["evaluations"]["value"]}
    assert over.keys() >= {"underway", "asked-for"}
    assert {over[each] for each in ("underway", "asked-for")} == {"Succeeded"}
    ids = [each["id"] for each in later.said["default"]["evaluations"]["value"]]
    reports = dict(zip(ids, later.said["default"]["reports"], strict=True))
    for job_id, has_pairs in (("underway", False), ("asked-for", True)):
        lifts = [lift for each in reports[job_id]["value"] for lift in each["lifts"].values()]
        assert lifts
        assert {"differingShare" in lift for lift in lifts} == {has_pairs}, job_id
        for lift in lifts:
            low, high = lift["confidenceInterval"]
            assert low <= lift["value"] <= high


def test_the_models_that_are_gone_on_from_are_those_that_were_published(release, later):
    before = {loop: each["status"]["loop"].get("publishedModelVersion") for loop, each in release.read("said").items()}
    for loop in ("default", "pages", "imitating", "observing", "cleared", "free"):
        newest, *older = later.said[loop]["models"]["value"]
        assert newest["parent"] == older[0]["version"]
        assert before[loop] in {each["version"] for each in older}  # the first of them, unless a beginning anew was waiting


def test_the_same_event_is_ranked_nearly_as_it_was(release, later):
    found = differences(release.read("ranked-later"), later.ranked, within=0.05)
    assert not of_what_is_chosen(of_what_went_on(found))


async def test_it_is_worked_with_as_ever(opened):
    """A model signed by the key of then comes back; the month's count goes on; timers do no harm, and erase what ended."""
    known = opened.release.known()
    key = known["keys"]["default"][0]
    archive = (await opened.app.call("GET", place("default", "model?signed=true"), key=key)).body
    signer = blob(opened.release.folder, "signing/signer.pem")
    assert x509.load_pem_x509_certificate(signer).public_bytes(Encoding.DER) in inflated(archive)
    assert (await opened.app.call("DELETE", place("default", "model"), key=key)).status == 204
    assert (await opened.app.call("PUT", place("default", "model"), archive, key=key)).status == 204
    usage, limit = FileUsage(opened.deployment.storage, place="freex0001"), Tier.F0.monthly_ranks or 0
    assert await usage.grant("202605", wanted=limit, limit=limit) == limit - 2 * PORTION
    opened.clock.pass_(known["later"])
    for timer in ("train", "retention", "analyses"):
        await opened.app.timer(timer)
    tables = await opened.deployment.storage.rows.tables()
    assert tables
    assert not [name for name in tables if name.startswith(("gonex", "againx0001"))]
    said_now = await answers(opened.deployment, opened.app, known["keys"], {})
    assert {each["status"]["apiStatus"] for each in said_now.values()} == {"Valid"}
    assert {each["status"]["loop"]["counters"]["pending"] for each in said_now.values()} == {0}


async def test_the_mirror_goes_on_behind_what_was_copied(read):
    found = await ContainerMirror(read.deployment.storage, loop="default").state()
    assert found is not None
    assert (found[0].number, found[0].chunk) == (1, (await FileColdLog(read.deployment.storage, loop="default").chain())[1])


def inflated(archive: bytes) -> list[bytes]:
    with ZipFile(BytesIO(archive)) as opened_archive:
        return [opened_archive.read(name) for name in opened_archive.namelist()]
