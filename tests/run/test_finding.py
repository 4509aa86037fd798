"""What finds objects is ready before the first frame is asked for."""

from pathlib import Path

import pytest

from stream import Segmenter
from stream.bench.gpu import stand_in
from stream.inference.catalogue import find
from stream.inference.session import open_on
from stream.run.finding import find_by
from stream.run.plan import RunPlan, SourcePlan
from tests import tiny_models
from tests.run.parts import Grey


@pytest.mark.parametrize("live", [True, False])
def test_a_cards_first_inference_is_done_before_a_live_sources_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100)
    sizes = []
    infer = Segmenter.infer

    def watched(self, prepared):
        sizes.append(prepared.geometry.size)
        return infer(self, prepared)

    monkeypatch.setattr(Segmenter, "infer", watched)
    source = Grey(3, live=live)
    segmenter = Segmenter("tiny", open_on(find(path), stand_in(), throughput=not live))
    _, schedule = find_by(RunPlan(SourcePlan("grey")), source.info, segmenter, None)
    schedule.close()
    assert source.given == 0
    size = segmenter.metadata.resize.geometry(64, 48).size
    assert sizes == ([size] if live else [])
