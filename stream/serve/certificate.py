"""TLS: a certificate that was given, or one made for this start."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stream.errors import UsageError

_DAYS = 90


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


def made_context(names: Sequence[str]) -> tuple[ssl.SSLContext, str]:
    """The context for a new self-signed certificate, and its fingerprint.

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
    context = _context()
    # Python takes files only; this one is readable by its owner alone, and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "both.pem")
        file.touch(mode=0o600)
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(file)
    return context, fingerprint(made.public_bytes(serialization.Encoding.DER))


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, as browsers show it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _refuse_password() -> str:
    raise ValueError("its key has a password; give one without")
