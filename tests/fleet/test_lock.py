"""One driver at a time for a ledger."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.errors import OutOfReachError, SinkError
from stream.fleet.lock import only_driver


def test_the_second_driver_is_told_who_the_first_is(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with (
        only_driver(ledger),
        pytest.raises(OutOfReachError, match=f"process {os.getpid()} on .* is at work"),
        only_driver(ledger),
    ):
        pytest.fail("two at once")
    with only_driver(ledger), only_driver(tmp_path / "other.sqlite"):
        assert not ledger.exists()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be used"), only_driver(tmp_path / "no" / "ledger"):
        pytest.fail("there is none")
