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


def rates(times):
    """What a clock says of the rate after each of these moments."""
    now = [0.0]
    clock = Clock(now=lambda: now[0])
    said = []
    for moment in times:
        now[0] = moment
        clock.frame_out()
        said.append(clock.rate)
    return said


@pytest.mark.parametrize("rate", [0.2, 3, 25, 240])
@pytest.mark.parametrize("together", [1, 4, 16])
def test_frames_that_come_out_together_are_no_high_rate(rate, together):
    """Several workers hand out bursts: 16 frames within a millisecond, then a pause."""
    said = rates(
        burst * together / rate + place * 1e-4 for burst in range(300) for place in range(together)
    )
    known = [one for one in said if one is not None]
    assert said[0] is None and known
    assert None not in said[said.index(known[0]) :]  # the panel would blink
    seen = min(2.0, 299 * together / rate)  # seconds that the last rate is taken over, at most
    # Off by a burst at most in the time that it is taken over, which is no thousand a second.
    assert max(known) <= 1.02 * rate + together / 0.5
    assert known[-1] == pytest.approx(
        rate, rel=0.02, abs=(together + 1) / max(0.5, seen - together / rate)
    )


def test_the_rate_is_of_the_last_seconds():
    said = rates([n / 10 for n in range(50)] + [5 + n / 50 for n in range(200)])
    assert said[49] == pytest.approx(10) and said[-1] == pytest.approx(50)
    assert said[3] is None


def test_what_the_first_frame_takes_is_soon_one_of_many():
    clock = Clock()
    for seconds in [0.9] + [0.001] * 15:
        clock.add("composite", seconds)
    assert clock.recent()["composite"] == pytest.approx(0.9 / 16, abs=0.001)
    for _ in range(200):
        clock.add("composite", 0.002)
    assert clock.recent()["composite"] == pytest.approx(0.002, rel=0.05)
