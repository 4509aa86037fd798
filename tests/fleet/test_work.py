"""What a worker says of a file besides its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import SinkError
from stream.fleet.results import results
from tests import tiny_models
from tests.fleet import doing


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, shared_media: Path) -> None:
    """As `stream file` says it: of thousands nobody looks at each."""
    worker = doing.a_worker(doing.a_plan(tiny_models.bright(tmp_path / "bright.onnx", 200)))
    source = shared_media / "made_truncated_moov_at_end_or_cut.mp4"
    one = doing.Doing(worker, source, doing.targets_in(tmp_path / "out", ".mp4"))
    assert not one.begin(1000.0)
    assert one.cut.frames == 7
    cut_short = "is cut short: it declares 30 pictures and holds 8; 1 damaged frame"
    assert one.cut.remark == f"{source.name} {cut_short}"
    whole = doing.Doing(worker, shared_media / "androidx_sample.mp4", one.targets)
    assert not whole.begin(1000.0)
    assert whole.cut.remark == ""


@pytest.mark.slow
def test_what_was_left_out_is_said_of_a_file_in_parts(tmp_path: Path, shared_media: Path) -> None:
    worker = doing.a_worker(
        doing.a_plan(tiny_models.bright(tmp_path / "bright.onnx", 200), look="boxes")
    )
    source = shared_media / "sam2_01_dog.mp4"  # has two key frames, and a timecode
    one = doing.Doing(worker, source, doing.targets_in(tmp_path / "out", ".ts"))
    said = one.begin(1000.0)
    assert not said and "timecode (00:00:00:00) is left out" in one.cut.remark
    parts = doing.Doing(worker, source, doing.targets_in(tmp_path / "parts", ".ts"))
    assert parts.begin(1.0)
    parts.find()
    assert parts.finish().remark.endswith(one.cut.remark)


def test_what_is_not_kept_is_not_said_to_be_saved(tmp_path: Path) -> None:
    target = str(tmp_path / "out" / "a.mp4")
    what = f"the disk is full, so {target} could not be written to the end"
    with (
        pytest.raises(SinkError) as raised,
        results((target,), 1, tmp_path, lambda: None) as (made,),
    ):
        made.open().write_bytes(b"half")
        why = f"the disk is full, so {made.working} could not be written to the end"
        raise SinkError(why, f"about 5 frames (0.3 s) are saved in {made.working} and play")
    assert str(raised.value) == what
    assert not list((tmp_path / "out").iterdir())
