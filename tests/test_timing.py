import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.timing import END_TO_END, Clock, Percentiles, timed


@given(st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=300))
def test_percentiles_are_right_to_one_percent(values):
    stage = Percentiles()
    for value in values:
        stage.add(value)
    for share in (0.5, 0.95):
        true = np.quantile(values, share, method="inverted_cdf")
        assert stage.percentile(share) == pytest.approx(true, rel=0.011)
    assert stage.maximum == max(values)
    assert stage.total == pytest.approx(sum(values))


def test_a_stage_without_frames_has_no_figures():
    assert Percentiles().percentile(0.95) == 0.0
    assert Clock().figures() == {}
    assert Clock().rate is None


def test_figures_come_in_pipeline_order_with_end_to_end_last():
    clock = Clock()
    for stage in (END_TO_END, "encode", "capture", "infer", "decode"):
        clock.add(stage, 0.002)
    assert list(clock.figures()) == ["decode", "infer", "encode", "capture", END_TO_END]
    assert clock.figures()["infer"].p50_ms == pytest.approx(2.0, rel=0.01)


def test_the_running_mean_follows_what_happens_now():
    clock = Clock()
    for _ in range(100):
        clock.add("infer", 0.010)
    for _ in range(100):
        clock.add("infer", 0.050)
    assert clock.recent()["infer"] == pytest.approx(0.050, rel=0.05)


def test_timed_books_even_when_the_block_fails():
    stages: dict[str, float] = {}
    with pytest.raises(KeyError), timed(stages, "infer"):
        raise KeyError
    assert stages["infer"] > 0
