"""Recording beside the display: true times, sound, any picture size, nothing lost in silence."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import SinkError, StreamError
from stream.frame import Frame, Item
from stream.live.recorder import Fit, Recorder
from stream.sinks.base import Sink
from stream.sinks.video import VideoSink
from stream.sources.network import NetworkSource, Patience
from tests.live.helpers import RATE, Scene, live_run, run_for, scene, segmenter
from tests.sources.serving import serving


def open_sink(path: Path, info) -> Sink:
    return VideoSink(path, info, preset="ultrafast")


class Slowest(Sink):
    """An encoder that cannot keep up, or breaks."""

    def __init__(self, seconds: float = 0.1, fail_at: int | None = None) -> None:
        self.seconds, self.fail_at = seconds, fail_at
        self.written: list[Item] = []
        self.aborted = False

    def write(self, item: Item) -> None:
        if len(self.written) == self.fail_at:
            raise SinkError("the disk is full; nothing was saved")
        time.sleep(self.seconds)
        self.written.append(item)

    def close(self) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


def frames(count: int) -> list[Frame]:
    return list(itertools.islice(Scene(), count))


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_times_begin_with_the_recording_and_are_true(tmp_path):
    given = [replace(frame, pts=frame.pts * 2 + 300) for frame in frames(10)]
    recorder = Recorder(tmp_path / "out.mkv", Scene().info, open_sink)
    for frame in given:
        recorder.put(frame)
    recorder.close()
    assert recorder.error is None and recorder.remarks == []
    assert recorder.recorded.frames == 10
    assert times_of(tmp_path / "out.mkv") == pytest.approx(
        [2 * n / RATE for n in range(10)], abs=2e-3
    )


def test_an_encoder_that_cannot_keep_up_loses_frames_and_says_so(tmp_path):
    sink = Slowest(0.01)
    recorder = Recorder(tmp_path / "x.mkv", Scene().info, lambda path, info: sink)
    for frame in frames(100):
        recorder.put(frame)
    recorder.close()
    assert recorder.recorded.dropped > 40
    assert recorder.recorded.frames == len(sink.written) == 100 - recorder.recorded.dropped
    assert "could not keep up; choose a faster --preset" in recorder.remarks[0]
    indices = [item.index for item in sink.written if isinstance(item, Frame)]
    assert indices == sorted(indices)


def test_pictures_of_another_size_are_fitted_in(tmp_path):
    recorder = Recorder(tmp_path / "out.mkv", Scene().info, open_sink)
    for frame in frames(4):
        if frame.index >= 2:
            frame.picture = frame.picture.reformat(width=640, height=300, format="yuv444p")
        recorder.put(frame)
    recorder.close()
    assert recorder.error is None
    with av.open(str(tmp_path / "out.mkv")) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(240, 320)] * 4
    assert pictures[1][:30].mean() > 50 and pictures[3][:40].max() < 25, "no bars above"
    assert np.abs(pictures[3][90:150].astype(int).mean() - pictures[1].mean()) < 40


def test_what_fits_is_not_touched():
    picture = frames(1)[0].picture
    assert Fit(320, 240, "yuv420p")(picture) is picture


def test_a_run_records_what_it_shows(tmp_path):
    run, notes, _ = live_run(scene(), segmenter(tmp_path), open_sink=open_sink)
    run.start_recording(tmp_path / "one.mp4")
    with pytest.raises(StreamError, match="being recorded already"):
        run.start_recording(tmp_path / "two.mp4")
    outcome = run_for(run, 1.0)
    assert outcome.error is None and run.recording is None
    (recorded,) = run.recordings
    assert recorded.frames == outcome.counts.frames_out and recorded.dropped == 0
    shown = [seconds for seconds, _ in notes.frames]
    assert times_of(recorded.path) == pytest.approx([at - shown[0] for at in shown], abs=2e-3)


def test_a_recording_can_begin_and_end_while_it_runs(tmp_path):
    run, _, _ = live_run(scene(), segmenter(tmp_path), open_sink=open_sink)
    counted: list[int] = []

    def act() -> None:
        counted.append(1)
        if len(counted) in (3, 9):
            run.start_recording(tmp_path / f"{len(counted)}.mkv")
        if len(counted) in (8, 14):
            assert run.stop_recording() is not None
        if len(counted) == 15:
            run.stop()

    outcome = run.run(on_tick=act)
    assert outcome.error is None and run.stop_recording() is None
    for name in ("3.mkv", "9.mkv"):
        times = times_of(tmp_path / name)
        assert times[0] == 0 and 3 < len(times) < 30


def test_a_broken_recording_ends_the_run_with_its_sentence(tmp_path):
    sink = Slowest(0, fail_at=5)
    run, _, _ = live_run(scene(), segmenter(tmp_path), open_sink=lambda path, info: sink)
    run.start_recording(tmp_path / "x.mkv")
    outcome = run.run()
    assert isinstance(outcome.error, SinkError) and sink.aborted


def test_the_sound_of_a_network_source_is_recorded_with_it(tmp_path):
    with serving("http") as server:
        source = NetworkSource(server.address, patience=Patience(4, 1))
        run, _, _ = live_run(source, segmenter(tmp_path), open_sink=open_sink)
        run.start_recording(tmp_path / "out.mkv")
        outcome = run_for(run, 2.0)
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


def test_a_recording_survives_outages_at_their_true_length(tmp_path):
    with serving("http") as server:
        source = NetworkSource(server.address, patience=Patience(4, 1))
        run, _, _ = live_run(source, segmenter(tmp_path), open_sink=open_sink)
        run.start_recording(tmp_path / "out.mkv")
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
