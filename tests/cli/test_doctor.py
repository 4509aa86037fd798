"""How `stream doctor` prints what was found."""

import io

import pytest
from rich.console import Console

from stream.cli.doctor import print_findings
from stream.doctor import examine


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_print(encoding: str) -> None:
    findings = examine()
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    print_findings(Console(file=stream, width=40), findings)
    text = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    for finding in findings:
        if finding["detail"].isascii():
            assert finding["detail"] in text, "cut off"
