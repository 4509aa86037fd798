"""TLS: a certificate that was given, or one that is made and kept."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import ssl
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stream.errors import UsageError
from stream.system.cache import cache_folder

logger = logging.getLogger(__name__)

_DAYS = 397
_RENEWED = 30
"""Days before its end in which a certificate that is kept is made anew."""


def given_context(certificate: Path, key: Path | None) -> tuple[ssl.SSLContext, str]:
    """The context for a certificate of the user's, and its fingerprint.

    Args:
        certificate: PEM, with its chain.
        key: PEM; None where it is in the same file.

    Raises:
        UsageError: a file cannot be read, or they do not belong together.
    """
    context = _context()
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
        text = certificate.read_text(encoding="ascii", errors="replace")
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        first = text[text.index(begin) : text.index(end) + len(end)]
        return context, fingerprint(ssl.PEM_cert_to_DER_cert(first))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise UsageError(f"the certificate {certificate} cannot be used: {reason}") from error


def kept_context(names: Sequence[str]) -> tuple[ssl.SSLContext, str]:
    """The context for a self-signed certificate that this user's next start has again.

    Who has told a browser once to take it need not do so after every start, and a page that was
    left open comes back by itself. It lies among the user's caches, readable by that user alone;
    where that cannot be, it is made for this start.

    Args:
        names: host names and addresses that it is for.
    """
    try:
        return read_kept(names)
    except OSError as error:
        logger.debug("the certificate cannot be kept: %s", error)
        return made_context(names)


def read_kept(names: Sequence[str]) -> tuple[ssl.SSLContext, str]:
    """The same, where it can be kept.

    Args:
        names: host names and addresses that it is for.

    Raises:
        OSError: it cannot.
    """
    # Addresses of IPv6 change from day to day by design; a certificate that lacks one is only
    # warned of as any other of ours is.
    lasting = sorted(one for one in names if ":" not in one)
    digest = hashlib.sha256("\n".join(lasting).encode()).hexdigest()[:16]
    file = cache_folder("page") / f"{digest}.pem"
    found = _read_valid(file)
    if found is None:
        _keep(file, make(names))
        found = given_context(file, None)
    return found


def _read_valid(file: Path) -> tuple[ssl.SSLContext, str] | None:
    """What was kept, where it still holds for a while and nobody else could read its key."""
    from cryptography import x509

    try:
        about = file.stat()
        now, certificate = datetime.now(UTC), x509.load_pem_x509_certificate(file.read_bytes())
        shared = hasattr(os, "getuid") and (about.st_uid != os.getuid() or about.st_mode & 0o077)
        ends = certificate.not_valid_after_utc - timedelta(days=_RENEWED)
        if shared or not certificate.not_valid_before_utc <= now < ends:
            return None
        return given_context(file, None)
    except (FileNotFoundError, ValueError, UsageError):
        return None  # it was never made, or is damaged


class Renewal:
    """Exchanges the certificate of a server that goes on, for those who connect from then on.

    One that was made before the machine's clock was set is outdated once it is, one of the user's
    is renewed by other programs every few weeks, and any ends some day.

    Args:
        context: the server's.
        fingerprint: of its certificate.
        read: gives a context and its fingerprint as they are to be now.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        fingerprint: str,
        read: Callable[[], tuple[ssl.SSLContext, str]],
    ) -> None:
        self.fingerprint = fingerprint
        self._newest = context
        self._read = read
        self._problem = ""
        context.sni_callback = self._choose  # called for those too who name no server

    def renew(self) -> bool:
        """Looks what the certificate is to be; returns whether it is another now.

        What cannot be read leaves the one before; of files of the user's that is logged once.
        """
        try:
            context, fingerprint = self._read()
        except OSError as error:
            logger.debug("the certificate cannot be kept: %s", error)
            return False
        except UsageError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                logger.warning("%s; the page goes on with the one before", error)
            return False
        self._problem = ""
        if fingerprint == self.fingerprint:
            return False
        self._newest, self.fingerprint = context, fingerprint
        return True

    def _choose(self, channel: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        channel.context = self._newest


def _keep(file: Path, both: bytes) -> None:
    """Writes a key that is whole or not there, and never readable by others."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".page-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as scratch:
            scratch.write(both)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def made_context(names: Sequence[str]) -> tuple[ssl.SSLContext, str]:
    """The context for a new self-signed certificate, and its fingerprint.

    Args:
        names: host names and addresses that it is for.
    """
    # Python takes files only; this one is readable by its owner alone, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "both.pem")
        file.touch(mode=0o600)
        file.write_bytes(make(names))
        return given_context(file, None)


def make(names: Sequence[str]) -> bytes:
    """A new key and its self-signed certificate, PEM.

    Args:
        names: host names and addresses that it is for.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())

    def general(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stream")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([general(one) for one in names]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, as browsers show it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _refuse_password() -> str:
    raise ValueError("its key has a password; give one without")
