"""HTTPS on this machine: what is made, what it is for, and what becomes of it."""

import datetime
import http.client
import ipaddress
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from local import tls
from local.__main__ import check_exposure, parse_options
from local.backend import HttpReply
from local.banner import banner
from local.front import without_pinning
from local.listening import Place
from local.processes import LocalError
from local.tls import certificate
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("home"))


def answered(made, name: str, trusted: Path) -> bytes:
    """Say hello to a server that has the certificate, as one that knows it by this name."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(made.chain, made.key)
    client_context = ssl.create_default_context(cafile=str(trusted))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server_context.wrap_socket(theirs, server_side=True) as connection:
                connection.sendall(b"hello")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context.wrap_socket(ours, server_hostname=name) as connection:
            return connection.recv(10)
    finally:
        ours.close()
        thread.join(timeout=10)


@pytest.mark.parametrize("name", tls.NAMES)
def test_whoever_trusts_the_authority_trusts_this_machine_by_each_of_its_names(made, name):
    assert answered(made, name, made.authority) == b"hello"


def test_other_names_are_not_vouched_for(made):
    with pytest.raises(ssl.SSLCertVerificationError):
        answered(made, "example.com", made.authority)


def test_who_does_not_trust_the_authority_is_not_served(made, tmp_path):
    other = certificate(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        answered(made, "localhost", other.authority)


def test_the_authority_can_vouch_for_nothing_but_this_machine(made):
    authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = [each.value for each in constraints.value.permitted_subtrees or ()]
    assert permitted == ["localhost", ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128")]


def test_the_authoritys_key_is_kept_nowhere_and_the_servers_is_for_its_owner_alone(made):
    secrets = [path for path in made.folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert secrets == [made.key]
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert {path.name for path in made.folder.iterdir()} == {"authority.pem", "server.pem", "server-key.pem", "java.p12"}


def test_what_was_made_once_is_kept(tmp_path):
    first = certificate(tmp_path)
    content = first.authority.read_bytes()
    again = certificate(tmp_path)
    assert (first.is_new, again.is_new, again.authority.read_bytes()) == (True, False, content)


@pytest.mark.parametrize("file", ["server.pem", "authority.pem", "server-key.pem", "java.p12"])
@pytest.mark.parametrize("harm", ["removed", "emptied", "of another"])
def test_what_is_not_whole_any_more_is_made_anew(tmp_path, file, harm):
    kept, other = certificate(tmp_path / "one"), certificate(tmp_path / "other")
    place = kept.folder / file
    if harm == "removed":
        place.unlink()
    elif harm == "emptied":
        place.write_bytes(b"")
    else:
        shutil.copy(other.folder / file, place)
    anew = certificate(tmp_path / "one")
    assert anew.is_new
    assert answered(anew, "localhost", anew.authority) == b"hello"
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["tls"]


@pytest.mark.parametrize(("left", "is_new"), [(timedelta(days=6), True), (timedelta(days=8), False), (timedelta(hours=-1), True)])
def test_another_one_is_made_in_time(tmp_path, monkeypatch, left, is_new):
    monkeypatch.setattr(tls, "LIFE", left + tls.EARLIER)
    certificate(tmp_path)
    assert certificate(tmp_path).is_new is is_new
    found = x509.load_pem_x509_certificate((tmp_path / "tls" / "server.pem").read_bytes())
    assert found.not_valid_before_utc < datetime.datetime.now(UTC)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(LocalError, match="The certificate for HTTPS cannot be kept in"):
        certificate(tmp_path / "home")


@pytest.mark.skipif(shutil.which("keytool") is None, reason="there is no Java here")
def test_java_reads_its_store(made):
    command = ["keytool", "-list", "-keystore", str(made.java), "-storepass", tls.STORE_PASSWORD]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    assert "open-personalizer" in listed
    assert "trustedCertEntry" in listed


def test_it_is_for_this_machine_alone():
    with pytest.raises(LocalError, match=r"docs/server\.md"):
        check_exposure(parse_options(["--tls", "--host", "0.0.0.0"]), [Place("0.0.0.0", 7071)])


def test_every_client_is_told_how_to_trust_it(made):
    text = banner([Place("127.0.0.1", 7071, made.authority)], "a store", key="k", admin_key="a", demo_key=None)
    assert "  Endpoint   https://127.0.0.1:7071\n" in text
    for word in ("Java", "Node", "Python", ".NET", "Go"):
        assert f"\n  {word} " in text
    assert text.count(f"curl -s --cacert {made.authority} ") == 2
    assert "http://" not in text


def test_browsers_are_not_told_to_insist_on_https():
    reply = HttpReply(200, [("Strict-Transport-Security", "max-age=1"), ("ETag", "x")])
    assert without_pinning(reply).headers == [("ETag", "x")]


def test_a_connection_of_the_supervisor_trusts_that_authority_alone(made):
    connection = Place("127.0.0.1", 1, made.authority).connection(timeout=1)
    assert isinstance(connection, http.client.HTTPSConnection)
    assert not isinstance(Place("127.0.0.1", 1).connection(timeout=1), http.client.HTTPSConnection)
