"""Recording beside the display: true times, sound, any picture size, nothing lost in silence."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from stream.errors import StreamError
from stream.run.controls import NOTHING_RECORDED, Controls
from stream.run.output import Output
from stream.run.run import Run
from stream.run.wall_keys import WallKeys
from stream.settings.options import PictureOptions
from stream.sources.network import NetworkSource, Patience
from tests.live.helpers import live_run, recording, scene, segmenter
from tests.sources.serving import serving


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def stop_after(run: Run, output: Output, frames: int):
    """Ends a run once so many frames are recorded."""

    def act() -> None:
        if output.figures.frames >= frames:
            run.stop()

    return run.run(on_tick=act)


def test_a_run_records_what_it_shows(tmp_path):
    run, notes = live_run(scene(), segmenter(tmp_path))
    output = recording(run, tmp_path / "one.mp4")
    run.add(output)
    outcome = stop_after(run, output, 20)
    assert outcome.error is None
    assert output.figures.frames == outcome.counts.written and output.figures.dropped == 0
    written = times_of(tmp_path / "one.mp4")
    shown = [seconds for seconds, _ in notes.frames]
    # The display may miss a frame that is recorded, never the other way round.
    start = shown[0] - written[0] if len(shown) == len(written) else None
    if start is not None:
        assert written == pytest.approx([at - shown[0] for at in shown], abs=2e-3)
    assert len(shown) <= len(written)


def test_a_recording_can_begin_and_end_while_it_runs(tmp_path):
    model = segmenter(tmp_path)
    run, _ = live_run(scene(), model)
    control = Controls(
        run, model, run.outputs[0], PictureOptions(), lambda path, _: recording(run, path)
    )
    ticks = itertools.count(1)
    finished: list[Output] = []

    def act() -> None:
        tick = next(ticks)
        if control.recording is None and len(finished) < 2:
            path = tmp_path / f"{len(finished)}.mkv"
            assert control.start_recording(path) == f"recording {path.name}"
            with pytest.raises(StreamError, match="being recorded already"):
                control.start_recording(tmp_path / "two.mp4")
        elif control.recording is not None and control.recording.figures.frames > 5:
            finished.append(control.recording)
            assert control.stop_recording() == f"recorded {len(finished) - 1}.mkv"
            assert control.stop_recording() == "no recording"
        if len(finished) == 2 and not finished[1].alive:
            run.stop()
        assert tick < 600

    outcome = run.run(on_tick=act)
    assert outcome.error is None
    for number, output in enumerate(finished):
        times = times_of(tmp_path / f"{number}.mkv")
        assert times[0] == 0 and len(times) == output.figures.frames > 5


def test_a_recording_that_ends_before_a_picture_came_is_not_said_to_be_one(tmp_path):
    """As where both presses of a key are heard at once, once a window is no longer held up."""
    model = segmenter(tmp_path)
    run, _ = live_run(scene(), model)
    control = Controls(
        run, model, run.outputs[0], PictureOptions(), lambda path, _: recording(run, path)
    )
    control.start_recording(tmp_path / "none.mkv")
    assert control.stop_recording() == NOTHING_RECORDED
    control.start_recording(tmp_path / "one.mkv")
    output = control.recording
    assert output is not None
    assert stop_after(run, output, 1).error is None
    assert not (tmp_path / "none.mkv").exists() and times_of(tmp_path / "one.mkv")


class _Part:
    """What can be changed of a source of which pictures come or do not."""

    def __init__(self, reached: bool, refuses: bool = False) -> None:
        self._recording, self._refuses = SimpleNamespace(reached=reached), refuses
        self.recording: object | None = None

    def start_recording(self, path: Path) -> str:
        if self._refuses:
            raise StreamError(f"{path.stem[:8]} cannot be written")
        self.recording = self._recording
        return ""

    def end_recording(self) -> object | None:
        ended, self.recording = self.recording, None
        return ended


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([_Part(True), _Part(True)], ["recording 2 sources", "recorded 2 sources"]),
        ([_Part(True), _Part(False)], ["recording 2 sources", "recorded 1 source, nothing of b"]),
        ([_Part(False), _Part(False)], ["recording 2 sources", NOTHING_RECORDED]),
        (
            [_Part(True), _Part(True, refuses=True)],
            ["recording 1 source; stream-b cannot be written", "recorded 1 source"],
        ),
        ([_Part(True, refuses=True)], ["stream-a cannot be written"] * 2),
        ([], ["no source runs"] * 2),
    ],
)
def test_of_several_sources_it_is_said_which_are_recorded(parts, said, tmp_path):
    heard: list[str] = []
    window = SimpleNamespace(toggle_full_screen=None, toggle_help=None)
    tiles = SimpleNamespace(window=window, pause=None, say=heard.append)
    named = list(zip("abc", parts, strict=False))
    keys = WallKeys(tiles, lambda: named, lambda: None, folder=tmp_path)
    for _ in said:
        keys.press("r")
    assert heard == said


def test_the_sound_of_a_network_source_is_recorded_with_it(tmp_path):
    with serving("http") as server:
        source = NetworkSource(server.address, patience=Patience(30, 30))
        run, _ = live_run(source, segmenter(tmp_path))
        output = recording(run, tmp_path / "out.mkv")
        run.add(output)
        outcome = stop_after(run, output, 40)
    assert outcome.error is None
    with av.open(str(tmp_path / "out.mkv")) as container:
        audio = container.streams.audio[0]
        assert audio.codec_context.name == "aac"
        heard = [frame for frame in container.decode(audio)]
    start, end = float(heard[0].time), float(heard[-1].time)
    last = times_of(tmp_path / "out.mkv")[-1]
    assert start < 0.3 and abs(end - last) < 0.5
    # A tone, not noise: the packets are whole and in order.
    wave = np.concatenate([frame.to_ndarray()[0] for frame in heard[2:-2]])
    spectrum = np.abs(np.fft.rfft(wave))
    assert abs(np.argmax(spectrum) * 44100 / len(wave) - 440) < 5
    assert Fraction(1, 2) < last


@pytest.mark.real_time
def test_a_recording_survives_outages_at_their_true_length(tmp_path):
    with serving("http") as server:
        source = NetworkSource(server.address, patience=Patience(4, 1))
        run, _ = live_run(source, segmenter(tmp_path))
        run.add(recording(run, tmp_path / "out.mkv"))
        state = {"killed": 0.0, "shown": 0.0}

        def act() -> None:
            if run.counts.frames_out > 20 and not state["killed"]:
                server.kill()
                state["killed"] = time.monotonic()
                state["shown"] = run.counts.frames_out
                time.sleep(0.3)
                server.start()
            if run.reconnects and run.counts.frames_out > state["shown"] + 60:
                run.stop()

        outcome = run.run(on_tick=act)
    assert outcome.error is None and run.reconnects == 1
    times = times_of(tmp_path / "out.mkv")
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert max(gaps) > 0.5 and min(gaps) > 0
    assert abs(times[-1] - outcome.counts.media_seconds) < 0.1


def test_a_recording_is_not_mirrored_with_the_display(tmp_path):
    model = segmenter(tmp_path)
    run, _ = live_run(scene(), model)
    display = run.outputs[0]
    asked: list[PictureOptions] = []

    def record(path: Path, picture: PictureOptions) -> Output:
        asked.append(picture)
        return recording(run, path)

    control = Controls(run, model, display, PictureOptions(), record)
    ticks = itertools.count()

    def act() -> None:
        tick = next(ticks)
        if tick == 2:
            control.start_recording(tmp_path / "one.mkv")
        taken = control.recording
        if tick > 2 and taken is not None and taken.figures.frames > 3 and not display.key.mirror:
            assert control.toggle_mirror() == "mirror on"
            assert display.key.mirror and not taken.key.mirror
            control.next_look()
            assert display.key.mirror and not taken.key.mirror
            assert display.key.look == taken.key.look == ("binary",)
        if display.key.mirror and taken is not None and taken.figures.frames > 8:
            run.stop()
        assert tick < 600

    assert run.run(on_tick=act).error is None
    assert asked[0].mirror is None and len(times_of(tmp_path / "one.mkv")) > 8
