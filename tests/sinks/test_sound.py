"""Sound arrives in every container, at its time, in all its channels, and never ends a film."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.sinks._sound import choose_sound, declared
from stream.sinks._sound_clock import SoundClock
from tests import media
from tests.conftest import SHARED
from tests.media import make_clip
from tests.sinks.running import Run, fastest, run

ENDINGS = [".mp4", ".mov", ".mkv", ".webm", ".ts", ".m2ts", ".avi"]
MUXERS = [".mp4", ".mkv", ".webm", ".ts", ".avi"]
"""One ending of each; the others differ in what sound is copied."""


def heard(path: Path) -> np.ndarray:
    """The sound of a file as one channel at 8 kHz, from its time 0 on, silence where none is."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        zero = min((s.start_time or 0) * s.time_base for s in container.streams)
        pieces = np.zeros(0, np.float32)
        resampler = av.AudioResampler("flt", "mono", 8000)
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                at = round((piece.pts * piece.time_base - min(zero, 0)) * 8000)
                samples = piece.to_ndarray()[0]
                if abs(at - len(pieces)) < 200:  # the rounding of the container's clock
                    at = len(pieces)
                whole = np.zeros(max(len(pieces), at + len(samples)), np.float32)
                whole[: len(pieces)] = pieces
                first = max(0, at)
                whole[first : at + len(samples)] = samples[first - at :]
                pieces = whole
        return pieces


def pitch(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * 8000 / len(samples))


def moved(path: Path, output: Path, shift: Callable[[float], float]) -> Path:
    """The same file with its sound at other times, in seconds."""
    with av.open(str(path)) as given, av.open(str(output), "w") as container:
        streams = {
            one.index: container.add_stream_from_template(one, opaque=True) for one in given.streams
        }
        for packet in given.demux():
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                by = shift(float(packet.pts * packet.time_base))
                packet.pts = packet.dts = packet.pts + round(by / packet.time_base)
            packet.stream = streams[packet.stream_index]
            container.mux(packet)
    return output


@pytest.mark.parametrize(
    ("audio", "source"),
    [
        ("pcm_s16le", ".avi"),
        ("pcm_alaw", ".avi"),
        ("adpcm_ms", ".avi"),
        ("flac", ".mkv"),
        ("mp2", ".ts"),
        ("aac", ".ts"),
    ],
)
def test_every_sound_is_heard_in_every_container(tmp_path, audio, source):
    video = "mpeg4" if source == ".avi" else "libx264"
    original = make_clip(tmp_path / f"in{source}", codec=video, options={}, audio=audio, frames=15)
    for ending in ENDINGS:
        run(original, tmp_path / f"out{ending}", preset=fastest(ending))
        after = heard(tmp_path / f"out{ending}")
        assert len(after) / 8000 == pytest.approx(0.6, abs=0.15), ending
        assert pitch(after) == pytest.approx(440, abs=3), ending


def test_stereo_samples_without_named_channels_are_copied_into_an_mp4(tmp_path):
    original = make_clip(
        tmp_path / "in.avi", codec="mpeg4", options={}, audio="pcm_s16le", frames=50
    )
    done = run(original, tmp_path / "out.mp4")
    assert done.remarks == []
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].codec_context.layout.name == "stereo"
    before, after = (
        b"".join(data for _, data in media.packets(path, "audio"))
        for path in (original, tmp_path / "out.mp4")
    )
    assert after == before


@pytest.mark.parametrize(
    ("audio", "source", "ending"),
    [
        ("pcm_mulaw", ".avi", ".mkv"),
        ("pcm_alaw", ".avi", ".mkv"),
        ("adpcm_ms", ".avi", ".mov"),
    ],
)
def test_simple_sound_that_a_container_does_not_hold_keeps_every_sample(
    tmp_path, audio, source, ending
):
    original = make_clip(
        tmp_path / f"in{source}", codec="mpeg4", options={}, audio=audio, frames=25
    )
    done = run(original, tmp_path / f"out{ending}")
    assert re.fullmatch(
        r"stream 1, .* is re-encoded with pcm_s16le, every sample kept: .*", done.remarks[0]
    )
    assert len(done.remarks) == 1

    def samples(path):
        with av.open(str(path)) as container:
            return np.concatenate(
                [frame.to_ndarray().ravel() for frame in container.decode(audio=0)]
            )

    assert np.array_equal(samples(original), samples(tmp_path / f"out{ending}"))


