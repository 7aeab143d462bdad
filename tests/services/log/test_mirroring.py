"""The joined log in a container of the owner's: all of it, in order, whatever stops in between."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import BlobServiceClient

from shared.domain.errors import ConflictError, StorageUnavailableError
from shared.services.log import mirroring
from shared.services.log.mirroring import Mirrored, MirrorHealth, MirrorReport
from shared.storage import names
from shared.storage.files import Files
from shared.storage.mirror import ContainerMirror
from shared.storage.ports import Storage
from tests.processes import WAIT, Process
from tests.reliability.world import LOOP
from tests.storage_proxy import Fault, StorageProxy, no_faults
from tests.stores import NewStorage, opened

CONTAINER = "copies"


def signed(connection: str, container: str = CONTAINER, *, permits: str = "w") -> str:
    parts = dict(part.split("=", 1) for part in connection.rstrip(";").split(";"))
    signature = generate_container_sas(
        parts["AccountName"],
        container,
        account_key=parts["AccountKey"],
        permission=ContainerSasPermissions.from_string(permits),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{parts['BlobEndpoint']}/{container}?{signature}"


@pytest.fixture
async def account(account_string: str) -> AsyncIterator[Storage]:
    """The loop's own storage: an emulator, since only beside one a mirror may lie on this machine."""
    account = opened(account_string)
    yield account
    await account.close()


@pytest.fixture
def account_string(new_account: NewStorage) -> str:
    """The owner's account, which is the loop's as well."""
    return new_account()


@pytest.fixture
async def owners(account_string: str) -> AsyncIterator[BlobServiceClient]:
    async with BlobServiceClient.from_connection_string(account_string) as service:
        yield service


@pytest.fixture
async def mirrored(one: Process, owners: BlobServiceClient, account_string: str) -> Process:
    """A loop whose log is mirrored to a container of the owner's account."""
    await owners.create_container(CONTAINER)
    one.configuration.loop = replace(LOOP, log_mirror_enabled=True, log_mirror_sas_uri=signed(account_string))
    return one


async def learn(process: Process, *event_ids: str) -> None:
    for event_id in event_ids:
        await process.rank(event_id)
        process.clock.pass_(WAIT + 1)
        await process.train()


async def copies(owners: BlobServiceClient, container: str = CONTAINER) -> dict[str, bytes]:
    client = owners.get_container_client(container)
    return {blob.name: await (await client.download_blob(blob.name)).readall() async for blob in client.list_blobs()}


async def joined(process: Process) -> list[bytes]:
    return [await process.joined.chunk(name) for name in await process.joined.chain()]


async def test_every_chunk_is_copied_once_in_order_under_azures_names(mirrored, owners):
    begun = mirrored.clock.now() + timedelta(seconds=WAIT + 1)
    await learn(mirrored, "a")
    assert await mirrored.mirroring.run() == Mirrored(copied=1)
    await learn(mirrored, "b", "c")
    assert await mirrored.mirroring.run() == Mirrored(copied=2)
    assert await mirrored.mirroring.run() == Mirrored()
    found = await copies(owners)
    assert list(found) == [f"{begun:%Y%m%d%H%M%S}/data/2026/05/17_{number:010d}.json" for number in range(3)]
    assert list(found.values()) == await joined(mirrored)


async def test_what_is_not_to_be_mirrored_is_not(mirrored, owners):
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_enabled=False)
    await learn(mirrored, "a")
    assert await mirrored.mirroring.run() == Mirrored()
    assert await copies(owners) == {}


async def test_a_loop_without_a_chunk_has_nothing_to_mirror(mirrored):
    assert await mirrored.mirroring.run() == Mirrored()


@pytest.mark.parametrize("fault", [Fault(503), Fault(403), Fault(404), Fault(), Fault(307, headers={"Location": "http://127.0.0.1:1/x"})])
async def test_while_the_container_fails_training_goes_on_and_all_is_made_up_for_later(mirrored, owners, account_string, fault, caplog):
    with StorageProxy(account_string) as proxy:
        uri = signed(proxy.connection_string)
        mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=uri)
        proxy.plan = lambda call: fault
        with caplog.at_level(logging.DEBUG):
            for event_id in ("a", "b", "c"):
                await learn(mirrored, event_id)
                done = await mirrored.mirroring.run()
                assert done.copied == 0
                assert "mirror to http://127.0.0.1" in done.error
                mirrored.clock.pass_(3_600)
        assert (await mirrored.progress()).counters.learned == 3
        signature = uri.partition("sig=")[2]
        assert signature
        assert signature not in caplog.text + done.error
        proxy.plan = no_faults
        assert await mirrored.mirroring.run() == Mirrored(copied=3)
    assert list((await copies(owners)).values()) == await joined(mirrored)


async def test_a_run_that_is_stopped_after_a_file_writes_the_same_file_again(mirrored, owners, monkeypatch):
    await learn(mirrored, "a", "b")
    remember = ContainerMirror.remember

    async def stop(self, state, *, expected):
        if state.chunk:
            raise StorageUnavailableError("stopped")
        return await remember(self, state, expected=expected)

    monkeypatch.setattr(ContainerMirror, "remember", stop)
    assert (await mirrored.mirroring.run()).copied == 0
    assert len(await copies(owners)) == 1
    mirrored.clock.pass_(60)
    monkeypatch.undo()
    assert (await mirrored.mirroring.run()).copied == 2
    assert list((await copies(owners)).values()) == await joined(mirrored)


async def test_of_two_processes_at_once_one_gives_way(mirrored, monkeypatch):
    await learn(mirrored, "a")
    await mirrored.mirroring.run()
    await learn(mirrored, "b", "c")

    async def lose(self, state, *, expected):
        raise ConflictError("another was faster")

    monkeypatch.setattr(ContainerMirror, "remember", lose)
    assert await mirrored.mirroring.run() == Mirrored(0, 2, "another process is at it")


