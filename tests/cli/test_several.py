"""Several live sources of one command, side by side, in one window."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest

from stream.run.account import Account
from stream.wording.names import distinct
from tests import tiny_models
from tests.cli.conftest import environment
from tests.media import decode
from tests.sinks.desktop import desktop
from tests.sources.serving import Server, serving

RED, BLUE = (220, 30, 30), (30, 30, 220)


def plain(path, colour, frames=50, rate=25):
    """A clip of one colour, without loss of it that the eye would see."""
    options = {"preset": "veryfast", "crf": "10"}
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        for _ in range(frames):
            pixels = np.full((120, 160, 3), colour, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode())
    return path


@pytest.fixture
def two(tmp_path):
    return plain(tmp_path / "red.mp4", RED), plain(tmp_path / "blue.mp4", BLUE)


def middle(path):
    """The colour in the middle of a recording's last frame, and all times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pixels = frames[-1].to_ndarray(format="rgb24")
    return pixels[60, 80].astype(int), [frame.time for frame in frames]


def test_equal_names_are_told_apart():
    assert distinct(["a", "a", "b", "a"]) == ["a", "a-2", "b", "a-3"]
    names = distinct(["a", "a-2", "a"])
    assert names[:2] == ["a", "a-2"] and len(set(names)) == 3


@pytest.mark.parametrize("option", ["-o", "--report"])
def test_one_file_for_several_sources_is_refused_in_a_sentence(stream, two, option):
    result = stream("webcam", *two, "--as-camera", "--no-display", option, "one.json")
    assert result.code == 2 and "{name}" in result.err
    assert len(result.err.strip().splitlines()) == 1


@pytest.mark.real_time
def test_each_source_has_its_own_recording_and_report_and_its_share_of_the_model(
    stream, two, tmp_path, monkeypatch
):
    # Until all have had their turn, as two seconds of a busy machine may be too few for that.
    runs = {}
    tick = Account.tick

    def enough(self):
        runs[self._run.source.info.name] = self._run
        if len(runs) == 2 and all(_had_its_turns(run) for run in runs.values()):
            for run in runs.values():
                run.stop()
        tick(self)

    monkeypatch.setattr(Account, "tick", enough)
    model = tiny_models.slow(tmp_path / "slow.onnx", 30.0)
    result = stream(
        "webcam", *(f"loop:{one}" for one in two), "--no-display", "--model", model,
        "-o", "take-{name}.mkv", "--report", "{name}.json", "--seconds", "200", "--no-timing",
    )  # fmt: skip
    assert result.code == 0, result.err
    inferred = []
    for name, colour in (("red", RED), ("blue", BLUE)):
        run = json.loads((tmp_path / f"{name}.json").read_text())["runs"][0]
        pixel, times = middle(tmp_path / f"take-{name}.mkv")
        assert np.abs(pixel - colour).max() < 40
        assert len(times) == run["live"]["recordings"][0]["frames"] > 5
        # Frames that were left out leave the others where they belong: on the source's own 1/25 s.
        assert times[0] == 0
        assert max(abs(25 * one - round(25 * one)) for one in times) < 0.05
        inferred.append(run["stages"].get("infer", {"frames": 0})["frames"])
    # Neither starves the other. Equal they are while both ask all the time (test_turns.py), and on
    # a busy machine a source does not.
    assert 0 < max(inferred) <= 3 * min(inferred) + 3


def _had_its_turns(run):
    inferred = run.clock.figures().get("infer")
    return inferred is not None and inferred.frames >= 5 and run.counts.written >= 10


