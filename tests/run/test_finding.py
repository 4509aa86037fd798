"""What finds objects is ready before the first frame is asked for."""

from pathlib import Path

import pytest

from stream import Segmenter
from stream.bench.gpu import stand_in
from stream.inference.catalogue import find
from stream.inference.session import Asked, open_on
from stream.run.beside_display import BesideDisplay
from stream.run.finding import expect_companions, find_by
from stream.run.plan import RunPlan, SourcePlan
from stream.run.turns import Turns
from stream.settings.options import LiveOptions
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
    segmenter = Segmenter("tiny", open_on(find(path), stand_in(), Asked(throughput=not live)))
    _, schedule = find_by(RunPlan(SourcePlan("grey")), source.info, segmenter, None)
    schedule.close()
    assert source.given == 0
    size = segmenter.metadata.resize.geometry(64, 48).size
    assert sizes == ([size] if live else [])


@pytest.mark.parametrize("waits", [True, False])
def test_whether_hidden_pictures_wait_is_as_the_plan_says(tmp_path: Path, waits: bool) -> None:
    segmenter = Segmenter.load(tiny_models.bright(tmp_path / "bright.onnx", 100), "cpu")
    plan = RunPlan(SourcePlan("grey"), live=LiveOptions(cover_wait=waits))
    _, schedule = find_by(plan, Grey(3, live=True).info, segmenter, None)
    assert isinstance(schedule, BesideDisplay)
    schedule.cover(wanted=True)
    assert not schedule._holds, "what is only noted down need not wait"
    schedule.cover(wanted=True, hides=True)
    assert schedule._holds == waits
    schedule.close()


def test_a_second_source_prepares_the_model_for_several_at_once(tmp_path: Path) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, layer=True)
    segmenter = Segmenter("tiny", open_on(find(path), stand_in()))
    assert segmenter.gatherer is not None
    several = segmenter.gatherer.batches
    turns, plan = Turns(), RunPlan(SourcePlan("grey"))
    info = Grey(3, live=True).info
    _, first = find_by(plan, info, segmenter.sharing(), turns)
    assert not several.trials, "the first has nobody to go with"
    _, second = find_by(plan, info, segmenter.sharing(), turns)
    assert several.trials
    for schedule in (first, second):
        schedule.close()
    assert turns.members == 0 and not turns.calm
    alone = Segmenter.load(path, "cpu")
    expect_companions(alone, info, turns)


def test_where_it_is_known_that_others_come_the_first_prepares_the_model_for_them(
    tmp_path: Path,
) -> None:
    path = tiny_models.bright(tmp_path / "bright.onnx", 100, layer=True)
    segmenter = Segmenter("tiny", open_on(find(path), stand_in()))
    assert segmenter.gatherer is not None
    info = Grey(3, live=True).info
    _, first = find_by(RunPlan(SourcePlan("grey")), info, segmenter.sharing(), Turns(coming=2))
    assert segmenter.gatherer.batches.trials, "before any of them loses frames to that"
    first.close()
