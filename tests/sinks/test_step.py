"""A click in the sound is heard in every container when it was in the source."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from shutil import which

import av
import numpy as np
import pytest

from tests.media import make_picture
from tests.sinks.running import fastest, run

CLICK = 0.55
SOUNDS = {
    "aac": ".mp4",
    "ac3": ".mkv",
    "alac": ".mov",
    "flac": ".mkv",
    "libmp3lame": ".mkv",
    "libopus": ".webm",
    "pcm_s24le": ".mkv",
    "vorbis": ".webm",
}
"""The source's container by the encoder of its sound."""
ELSEWHERE = {"dca": ".ts", "libspeex": ".mkv", "truehd": ".mkv", "wmav2": ".wmv"}
"""Those that only the program ffmpeg has, if it is there."""


def made_elsewhere(folder, encoder):
    if which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = folder / f"in{ELSEWHERE[encoder]}"
    rate = 16_000 if encoder == "libspeex" else 48_000
    click = f"aevalsrc=if(between(t\\,{CLICK}\\,{CLICK + 0.002})\\,0.9\\,0):s={rate}:d=1"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1"]
    command += ["-f", "lavfi", "-i", click]
    command += ["-c:v", "mpeg4", "-c:a", encoder, "-strict", "-2", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.mark.parametrize("seconds", [0.3, 3])
def test_short_lossless_sound_of_discs_is_known_in_a_broadcast_s_file(tmp_path, seconds):
    """Readers go by what it looks like, and took that of less than a second for MP3."""
    if which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    film = tmp_path / "in.mkv"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=64x48:r=25:d={seconds}"]
    command += ["-f", "lavfi", "-i", f"sine=d={seconds}", "-ac", "2", "-c:v", "mpeg4"]
    subprocess.run([*command, "-c:a", "truehd", "-strict", "-2", str(film)], check=True)
    said = " ".join(run(film, tmp_path / "out.ts").remarks)
    with av.open(str(tmp_path / "out.ts")) as written:
        (sound,) = written.streams.audio
        assert (sound.codec_context.codec.canonical_name == "truehd") == (seconds == 3)
        heard = sum(frame.samples for frame in written.decode(sound)) / sound.rate
    assert heard == pytest.approx(seconds, abs=0.1)
    assert ("re-encoded" in said) == (seconds < 3)


def clicking(folder, encoder):
    """A second of pictures, and sound that is silent but for a click."""
    ending = SOUNDS[encoder]
    path = folder / f"in{ending}"
    with av.open(str(path), "w") as container:
        codec = {".webm": "libvpx"}.get(ending, "libx264")
        video = container.add_stream(codec, rate=25, width=64, height=48, pix_fmt="yuv420p")
        video.options = {"preset": "ultrafast"} if codec == "libx264" else {"deadline": "realtime"}
        sound = container.add_stream(encoder, rate=48_000)
        sound.codec_context.layout = "stereo"
        sound.codec_context.options = {"strict": "experimental"}
        samples = np.zeros((2, 48_000), np.float32)
        samples[:, round(CLICK * 48_000) :][:, :96] = 0.9
        resampler = av.AudioResampler(sound.format, "stereo", 48_000, sound.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        container.start_encoding()
        pieces = [*resampler.resample(frame), *resampler.resample(None)]
        packets = [one for piece in pieces for one in sound.encode(piece)] + sound.encode(None)
        for index in range(25):
            picture = make_picture(index, 64, 48, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            packets += video.encode(picture)
        for packet in sorted(
            packets + video.encode(None), key=lambda one: (one.dts or 0) * one.time_base
        ):
            container.mux(packet)
    return path


def heard(path):
    """Seconds from the first picture to the click."""
    loudest, at = 0.0, None
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().astype(float).reshape(-1)
            if not frame.format.is_planar:
                samples = samples[:: len(frame.layout.channels)]
            place = int(np.argmax(np.abs(samples[: frame.samples])))
            if abs(samples[place]) > loudest:
                loudest, at = abs(samples[place]), frame.time + place / frame.sample_rate
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    assert at is not None
    return at - first


@pytest.fixture(scope="module", params=[*SOUNDS, *ELSEWHERE])
def original(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clicking")
    return (made_elsewhere if request.param in ELSEWHERE else clicking)(folder, request.param)


def test_sound_and_picture_are_in_step_in_every_container(tmp_path, original):
    wanted = heard(original)
    assert abs(wanted - CLICK) < 0.1
    for ending in (".mp4", ".mkv", ".webm", ".ts", ".avi"):
        run(original, tmp_path / f"out{ending}", preset=fastest(ending))
        assert heard(tmp_path / f"out{ending}") == pytest.approx(wanted, abs=0.012), ending


def test_a_part_of_a_film_is_in_step(tmp_path, original):
    begins = 0.2  # which is when a picture is shown
    wanted = heard(original) - begins
    for ending in (".mp4", ".mkv", ".webm", ".ts"):
        cut = {"start": begins, "end": 0.96}
        run(original, tmp_path / f"out{ending}", cut=cut, preset=fastest(ending))
        # Of sound that is copied whole packets are left out; those of FLAC last 96 ms.
        assert heard(tmp_path / f"out{ending}") == pytest.approx(wanted, abs=0.05), ending
