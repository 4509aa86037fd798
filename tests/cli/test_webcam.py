"""`stream webcam` and `stream url` as users start them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from tests.cli.conftest import environment
from tests.sources.serving import free_port, serving


def test_without_a_camera_the_list_is_empty_and_the_way_out_is_named(stream):
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has cameras")
    for asked in ("--list", "--no-display"):
        result = stream("webcam", asked)
        assert (result.code, result.out) == (1, ""), "a script takes each line for a camera"
        assert "no camera found" in result.err and "stream webcam pattern" in result.err
        assert len(result.err.strip().splitlines()) == 1


def test_a_clip_as_camera_is_recorded_and_reported(stream, clip, bright, tmp_path):
    result = stream(
        "webcam", "--device", clip, "--as-camera", "--no-display", "-o", "take.mp4",
        "--model", bright, "--seconds", 1.5, "--report", "live.json", "--every", "2",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "capture to display" in result.out and "carried by motion" in result.out
    written = json.loads((tmp_path / "live.json").read_text())
    run = written["runs"][0]
    assert run["live"]["finished"] and run["live"]["carried"] > 0
    assert 0 < run["frames_in"] < 50  # 36 where nothing else wants the processor
    assert run["stages"]["capture to display"]["frames"] == run["frames_out"]
    with av.open(str(tmp_path / "take.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == run["frames_out"]
    again = stream("webcam", "pattern", "--no-display", "-o", "take.mp4", "--model", bright)
    assert again.code == 2 and "take.mp4" in again.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("webcam", "pattern", "--size", "big"), "WIDTHxHEIGHT"),
        (("webcam", "pattern", "--every", "0"), "from 1 on, or auto"),
        (("webcam", "--as-camera"), "--device FILE"),
        (("url", "camera.local"), "not an address"),
        (("webcam", "film.mp4"), "--device film.mp4 --as-camera"),
        (("webcam", "no such camera"), "--list"),
    ],
)
def test_what_is_asked_wrongly_is_said(stream, options, words):
    result = stream(*options, "--no-display")
    assert result.code == 2 and words in result.err and "Traceback" not in result.err


def test_without_a_display_it_says_what_can_be_done(program, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if sys.platform != "linux":
        pytest.skip("only Linux can be without a display")
    result = program("webcam", "pattern")
    assert result.code == 1 and "--no-display" in result.err


def test_without_camera_and_display_both_are_named(stream, monkeypatch):
    if list(Path("/dev").glob("video*")) or sys.platform != "linux":
        pytest.skip("this machine has cameras, or cannot be without a display")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = stream("webcam")
    assert result.code == 1 and len(result.err.strip().splitlines()) == 1
    assert "no camera found" in result.err and "there is no display here" in result.err
    assert "--no-display" in result.err and "stream webcam pattern" in result.err


def frames_of(path):
    """How many pictures of a file that may still be written can be decoded."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.FFmpegError, OSError):
        return 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_recording_plays_however_the_run_ends(bright, tmp_path, ending):
    process = subprocess.Popen(
        [sys.executable, "-m", "stream", "webcam", "pattern", "--no-display", "-o", "out.mp4",
         "--model", bright, "--size", "160x120", "--report", "live.json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    recording = tmp_path / "out.mp4"
    deadline = time.monotonic() + 100
    while frames_of(recording) <= 5 and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(ending)
    out, err = process.communicate(timeout=60)
    assert frames_of(recording) > 5
    if ending == signal.SIGKILL:
        return
    assert process.returncode == 0 and "Traceback" not in err, err
    assert "frames in" in out
    assert json.loads((tmp_path / "live.json").read_text())["runs"][0]["interrupted"]


def test_passwords_are_nowhere(program, stream, bright, tmp_path):
    with serving("http") as server:
        address = server.address.replace("http://", "http://operator:hunter2pass@")
        good = program(
            "url", address, "--no-display", "-o", "take.mkv", "--model", bright,
            "--seconds", 1, "--report", "live.json", "--verbose",
        )  # fmt: skip
    assert good.code == 0, good.err
    refused = stream(
        "url", f"rtsp://operator:hunter2pass@127.0.0.1:{free_port()}/x", "--no-display",
        "--model", bright, "--verbose",
    )  # fmt: skip
    assert refused.code == 1 and "refused" in refused.err
    said = [good.out, good.err, refused.out, refused.err, (tmp_path / "live.json").read_text()]
    for text in said:
        assert "hunter2pass" not in text and "operator" not in text
    with av.open(str(tmp_path / "take.mkv")) as container:
        assert "hunter2pass" not in str(container.metadata)
        assert len(container.streams.audio) == 1


def test_every_in_footage_keeps_every_frame(stream, clip, bright, tmp_path):
    result = stream("file", clip, "-o", "out.mp4", "--model", bright, "--every", 3,
                    "--report", "run.json")  # fmt: skip
    assert result.code == 0, result.err
    run = json.loads((tmp_path / "run.json").read_text())["runs"][0]
    assert (run["frames_in"], run["frames_out"]) == (24, 24)
    assert run["stages"]["infer"]["frames"] == 9, "every third, and the last one"
    assert "inference ran on 9 frames; to the other 15" in " ".join(run["remarks"])
    assert (tmp_path / "out.mp4").stat().st_size > 1000
