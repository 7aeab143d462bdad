"""HTTPS for this machine alone: a certificate for localhost, made at the first start, and what has clients trust it.

An authority is made for this one certificate, and its key is thrown away: whoever is told to trust it trusts nothing else.
"""

import datetime
import ipaddress
import os
import shutil
import stat
import time
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.processes import LocalError

NAMES: Final = ("localhost", "127.0.0.1", "::1")
"""What the certificate is for."""

LIFE: Final = timedelta(days=397)
"""More than a year, and no more than strict clients take."""

EARLIER: Final = timedelta(days=1)
"""By which it begins before it is made, for clocks that are behind."""

TOO_SHORT: Final = timedelta(days=7)
"""What is left of a certificate's life when another one is made."""

STORE_PASSWORD: Final = "changeit"
"""Java's usual one: what it protects is a certificate, which is no secret."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The folder of one that was made, with all that belongs to it."""

    folder: Path
    is_new: bool = False

    @property
    def chain(self) -> Path:
        """Where the server's certificate is, with its authority's behind it (PEM)."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """Where the server's key is (PEM)."""
        return self.folder / "server-key.pem"

    @property
    def authority(self) -> Path:
        """Where the certificate is that clients are to trust (PEM)."""
        return self.folder / "authority.pem"

    @property
    def java(self) -> Path:
        """The same for Java (PKCS#12), under `STORE_PASSWORD`."""
        return self.folder / "java.p12"


def certificate(home: Path) -> Certificate:
    """Return the certificate that is kept, or make one: there is none yet, it has hardly any time left, or it cannot be read.

    Whether made or kept, all of its files belong together. Raises `LocalError` when they cannot be written.
    """
    kept = Certificate(home / "tls")
    try:
        if _is_good(kept):
            return kept
        return _make(home)
    except OSError as error:
        raise LocalError(f"The certificate for HTTPS cannot be kept in {kept.folder}: {error.strerror or error}.") from error


def _is_good(kept: Certificate) -> bool:
    """Tell whether all files are there, belong together, and have time left; raises `OSError` for those that may not be read."""
    try:
        server = x509.load_pem_x509_certificates(kept.chain.read_bytes())[0]
        authority = x509.load_pem_x509_certificate(kept.authority.read_bytes())
        key = load_pem_private_key(kept.key.read_bytes(), None)
        trusted = pkcs12.load_pkcs12(kept.java.read_bytes(), STORE_PASSWORD.encode()).additional_certs
        server.verify_directly_issued_by(authority)
    except (FileNotFoundError, ValueError, TypeError, IndexError, InvalidSignature):
        return False
    is_whole = key.public_key() == server.public_key() and [each.certificate for each in trusted] == [authority]
    return is_whole and server.not_valid_before_utc <= datetime.datetime.now(UTC) <= server.not_valid_after_utc - TOO_SHORT


def _make(home: Path) -> Certificate:
    """Write all files into a folder beside, which then takes the place of the other."""
    made = Certificate(home / "tls.unfinished")
    shutil.rmtree(made.folder, ignore_errors=True)
    made.folder.mkdir(mode=0o700, parents=True)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(UTC)
    issuer = _named("Open Personalizer on this machine")
    authority = (
        _begun(issuer, issuer, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=_permitted(), excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _begun(_named("localhost"), issuer, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in NAMES]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(server_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    made.authority.write_bytes(authority.public_bytes(Encoding.PEM))
    made.chain.write_bytes(server.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM))
    _write_secret(made.key, server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    trusted = [pkcs12.PKCS12Certificate(authority, b"open-personalizer")]
    made.java.write_bytes(pkcs12.serialize_java_truststore(trusted, BestAvailableEncryption(STORE_PASSWORD.encode())))
    kept = home / "tls"
    if kept.exists():
        kept.rename(home / f"tls.before-{time.time_ns()}")
    made.folder.rename(kept)
    for old in home.glob("tls.before-*"):
        shutil.rmtree(old, ignore_errors=True)
    return Certificate(kept, is_new=True)


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime) -> x509.CertificateBuilder:
    begun = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(x509.random_serial_number())
    return begun.not_valid_before(now - EARLIER).not_valid_after(now - EARLIER + LIFE)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _permitted() -> list[x509.GeneralName]:
    """Give the only names that the authority may vouch for."""
    networks = [x509.IPAddress(ipaddress.ip_network(name)) for name in NAMES if name[0] in "1:"]
    return [x509.DNSName("localhost"), *networks]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "wb") as file:
        file.write(content)