def test_a_source_that_fails_is_said_and_the_others_go_on(stream, two, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    model = tiny_models.nothing(tmp_path / "nothing.onnx")
    result = stream(
        "webcam", two[0], broken, "--as-camera", "--no-display", "--model", model,
        "-o", "take-{name}.mkv", "--seconds", "1", "--blur-strength", "5",
    )  # fmt: skip
    assert result.code == 1 and "Traceback" not in result.err
    assert result.out.count("--blur-strength changed nothing") == 1  # of the one that ran
    assert "broken: " in result.err
    assert len(middle(tmp_path / "take-red.mkv")[1]) > 5


def seen(screen, condition, what):
    deadline = time.monotonic() + 60
    while not condition(picture := screen.screenshot()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return picture


def share(picture, colour):
    """How much of the screen has a colour."""
    return float(of(picture, colour).mean())


def of(picture, colour):
    """Which parts of the screen have a colour, [H, W]."""
    low, high = (np.clip(np.array(colour) + by, 0, 255) for by in (-49, 49))
    return cv2.inRange(picture, low, high) > 0


@pytest.mark.real_time
def test_a_window_shows_each_source_in_its_tile_and_one_enlarged(tmp_path):
    for name, colour in (("red", RED), ("blue", BLUE)):
        plain(tmp_path / f"{name}.mp4", colour)
    model = tiny_models.nothing(tmp_path / "nothing.onnx")
    with desktop() as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "webcam", "loop:red.mp4", "loop:blue.mp4",
             "--model", str(model), "--no-timing"],
            cwd=tmp_path,
            env={**screen.environment, "PYTHONPATH": environment()["PYTHONPATH"]},
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            screen.window("stream: red, blue")

            def both(picture):
                red, blue = share(picture, RED), share(picture, BLUE)
                return min(red, blue) > 0.005 and max(red, blue) < 2 * min(red, blue)

            picture = seen(screen, both, "not both sources are there")
            where = [np.nonzero(of(picture, colour))[1].mean() for colour in (RED, BLUE)]
            assert where[0] < where[1]  # in the order in which they were named

            def only(colour, other):
                return lambda one: share(one, colour) > 0.005 and share(one, other) == 0

            screen.press("2")
            seen(screen, only(BLUE, RED), "the second one is not enlarged")
            screen.press("2")
            seen(screen, both, "it did not go back")
            rows = np.nonzero(of(picture, RED))[0]
            screen.do(
                "xdotool", "mousemove", str(int(where[0])), str(int(rows.mean())), "click", "1"
            )
            seen(screen, only(RED, BLUE), "a click does not enlarge the first one")
            screen.press("q")
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0 and "Traceback" not in said, said
        finally:
            process.kill()
            process.communicate()


@pytest.mark.slow
@pytest.mark.real_time
def test_ctrl_c_in_front_of_a_window_with_three_sources_ends_all_and_keeps_what_was_recorded(
    tmp_path,
):
    colours = {"red": RED, "blue": BLUE, "green": (30, 200, 30)}
    for name, colour in colours.items():
        plain(tmp_path / f"{name}.mp4", colour)
    model = tiny_models.nothing(tmp_path / "nothing.onnx")
    with desktop() as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "webcam", *(f"loop:{one}.mp4" for one in colours),
             "--model", str(model), "--no-timing", "-o", "take-{name}.mkv"],
            cwd=tmp_path,
            env={**screen.environment, "PYTHONPATH": environment()["PYTHONPATH"]},
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            screen.window("stream: red, blue, green")
            seen(
                screen,
                lambda picture: min(share(picture, one) for one in colours.values()) > 0.005,
                "not all three sources are there",
            )
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0 and "Traceback" not in said, said
    for name, colour in colours.items():
        pixel, times = middle(tmp_path / f"take-{name}.mkv")
        assert np.abs(pixel - colour).max() < 40 and len(times) > 5


@pytest.mark.slow
@pytest.mark.real_time
@pytest.mark.parametrize("command", ["url", "serve"])
def test_ctrl_c_waits_for_no_address_that_does_not_answer(tmp_path, command):
    model = tiny_models.bright(tmp_path / "bright.onnx", threshold=230)
    how = ["--port", "0"] if command == "serve" else ["--no-display", "-o", "{name}.mkv"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        place = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", command, f"{place}/a", f"{place}/b",
             "--model", str(model), *how],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            accepted = [silent.accept()[0] for _ in range(2)]
            time.sleep(0.5)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            took = time.monotonic() - began
        finally:
            process.kill()
            process.wait()
        for one in accepted:
            one.close()
    # Opening alone has a patience of twelve seconds.
    assert took < 8, said
    assert "Traceback" not in said


@pytest.mark.real_time
def test_an_address_that_is_not_there_at_first_is_waited_for(tmp_path):
    model = tiny_models.nothing(tmp_path / "nothing.onnx")
    told = tmp_path / "told"
    later = Server("http")
    with serving("http") as here:
        with told.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", "url", here.address, later.address,
                 "--no-display", "--model", str(model), "-o", "{name}.mkv"],
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )  # fmt: skip
        try:
            wait(lambda: "it is tried again" in told.read_text())
            later.start()
            wait(lambda: len(recorded(tmp_path)) == 2)
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
        finally:
            process.kill()
            process.wait()
            later.kill()
    said = told.read_text()
    assert code == 0, said
    assert said.count("refused") == 1 and "Traceback" not in said
    assert all(len(decode(one).pts) > 0 for one in recorded(tmp_path))


def recorded(folder):
    """Recordings of which something is on the disk."""
    return [one for one in folder.glob("*.mkv") if one.stat().st_size > 4000]


def wait(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
