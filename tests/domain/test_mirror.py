"""Which addresses the log may be mirrored to: containers of Azure Storage, to be written to, and nothing else."""

from datetime import UTC, datetime

import pytest

from shared.domain.errors import InvalidSasUriError
from shared.domain.mirror import MAX_LENGTH, MirrorState, read_target

SIGNED = "sv=2024-11-04&sp=rcw&sr=c&se=2030-01-01T00%3A00%3A00Z&sig=c2lnbmF0dXJl%3D"
HOST = "https://mine123.blob.core.windows.net"


@pytest.mark.parametrize(
    "uri",
    [
        f"{HOST}/logs?{SIGNED}",
        f"{HOST}/logs/?{SIGNED}",
        f"{HOST}:443/a-b-c?{SIGNED}",
        f"https://mine123.z12.blob.storage.azure.net/logs?{SIGNED}",
        f"https://mine123.blob.core.usgovcloudapi.net/logs?{SIGNED}",
        f"https://mine123.blob.core.chinacloudapi.cn/$root?{SIGNED}",
        f"{HOST}/logs?sv=2024-11-04&si=policy&sr=c&sig=c2ln",
    ],
)
def test_a_signed_container_of_azure_storage_is_accepted(uri):
    target = read_target(uri, loopback=False)
    assert target.uri == uri
    assert "sig" not in str(target) + repr(target)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "must begin with https"),
        ("logs", "must begin with https"),
        (f"http://mine123.blob.core.windows.net/logs?{SIGNED}", "must begin with https"),
        (f"ftp://mine123.blob.core.windows.net/logs?{SIGNED}", "must begin with https"),
        (f"file:///etc/passwd?{SIGNED}", "must begin with https"),
        (f"https://169.254.169.254/metadata?{SIGNED}", "host of Azure Blob storage"),
        (f"https://localhost/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://127.0.0.1/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://[::1]/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://internal/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://evil.example/mine123.blob.core.windows.net?{SIGNED}", "host of Azure Blob storage"),
        (f"https://mine123.blob.core.windows.net.evil.example/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://mine123-blob.core.windows.net/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://a.b.blob.core.windows.net/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://mine123.table.core.windows.net/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"{HOST}:8443/logs?{SIGNED}", "host of Azure Blob storage"),
        (f"https://mine123.blob.core.windows.net@evil.example/logs?{SIGNED}", "neither a user nor a fragment"),
        (f"https://user:pass@mine123.blob.core.windows.net/logs?{SIGNED}", "neither a user nor a fragment"),
        (f"{HOST}/logs?{SIGNED}#part", "neither a user nor a fragment"),
        (f"{HOST}:99999/logs?{SIGNED}", "is not an address"),
        (f"https://[mine/logs?{SIGNED}", "is not an address"),
        (f"{HOST}/lo gs?{SIGNED}", "is not an address"),
        (f"{HOST}/logs\n?{SIGNED}", "is not an address"),
        (f"https://mïne.blob.core.windows.net/logs?{SIGNED}", "is not an address"),
        (f"{HOST}/?{SIGNED}", "must name a container"),
        (f"{HOST}/logs/folder?{SIGNED}", "must name a container"),
        (f"{HOST}/Logs?{SIGNED}", "must name a container"),
        (f"{HOST}/lo--gs?{SIGNED}", "must name a container"),
        (f"{HOST}/../logs?{SIGNED}", "must name a container"),
        (f"{HOST}/lo%67s?{SIGNED}", "must name a container"),
        (f"{HOST}/logs", "no shared access signature"),
        (f"{HOST}/logs?sp=w&sr=c&sig=", "no shared access signature"),
        (f"{HOST}/logs?sp=rl&sr=c&sig=abc", "does not permit writing"),
        (f"{HOST}/logs?sr=c&sig=abc", "does not permit writing"),
        (f"{HOST}/logs?sp=w&sr=b&sig=abc", "signed for the container"),
        (f"{HOST}/logs?sp=w&sp=r&sr=c&sig=abc", "a parameter twice"),
        (f"{HOST}/logs?{SIGNED}&x={'y' * MAX_LENGTH}", "more than 2048 characters"),
    ],
)
@pytest.mark.parametrize("loopback", [False, True], ids=["in the cloud", "beside an emulator"])
def test_any_other_address_is_refused_and_the_signature_is_not_told(uri, reason, loopback):
    if loopback and ("localhost" in uri or "127.0.0.1" in uri or "::1" in uri):
        reason = "must name a container"
    with pytest.raises(InvalidSasUriError, match=reason) as refused:
        read_target(uri, loopback=loopback)
    assert refused.value.target == "logMirrorSasUri"
    assert "c2lnbmF0dXJl" not in str(refused.value)


def test_an_emulator_on_the_same_machine_is_accepted_only_where_the_service_has_one_itself():
    uri = f"http://127.0.0.1:10000/devstoreaccount1/logs?{SIGNED}"
    assert str(read_target(uri, loopback=True)) == "http://127.0.0.1:10000/devstoreaccount1/logs"
    with pytest.raises(InvalidSasUriError):
        read_target(uri, loopback=False)
    with pytest.raises(InvalidSasUriError):
        read_target(f"http://10.0.0.1:10000/devstoreaccount1/logs?{SIGNED}", loopback=True)


def test_files_are_numbered_by_day_from_zero():
    state = MirrorState("target", datetime(2026, 5, 17, 8, 30, 5, tzinfo=UTC))
    files = []
    for chunk, day in [("a", "2026/05/17"), ("b", "2026/05/17"), ("c", "2026/05/18")]:
        state = state.after(chunk, day)
        files.append(state.file)
    assert files == [
        "20260517083005/data/2026/05/17_0000000000.json",
        "20260517083005/data/2026/05/17_0000000001.json",
        "20260517083005/data/2026/05/18_0000000000.json",
    ]
    assert state.chunk == "c"
