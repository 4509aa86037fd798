"""The options of the page in the browser; a group like those of `stream.settings.options`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.errors import UsageError
from stream.settings.option import option, parse_names


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the page in the browser is served."""

    host: str = option(
        "127.0.0.1",
        "The address to listen at; 0.0.0.0 for all of this machine's, :: for those of IPv6 too. "
        "Any but this machine's own needs a token and has TLS.",
        metavar="ADDRESS",
    )
    port: int = option(8000, "The port to listen at; 0 for any that is free.", low=0, high=65535)
    token: str | None = option(
        None,
        "What visitors need to come in, 16 characters or more.",
        said="made at every start where one is needed, and shown",
        metavar="TEXT",
    )
    tls: bool | None = option(
        None,
        "Serve by https, with --certificate or with one that is made and kept for the next start. "
        "Browsers give their camera to https and to this machine only.",
        said="on for every address but this machine's own",
    )
    certificate: Path | None = option(
        None, "A certificate with its chain, PEM.", said="one is made and kept", metavar="FILE"
    )
    key: Path | None = option(
        None, "The certificate's key, PEM.", said="in the certificate's file", metavar="FILE"
    )
    allow_host: tuple[str, ...] | None = option(
        None,
        "Further names that the page is reached by, separated by commas, such as booth.example.",
        said="this machine's name, and addresses",
        metavar="NAME,…",
        parse=parse_names,
    )
    trust_proxy: tuple[str, ...] | None = option(
        None,
        "Addresses or networks of proxies in front of the page, separated by commas, such as "
        "127.0.0.1: of a request by one of them X-Forwarded-For says whose it is, and "
        "X-Forwarded-Proto whether it came by https.",
        said="none; all who come by a proxy count as one",
        metavar="ADDRESS,…",
        parse=parse_names,
    )
    controls: bool = option(
        True, "Let pages change look, threshold, classes and model, for all who watch."
    )
    visitors: int = option(
        4, "How many visitors' cameras are taken at once; 0 for none.", low=0, high=64
    )
    viewers: int = option(32, "How many pages may be open at once.", low=1, high=1000)
    more_models: tuple[str, ...] | None = option(
        None,
        "Further models that pages may choose, separated by commas.",
        said="only --model",
        metavar="NAME|PATH,…",
        parse=parse_names,
    )
    page_height: int = option(
        720,
        "Pictures whose shorter side is longer than this are sent smaller, in pixels.",
        low=120,
        high=2160,
    )
    patience: float = option(
        10.0, "Seconds without a picture after which /healthz says that a source fails.", low=0.5
    )

    def __post_init__(self) -> None:
        if self.key is not None and self.certificate is None:
            raise UsageError("--key is a certificate's; name that with --certificate")
        if self.certificate is not None and self.tls is False:
            raise UsageError("--no-tls serves without --certificate; leave out one of them")
        if self.more_models and not self.controls:
            raise UsageError(
                "--more-models are for pages to choose from, which --no-controls keeps them from; "
                "leave out one of them"
            )