async def test_catching_up_takes_a_bounded_number_of_chunks_a_run(mirrored, owners, monkeypatch):
    monkeypatch.setattr(mirroring, "CHUNKS_A_RUN", 10)
    await learn(mirrored, *[f"e{number}" for number in range(24)])
    assert [await mirrored.mirroring.run() for _ in range(4)] == [Mirrored(10, 14), Mirrored(10, 4), Mirrored(4), Mirrored()]
    assert list((await copies(owners)).values()) == await joined(mirrored)


async def test_a_container_that_hangs_ends_the_run_in_time(mirrored, account_string, monkeypatch):
    monkeypatch.setattr(mirroring, "RUN_TIME", timedelta(seconds=1))
    await learn(mirrored, "a")
    with StorageProxy(account_string) as proxy:
        mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=signed(proxy.connection_string))
        proxy.plan = lambda call: Fault(503, delay=4)
        assert (await mirrored.mirroring.run()).error == "not one chunk could be copied in 1 seconds"


async def test_another_container_gets_all_that_is_kept_and_a_new_signature_goes_on(mirrored, owners, account_string):
    await learn(mirrored, "a", "b")
    await mirrored.mirroring.run()
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=signed(account_string, permits="cw"))
    assert await mirrored.mirroring.run() == Mirrored()
    await owners.create_container("second")
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=signed(account_string, "second"))
    assert await mirrored.mirroring.run() == Mirrored(copied=2)
    assert list((await copies(owners, "second")).values()) == await joined(mirrored)


async def test_after_a_deletion_what_is_new_is_copied_and_the_copies_stay(mirrored, owners):
    await learn(mirrored, "a")
    await mirrored.mirroring.run()
    mirrored.clock.pass_(1)
    await mirrored.logs.delete()
    assert await mirrored.mirroring.run() == Mirrored()
    await learn(mirrored, "b")
    assert await mirrored.mirroring.run() == Mirrored(copied=1)
    assert len(await copies(owners)) == 2


async def test_what_retention_deleted_before_it_was_copied_is_left_out(mirrored):
    await learn(mirrored, "a")
    mirrored.clock.pass_(10 * 86_400)
    await learn(mirrored, "b")
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_retention_days=2)
    await mirrored.retention.run()
    assert await mirrored.mirroring.run() == Mirrored(copied=1)


async def test_an_address_that_got_in_by_another_way_is_not_gone_to(mirrored):
    await learn(mirrored, "a")
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri="http://10.0.0.1/logs?sp=w&sr=c&sig=x")
    done = await mirrored.mirroring.run()
    assert "logMirrorSasUri" in done.error


# --- one that is dead --------------------------------------------------------------------------------------------------------


async def health(process: Process) -> MirrorReport:
    report = await process.mirroring.report(process.configuration.loop)
    assert report is not None
    return report


async def test_a_container_that_goes_on_failing_is_tried_ever_more_rarely_and_its_state_is_told(mirrored, account_string):
    uri = signed(account_string)
    assert await health(mirrored) == MirrorReport(MirrorHealth.WAITING)
    await learn(mirrored, "a")
    await mirrored.mirroring.run()
    worked_at = mirrored.clock.now()
    assert await health(mirrored) == MirrorReport(MirrorHealth.WORKING, worked_at)
    await learn(mirrored, "b")
    tries: list[int] = []
    with StorageProxy(account_string) as proxy:
        proxy.plan = lambda call: Fault(403)
        mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=signed(proxy.connection_string))
        for minute in range(40):
            if (await mirrored.mirroring.run()).error:
                tries.append(minute)
            mirrored.clock.pass_(60)
    assert tries == [0, 1, 2, 4, 8, 16, 32]
    report = await health(mirrored)
    assert report.health is MirrorHealth.FAILING
    assert "mirror to" in report.error
    assert report.next_try_at is not None
    assert report.next_try_at > mirrored.clock.now()
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=uri)
    assert await mirrored.mirroring.run() == Mirrored(copied=2), "another address is tried at once, and this one gets all"
    assert await health(mirrored) == MirrorReport(MirrorHealth.WORKING, mirrored.clock.now())


async def test_with_a_signature_that_is_over_nobody_is_called_and_the_state_says_so(mirrored):
    await learn(mirrored, "a")
    expired = "https://nobody.blob.core.windows.net/logs?sp=w&sr=c&se=2020-08-13T00%3A00Z&sig=x"
    mirrored.configuration.loop = replace(mirrored.configuration.loop, log_mirror_sas_uri=expired)
    done = await mirrored.mirroring.run()
    report = await health(mirrored)
    assert (report.health, report.error) == (MirrorHealth.EXPIRED, done.error)
    assert "expired at 2020-08-13T00:00:00Z" in done.error


async def test_a_state_of_an_earlier_release_is_gone_on_with(mirrored, owners):
    await learn(mirrored, "a")
    await mirrored.mirroring.run()
    files = Files(mirrored.account, names.MODELS)
    path = names.mirror_file(LOOP.name)
    file = await files.read(path)
    assert file is not None
    old = {
        name: value for name, value in orjson.loads(file.data).items() if name in ("format", "target", "begun", "chunk", "day", "number")
    }
    await files.replace(path, orjson.dumps(old), expected=file.etag)
    assert await health(mirrored) == MirrorReport(MirrorHealth.WORKING)
    await learn(mirrored, "b")
    assert await mirrored.mirroring.run() == Mirrored(copied=1)
    assert list((await copies(owners)).values()) == await joined(mirrored)
