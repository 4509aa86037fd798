"""What is said of providers and models."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stream.doctor import inference
from stream.inference.card import Card
from stream.inference.providers import route


def test_where_models_are_kept_ready_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("XDG's folders")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "stream-segmentation"
    for kind, size in (("graphs", 2_000_000), ("openvino", 5_000_000), ("page", 9_000_000)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "kept").write_bytes(bytes(size))
    told = inference.kept()
    assert (told.state, told.detail) == (
        "note",
        f"2 files, 7 MB in {folder}, for quicker starts; may be removed",
    )
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = inference.kept()
    assert told.state == "missing" and str(tmp_path / "file") in told.detail
    assert told.advice.startswith("make it writable")


def test_a_card_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for the card; only its name is made up."""
    found = Card("NVIDIA H100 80GB HBM3", 79.2, "580.159.04", "13.0")
    monkeypatch.setattr("stream.inference.card.card", lambda: found)
    there = replace(route("cpu"), label="CUDA")
    monkeypatch.setattr("stream.inference.providers.route", lambda name: there)
    cuda = next(one for one in inference.providers() if one.name == "CUDA")
    assert cuda.detail.startswith(
        "runs as CUDA on NVIDIA H100 80GB HBM3 of 79 GiB, driver 580.159.04 (opened and tried in "
    )
