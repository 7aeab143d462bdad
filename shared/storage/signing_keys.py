"""The key that a deployment signs its models with, made on first need and kept in storage: `shared.domain.ports.ModelSigner`.

Key and certificate are one file, created on condition: of two processes that make one at the same time both use the first one's.
Further certificates whose signatures are trusted may lie beside it, as DER.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from shared.domain.clock import Clock
from shared.domain.errors import ConflictError, InvalidModelImportSignatureError, UnreadableError
from shared.domain.models import SignedModel
from shared.domain.ports import PackedModel
from shared.storage import names
from shared.storage.files import Files
from shared.storage.ports import Storage

logger = logging.getLogger(__name__)

KEY_BITS: Final = 2048
MOST_TRUSTED: Final = 100
LARGEST_CERTIFICATE: Final = 16 * 1024

_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Open Personalizer model signer")])
_FOR_EVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5: there is no good date
_HASH: Final = hashes.SHA512()
_SEALS: Final = b"seals of Open Personalizer"
_PADDING: Final = padding.PKCS1v15()  # without chance: the same model has the same signature


@dataclass(frozen=True, slots=True, repr=False)
class _Signer:
    """The deployment's own key, its certificate, and what texts are sealed with."""

    key: rsa.RSAPrivateKey
    certificate: bytes
    secret: bytes


class FileModelSigner:
    """Signs by the deployment's own key, and verifies by its certificate and the trusted ones."""

    def __init__(self, storage: Storage, *, clock: Clock) -> None:
        self._files = Files(storage, names.MODELS)
        self._clock = clock
        self._signer: _Signer | None = None

    async def sign(self, model: bytes) -> SignedModel:
        """Sign a model."""
        signer = await self._own()
        signature = await asyncio.to_thread(signer.key.sign, model, _PADDING, _HASH)
        return SignedModel(model, signer.certificate, signature)

    async def seal(self, text: bytes) -> bytes:
        """Make a code of the text and of a secret that comes from the deployment's key: `shared.domain.ports.Sealer`."""
        return hmac.digest((await self._own()).secret, text, "sha256")

    async def verify(self, signed: SignedModel) -> None:
        """Accept what a trusted key has signed; only certificates that are stored here are looked into."""
        await self._check_trust(signed.signer)
        await asyncio.to_thread(_verify, signed.signer, signed.signature, (signed.model,))

    async def verify_packed(self, packed: PackedModel) -> None:
        """Accept the same while it is packed."""
        await self._check_trust(packed.signer)
        await asyncio.to_thread(lambda: _verify(packed.signer, packed.signature, packed.pieces()))

    async def _check_trust(self, certificate: bytes) -> None:
        if not await self._is_trusted(certificate):
            raise InvalidModelImportSignatureError(
                f"signer.der: this deployment does not trust the certificate; store it under {names.trusted_prefix()} in the container"
                f" {names.MODELS} if it should"
            )

    async def _is_trusted(self, certificate: bytes) -> bool:
        if certificate == (await self._own()).certificate:
            return True
        async for name in self._trusted():
            file = await self._files.read(name)
            if file is not None and file.data == certificate:
                return True
        return False

    async def _trusted(self) -> AsyncIterator[str]:
        found = 0
        async for file in self._files.listing(names.trusted_prefix()):
            if (file.size or 0) > LARGEST_CERTIFICATE:
                continue
            found += 1
            if found > MOST_TRUSTED:
                logger.warning("there are too many trusted certificates; the others are ignored", extra={"most": MOST_TRUSTED})
                return
            yield str(file.name)

    async def _own(self) -> _Signer:
        """Give the deployment's key; made, and stored unless another was faster, if there is none yet."""
        if self._signer is None:
            stored = await self._files.read(names.signing_file())
            self._signer = await asyncio.to_thread(_read, await self._made() if stored is None else stored.data)
        return self._signer

    async def _made(self) -> bytes:
        text = await asyncio.to_thread(_made, self._clock.now())
        try:
            await self._files.replace(names.signing_file(), text, expected=None)
            logger.info("a key for signing models was made")
        except ConflictError:
            stored = await self._files.read(names.signing_file())
            if stored is not None:
                return stored.data
            raise
        return text


def _made(now: datetime) -> bytes:
    """Make a key and a certificate of its own, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(_FOR_EVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)


def _read(text: bytes) -> _Signer:
    try:
        key = load_pem_private_key(text, password=None)
        certificate = x509.load_pem_x509_certificate(text)
    except (ValueError, TypeError, UnsupportedAlgorithm) as cause:
        raise UnreadableError(f"the key for signing models, {names.signing_file()}, cannot be read") from cause
    if not isinstance(key, rsa.RSAPrivateKey) or certificate.public_key() != key.public_key():
        raise UnreadableError(f"the key for signing models, {names.signing_file()}, and its certificate do not belong together")
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return _Signer(key, certificate.public_bytes(Encoding.DER), hmac.digest(private, _SEALS, "sha256"))


def _verify(signer: bytes, signature: bytes, model: Iterable[bytes]) -> None:
    try:
        key = x509.load_der_x509_certificate(signer).public_key()
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise InvalidModelImportSignatureError("signer.der: is not a certificate that can be used") from cause
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < KEY_BITS:
        raise InvalidModelImportSignatureError(f"signer.der: the certificate has to hold an RSA key of at least {KEY_BITS} bits")
    digest = hashlib.sha512()
    for piece in model:
        digest.update(piece)
    try:
        key.verify(signature, digest.digest(), _PADDING, Prehashed(_HASH))
    except InvalidSignature as cause:
        raise InvalidModelImportSignatureError("sha512_signature.bin: is not the signer's signature on model.vw") from cause
