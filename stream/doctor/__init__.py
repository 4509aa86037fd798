"""What works on this machine, what does not, and what to install: `stream doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from stream.doctor import cameras, codecs, display, inference, machine
from stream.doctor.finding import Finding


def examine() -> list[dict[str, str]]:
    """Examines the machine; every finding as a dict of strings (see `Finding`), ready for JSON.

    Each provider is tried with a session of its own, each hardware encoder is opened. Takes a
    second or two. Never raises: what cannot be examined is a finding too.
    """
    topics: dict[str, Callable[[], Iterator[Finding]]] = {
        "program": machine.program,
        "processor": machine.processor,
        "providers": inference.providers,
        "models": inference.models,
        "cameras": cameras.cameras,
        "codecs": codecs.codecs,
        "display": display.display,
    }
    findings: list[dict[str, str]] = []
    for topic, look in topics.items():
        try:
            findings += [asdict(finding) for finding in look()]
        except Exception as error:  # noqa: BLE001 - one topic's failure must not hide the others
            cause = (str(error).splitlines() or [""])[0]
            detail = f"cannot be examined: {type(error).__name__}: {cause}"
            findings.append(asdict(Finding(topic, topic, "missing", detail)))
    return findings
