"""A deployment's signature on models: one key, made once, which trusts itself and what its owner says; it is shown to nobody."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from shared.domain.errors import InvalidModelImportSignatureError, UnreadableError
from shared.domain.models import SignedModel
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage
from shared.storage.signing_keys import LARGEST_CERTIFICATE, MOST_TRUSTED, FileModelSigner
from tests.builders import T0
from tests.clocks import SetClock

MODEL = b"a model"


@pytest.fixture
def files(account) -> Files:
    return Files(account, names.MODELS)


def signer(account: Storage) -> FileModelSigner:
    return FileModelSigner(account, clock=SetClock(T0))


async def trust(files: Files, certificate: bytes, *, name: str = "another.der") -> None:
    await files.write_once(names.trusted_prefix() + name, certificate)


def certificate_of(key) -> bytes:
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, T0, T0 + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


async def test_what_a_deployment_signed_it_verifies_and_signs_to_the_same_bytes_again(account):
    signed = await signer(account).sign(MODEL)
    assert len(signed.signature) == 256
    await signer(account).verify(signed)
    assert await signer(account).sign(MODEL) == signed


async def test_anyone_can_check_the_signature_with_the_certificate_alone(account):
    signed = await signer(account).sign(MODEL)
    key = x509.load_der_x509_certificate(signed.signer).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    key.verify(signed.signature, signed.model, padding.PKCS1v15(), hashes.SHA512())


async def test_of_processes_that_make_a_key_at_the_same_time_all_use_the_same(account):
    signed = await asyncio.gather(*(signer(account).sign(MODEL) for _ in range(4)))
    assert len(set(signed)) == 1


@pytest.mark.parametrize("part", ["model", "signature"])
async def test_a_signature_fits_one_model_only(account, part):
    signed = await signer(account).sign(MODEL)
    before = getattr(signed, part)
    other = replace(signed, **{part: before[:-1] + bytes([before[-1] ^ 1])})
    with pytest.raises(InvalidModelImportSignatureError, match=r"sha512_signature\.bin"):
        await signer(account).verify(other)
    with pytest.raises(InvalidModelImportSignatureError, match="signature"):
        await signer(account).verify(replace(signed, signature=b""))


async def foreign(model: bytes = MODEL) -> SignedModel:
    key = await asyncio.to_thread(rsa.generate_private_key, 65537, 2048)
    return SignedModel(model, certificate_of(key), key.sign(model, padding.PKCS1v15(), hashes.SHA512()))


async def test_anothers_signature_is_trusted_while_its_certificate_is_stored(account, files):
    signed = await foreign()
    with pytest.raises(InvalidModelImportSignatureError, match="does not trust"):
        await signer(account).verify(signed)
    await trust(files, b"something else", name="else.der")
    await trust(files, signed.signer)
    verifying = signer(account)
    await verifying.verify(signed)
    with pytest.raises(InvalidModelImportSignatureError):
        await verifying.verify(replace(signed, model=b"another"))
    await files.delete(names.trusted_prefix() + "another.der")
    with pytest.raises(InvalidModelImportSignatureError, match="does not trust"):
        await verifying.verify(signed)


async def test_a_certificate_of_the_same_name_with_another_key_is_not_trusted(account):
    own = await signer(account).sign(MODEL)
    key = rsa.generate_private_key(65537, 2048)
    name = x509.load_der_x509_certificate(own.signer).subject
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, T0, T0 + timedelta(days=1))
    forged = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(InvalidModelImportSignatureError, match="does not trust"):
        await signer(account).verify(SignedModel(MODEL, forged, key.sign(MODEL, padding.PKCS1v15(), hashes.SHA512())))


@pytest.mark.parametrize(
    "certificate",
    [b"nonsense", certificate_of(ec.generate_private_key(ec.SECP256R1())), certificate_of(rsa.generate_private_key(65537, 1024))],
    ids=["nonsense", "another kind of key", "a weak key"],
)
async def test_what_cannot_be_a_signer_is_refused_even_if_it_is_trusted(account, files, certificate):
    await trust(files, certificate)
    with pytest.raises(InvalidModelImportSignatureError, match=r"signer\.der"):
        await signer(account).verify(SignedModel(MODEL, certificate, b"signature"))


async def test_only_so_many_and_so_large_certificates_are_looked_at(account, files):
    signed = await foreign()
    await trust(files, bytes(LARGEST_CERTIFICATE + 1), name="0000.der")
    await asyncio.gather(*(trust(files, b"%d" % number, name=f"{number:04d}.der") for number in range(1, MOST_TRUSTED)))
    await trust(files, signed.signer, name="0999.der")
    await signer(account).verify(signed)
    await trust(files, b"one more", name="0998.der")
    with pytest.raises(InvalidModelImportSignatureError, match="does not trust"):
        await signer(account).verify(signed)


@pytest.mark.parametrize("damage", [lambda text: b"nonsense", lambda text: text[:300], lambda text: text[: text.index(b"-----BEGIN CERT")]])
async def test_a_damaged_key_is_said_to_be_and_not_replaced(account, files, damage):
    await signer(account).sign(MODEL)
    stored = await files.read(names.signing_file())
    assert stored is not None
    await files.replace(names.signing_file(), damage(stored.data), expected=stored.etag)
    with pytest.raises(UnreadableError, match=names.signing_file()):
        await signer(account).sign(MODEL)


async def test_the_private_key_is_told_to_nobody(account, files, caplog):
    caplog.set_level(logging.DEBUG)
    signing = signer(account)
    signed = await signing.sign(MODEL)
    stored = await files.read(names.signing_file())
    assert stored is not None
    secret = stored.data.split(b"\n")[3].decode()
    assert b"PRIVATE KEY" in stored.data
    assert secret not in caplog.text
    assert b"PRIVATE" not in signed.signer + signed.signature
    assert secret not in repr(signing) + repr(signing._signer)


class Packed:
    """A packed model that notes how much of it was unpacked."""

    def __init__(self, signed: SignedModel, *, piece: int = 3) -> None:
        self.signer, self.signature = signed.signer, signed.signature
        self.unpacked = 0
        self._model, self._piece = signed.model, piece

    def pieces(self) -> Iterator[bytes]:
        for first in range(0, len(self._model), self._piece):
            self.unpacked += self._piece
            yield self._model[first : first + self._piece]

    def model(self) -> bytes:
        return b"".join(self.pieces())


async def test_of_a_packed_model_nothing_is_unpacked_before_its_signer_is_trusted(account, files):
    packed = Packed(await foreign())
    with pytest.raises(InvalidModelImportSignatureError, match="does not trust"):
        await signer(account).verify_packed(packed)
    assert packed.unpacked == 0
    await trust(files, packed.signer)
    await signer(account).verify_packed(packed)
    assert packed.unpacked >= len(MODEL)


async def test_a_packed_model_is_verified_as_it_is_in_one_piece(account):
    signing = signer(account)
    signed = await signing.sign(MODEL)
    for piece in (1, 7, len(MODEL), 2 * len(MODEL)):
        await signing.verify_packed(Packed(signed, piece=piece))
    with pytest.raises(InvalidModelImportSignatureError, match="not the signer's signature"):
        await signing.verify_packed(Packed(replace(signed, model=MODEL + b"!")))