def noisy(path: Path, codec: str, samples: np.ndarray, form: str, layout: str) -> Path:
    """A moment of film with these samples, times x channels, in a codec without loss."""
    short = make_clip(path.with_suffix(".film.mkv"), codec="mpeg4", options={}, frames=10)
    with av.open(str(short)) as film, av.open(str(path), "w") as container:
        video = container.add_stream_from_template(film.streams.video[0])
        sound = container.add_stream(codec, rate=48_000, layout=layout)
        sound.codec_context.format = form
        kind = {np.int32: "s32", np.float32: "flt"}[samples.dtype.type]
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), kind, layout)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = video
                container.mux(packet)
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def exactly(path: Path) -> np.ndarray:
    """The samples of a file, all channels of a moment after each other, as numbers up to 1."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packed = stream.codec_context.format.packed.name
        unpacked = av.AudioResampler(packed)
        pieces = [
            piece.to_ndarray().ravel()
            for frame in container.decode(stream)
            for piece in unpacked.resample(frame)
        ]
    return np.concatenate(pieces) / {"s16": 2**15, "s32": 2**31, "flt": 1}[packed]


@pytest.mark.parametrize(
    ("codec", "form", "bits", "layout", "expected"),
    [
        ("flac", "s16", 16, "stereo", {".mov": "alac", ".mp4": "flac", ".m2ts": "pcm_bluray"}),
        ("flac", "s32", 24, "stereo", {".mov": "alac", ".avi": "pcm_s24le"}),
        ("flac", "s32", 24, "7.1", {".mov": "pcm_s24le"}),
        ("tta", "s16", 16, "stereo", {".mov": "alac", ".mp4": "alac", ".mkv": "flac"}),
        ("tta", "s32", 24, "5.1", {".mp4": "alac", ".mov": "alac", ".avi": "pcm_s24le"}),
        ("tta", "s32", 24, "7.1", {".mp4": "flac"}),
        ("wavpack", "s32p", 32, "stereo", {".mov": "pcm_s32le", ".avi": "pcm_s32le"}),
        ("wavpack", "fltp", 0, "stereo", {".mov": "pcm_f32le", ".mp4": "aac"}),
        ("pcm_s16be", "s16", 16, "stereo", {".avi": "pcm_s16le"}),
    ],
)
def test_sound_without_loss_loses_nothing_where_there_is_a_way(
    tmp_path, codec, form, bits, layout, expected
):
    """FLAC had become AAC in a .mov, which holds ALAC and plain samples."""
    # TTA in Matroska is read wrongly where its length is no whole number of milliseconds.
    size = (19_200, av.AudioLayout(layout).nb_channels)
    numbers = np.random.default_rng(1)
    samples = numbers.integers(-(2**31), 2**31, size, np.int32)
    if bits:
        samples &= -1 << 32 - bits
    else:
        samples = numbers.uniform(-1, 1, size).astype(np.float32)
    original = noisy(tmp_path / "in.mkv", codec, samples, form, layout)
    for ending, name in expected.items():
        output = tmp_path / f"out{ending}"
        done = run(original, output)
        with av.open(str(output)) as film:
            assert film.streams.audio[0].codec_context.codec.canonical_name == name, ending
        if name == "aac":
            assert done.remarks == [
                f"stream 1, sound ({codec}), is re-encoded with aac: mp4 does not hold it as it is"
            ]
            continue
        before, after = exactly(original), exactly(output)
        # Blu-ray's packets are all of one length.
        assert np.array_equal(before, after[: len(before)]), ending
        assert not after[len(before) :].any(), ending
        assert not done.remarks if name == codec else "every sample kept" in done.remarks[0], ending


@pytest.mark.parametrize(
    ("codec", "form", "bits", "into"),
    [
        ("pcm_s24le", "s32", 24, "alac, every sample kept"),
        ("pcm_s24be", "s32", 24, "alac, every sample kept"),
        ("pcm_s32le", "s32", 32, "alac in 24 bits"),
        ("pcm_s16be", "s16", 16, None),
        ("pcm_f32le", "flt", 0, None),
    ],
)
def test_older_readers_make_no_noise_of_what_is_in_an_mp4(tmp_path, codec, form, bits, into):
    """FFmpeg before 6.1 takes all whole samples in an MP4 for 16 bits."""
    numbers = np.random.default_rng(1)
    samples = numbers.integers(-(2**31), 2**31, (20_000, 2), np.int32)
    samples &= -1 << 32 - bits if bits else 0
    if not bits:
        samples = numbers.uniform(-1, 1, (20_000, 2)).astype(np.float32)
    original = noisy(tmp_path / "in.mov", codec, samples, form, "stereo")
    done = run(original, tmp_path / "out.mp4")
    before, after = exactly(original), exactly(tmp_path / "out.mp4")
    assert np.abs(before - after[: len(before)]).max() <= (2**-23 if bits == 32 else 0)
    said = {
        "pcm_s16be": [],
        "pcm_f32le": [
            f"stream 1, sound ({codec}), is kept as it is, which older readers of mp4 play as "
            "noise or not at all; .mov is safe"
        ],
    }
    why = "older readers of mp4 make noise of it"
    wanted = [f"stream 1, sound ({codec}), is re-encoded with {into}: {why}"]
    assert done.remarks == said.get(codec, wanted)
    with av.open(str(tmp_path / "out.mp4")) as film:
        name = film.streams.audio[0].codec_context.codec.canonical_name
    assert name == (codec if into is None else "alac")
    reader = shutil.which("ffmpeg")
    if reader is not None and codec != "pcm_f32le":
        heard = subprocess.run(
            [reader, "-v", "error", "-i", str(tmp_path / "out.mp4"), "-f", "s32le", "-"],
            capture_output=True,
            check=True,
        )
        assert np.array_equal(np.frombuffer(heard.stdout, "<i4")[: len(after)] / 2**31, after)


def test_samples_that_nothing_else_keeps_stay_and_are_named(tmp_path):
    """ALAC and FLAC have eight channels at most."""
    samples = np.random.default_rng(1).integers(-(2**31), 2**31, (9_000, 16), np.int32)
    samples &= -1 << 8
    original = noisy(tmp_path / "in.mov", "pcm_s24le", samples, "s32", "hexadecagonal")
    done = run(original, tmp_path / "out.mp4")
    assert np.array_equal(exactly(original), exactly(tmp_path / "out.mp4"))
    assert done.remarks == [
        "stream 1, sound (pcm_s24le), is kept as it is, which older readers of mp4 play as noise "
        "or not at all; .mov is safe"
    ]


def test_samples_that_may_have_32_bits_keep_24_rather_than_what_the_ear_does(tmp_path):
    samples = np.random.default_rng(1).integers(-(2**31), 2**31, (20_000, 2), np.int32)
    original = noisy(tmp_path / "in.mkv", "wavpack", samples, "s32p", "stereo")
    done = run(original, tmp_path / "out.mp4")
    assert done.remarks == [
        "stream 1, sound (wavpack), is re-encoded with alac in 24 bits: mp4 does not hold it as it "
        "is"
    ]
    apart = np.abs(exactly(original) - exactly(tmp_path / "out.mp4"))
    assert apart.max() <= 2**-23


def encoded_anew(tmp_path: Path, shift: Callable[[float], float]) -> tuple[np.ndarray, Run]:
    plain = make_clip(tmp_path / "plain.mkv", audio="flac", frames=100)
    original = moved(plain, tmp_path / "in.mkv", shift)
    done = run(original, tmp_path / "out.webm", preset="8")
    assert len(media.decode(tmp_path / "out.webm").pts) == 100
    return heard(tmp_path / "out.webm"), done


def test_a_clock_that_trembles_changes_nothing(tmp_path):
    after, done = encoded_anew(tmp_path, lambda at: 0.018 * np.sin(at * 9))
    assert len(after) / 8000 == pytest.approx(4, abs=0.1)
    assert not [remark for remark in done.remarks if "gaps" in remark or "twice" in remark]


def test_a_gap_is_filled_with_silence(tmp_path):
    after, done = encoded_anew(tmp_path, lambda at: 0.5 if at > 2 else 0)
    assert len(after) / 8000 == pytest.approx(4.5, abs=0.1)
    hush = [
        at for at in range(0, len(after) - 400, 400) if np.abs(after[at : at + 400]).max() < 1e-3
    ]
    assert hush[0] / 8000 == pytest.approx(2.05, abs=0.1)
    assert len(hush) * 0.05 == pytest.approx(0.45, abs=0.1)
    assert "in stream 1, sound, 0.50 s of gaps were filled with silence" in done.remarks[-1]


def test_an_overlap_is_closed(tmp_path):
    after, done = encoded_anew(tmp_path, lambda at: -0.06 if at > 2 else 0)
    assert len(after) / 8000 == pytest.approx(3.94, abs=0.03)
    assert "in stream 1, sound, 0.06 s that came twice were left out" in done.remarks[-1]


def test_rate_and_channels_may_change_on_the_way(tmp_path):
    joined = tmp_path / "in.ts"
    with joined.open("wb") as file:
        for number, (layout, rate) in enumerate([("stereo", 48000), ("mono", 32000)]):
            part = tmp_path / f"part{number}.ts"
            with av.open(str(part), "w") as container:
                video = container.add_stream("libx264", rate=25)
                video.width, video.height = 64, 48
                sound = container.add_stream("mp2", rate=rate)
                sound.codec_context.layout = layout
                for index in range(50):
                    at = number * 50 + index
                    picture = media.make_picture(at, 64, 48, "yuv420p")
                    picture.pts, picture.time_base = at, Fraction(1, 25)
                    container.mux(video.encode(picture))
                    size = rate // 25
                    wave = np.sin((np.arange(size) + index * size) * 2 * np.pi * 440 / rate)
                    values = np.repeat(
                        (8000 * wave).astype(np.int16), 2 if layout == "stereo" else 1
                    )
                    frame = av.AudioFrame.from_ndarray(values[None], "s16", layout)
                    frame.sample_rate, frame.pts = rate, at * size
                    frame.time_base = Fraction(1, rate)
                    container.mux(sound.encode(frame))
                container.mux(sound.encode(None))
                container.mux(video.encode(None))
            file.write(part.read_bytes())
    run(joined, tmp_path / "out.webm", preset="8")
    after = heard(tmp_path / "out.webm")
    assert len(after) / 8000 == pytest.approx(4, abs=0.25)
    assert pitch(after[:12000]) == pytest.approx(440, abs=3)
    assert pitch(after[20000:28000]) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("layout", ["5.1", "7.1", "mono", "stereo"])
@pytest.mark.parametrize("ending", [".mov", ".webm", ".ts"])
def test_channels_are_kept_where_the_encoder_can(tmp_path, layout, ending):
    original = tmp_path / "in.mkv"
    channels = av.AudioLayout(layout).nb_channels
    with av.open(str(original), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height = 64, 48
        sound = container.add_stream("flac", rate=48000)
        sound.codec_context.layout = layout
        for index in range(15):
            picture = media.make_picture(index, 64, 48, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
            at = np.arange(1920) + index * 1920
            # A tone of its own for each channel.
            tones = [np.sin(at * 2 * np.pi * 300 * (c + 1) / 48000) for c in range(channels)]
            values = (6000 * np.stack(tones, axis=1)).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(values, "s16", layout)
            frame.sample_rate, frame.pts = 48000, index * 1920
            frame.time_base = Fraction(1, 48000)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        container.mux(video.encode(None))
    run(original, tmp_path / f"out{ending}", preset=fastest(ending))
    with av.open(str(tmp_path / f"out{ending}")) as container:
        # Packed, as PyAV miscounts the planes of eight channels.
        resampler = av.AudioResampler("flt")
        frames = [one for f in container.decode(audio=0) for one in resampler.resample(f)]
        assert frames[0].layout.nb_channels == channels
        after = np.concatenate([f.to_ndarray().reshape(-1, channels) for f in frames[1:-1]])
    names = [c.name for c in av.AudioLayout(layout).channels]
    for channel, name in enumerate(c.name for c in frames[0].layout.channels):
        if name == "LFE":  # which is low frequencies only
            continue
        spectrum = np.abs(np.fft.rfft(after[:, channel]))
        want = 300 * (names.index(name) + 1)
        assert np.argmax(spectrum) * 48000 / len(after) == pytest.approx(want, abs=9)


def test_fewer_channels_are_said(tmp_path):
    assert choose_sound("libmp3lame", "5.1", 96000).layout == "stereo"
    assert choose_sound("libmp3lame", "mono", 7000).rate == 8000
    assert choose_sound("aac", "7.1", 192000) == choose_sound("aac", "7.1", 96000)
    assert choose_sound("libopus", "5.1(side)", 44100).layout == "5.1"


def test_channels_without_names_get_the_usual_ones():
    for count, name in [(1, "mono"), (2, "stereo"), (6, "5.1"), (8, "7.1")]:
        assert declared(av.AudioLayout(f"{count}C" if count > 0 else "")) == name
    assert av.AudioLayout(declared(av.AudioLayout("11C"))).nb_channels == 11
    assert declared(av.AudioLayout("60C")) is None
    # What the head of a damaged file says: no channels at all.
    assert declared(av.CodecContext.create("vorbis", "r").layout) is None


def test_the_clock_places_every_piece_behind_the_one_before():
    clock = SoundClock(1000, from_zero=False)
    assert clock.place(500, 100) == (500, 0, 0)
    assert clock.place(None, 100) == (600, 0, 0)
    assert clock.place(730, 100) == (700, 0, 0)  # 30 ms are not heard
    assert clock.place(900, 100) == (800, 100, 0)
    assert clock.place(950, 100) == (1000, 0, 50)
    assert clock.place(900, 100) == (1050, 0, 100)
    assert clock.place(101_050, 100) == (101_050, 0, 0)
    assert clock.place(0, 100) == (101_150, 0, 0)
    assert clock.place(100, 100) == (101_250, 0, 0)
    assert (clock.filled, clock.closed, clock.paused, clock.restarts) == (100, 150, 1, 1)
    late = SoundClock(1000, from_zero=True)
    assert late.place(100_000, 100) == (0, 100_000, 0)


def test_of_a_track_without_times_all_that_is_before_its_beginning_is_left_out():
    clock = SoundClock(1000, from_zero=True)
    # More than a second, which elsewhere is a clock that starts over; and less than is heard.
    assert clock.place(-1510, 1000) == (0, 0, 1000)
    assert clock.place(-510, 500) == (0, 0, 500)
    assert clock.place(-10, 100) == (0, 0, 10)
    assert clock.place(90, 100) == (90, 0, 0)
    assert (clock.early, clock.closed, clock.restarts) == (1510, 0, 0)


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
@pytest.mark.parametrize(
    "name",
    ["03_adpcm.avi", "03_camera_pcm.avi", "03_nvr_g711.mkv", "03_pcm.mkv",
     "06_sound_overlaps_30ms.mkv", "14_surround_flac.mkv", "05_flac_and_srt.mkv"],
)  # fmt: skip
def test_the_sounds_that_ended_a_film(tmp_path, name):
    original = SHARED / "cases" / "files" / name
    before = heard(original)
    for ending in MUXERS:
        output = tmp_path / f"out{ending}"
        done = run(original, output, preset=fastest(ending))
        assert not [remark for remark in done.remarks if "damaged" in remark], ending
        assert len(heard(output)) == pytest.approx(len(before), abs=1600), ending
        assert len(media.decode(output).pts) == len(done.times), ending
        if name == "14_surround_flac.mkv" and ending != ".avi":
            with av.open(str(output)) as container:
                assert container.streams.audio[0].codec_context.layout.nb_channels == 6, ending


def test_sound_from_all_around_is_brought_to_two_ears(tmp_path):
    """FFmpeg brings it to no other layout, so that all of it was said to be damaged."""
    original = tmp_path / "in.mkv"
    with av.open(str(original), "w") as made:
        video = made.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        options = {"mapping_family": "2", "b": "256000"}
        sound = made.add_stream("libopus", rate=48_000, layout="4.0", options=options)
        for index in range(25):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = index
            made.mux(video.encode(picture))
        made.mux(video.encode(None))
        samples = np.zeros((48_000, 4), np.float32)
        # All of it comes from the left.
        samples[:, 0] = samples[:, 1] = 0.2 * np.sin(np.arange(48_000) * 440 * 2 * np.pi / 48_000)
        piece = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "flt", "4.0")
        piece.sample_rate, piece.pts = 48_000, 0
        made.mux([*sound.encode(piece), *sound.encode(None)])
    done = run(original, tmp_path / "out.mov", preset="ultrafast")
    (remark,) = done.remarks
    assert "as stereo instead of ambisonic 1" in remark
    with av.open(str(tmp_path / "out.mov")) as made:
        heard = np.concatenate([piece.to_ndarray() for piece in made.decode(audio=0)], axis=1)
    left, right = np.abs(heard[:, 9_600:38_400]).max(axis=1)
    assert left == pytest.approx(0.2, abs=0.02) and right < 0.01
