"""Texts are shown when they were, in every container, however far apart or close they lie."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sinks._subtitles import Laps
from stream.sinks.video import VideoSink
from stream.sources.file import FileSource
from tests import media
from tests.conftest import SHARED
from tests.media import make_clip
from tests.sinks.running import run


def sample(words: str) -> bytes:
    return len(words).to_bytes(2, "big") + words.encode()


@given(
    texts=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 4000)), min_size=1, max_size=12),
    settling=st.lists(st.integers(0, 70_000), max_size=12),
)
def test_samples_follow_each_other_and_show_every_text_at_its_time(texts, settling):
    written: list[tuple[int, int, bytes]] = []
    laps = Laps(lambda *one: written.append(one), behind=40)
    begin, want = 0, []
    for number, (later, length) in enumerate(texts):
        begin += later
        # As pictures do, time never comes to where texts are still to come.
        for now in (now for now in settling if now < begin):
            laps.settle(now)
        laps.add(begin, begin + length, sample(str(number)))
        want.append((begin, begin + length))
    laps.finish()

    assert written[0][0] == 0
    for one, other in itertools.pairwise(written):
        assert one[1] == other[0]
    for number, (begin, end) in enumerate(want):
        shown = [(a, b) for a, b, text in written if str(number) in text[2:].decode().split("\n")]
        assert (shown[0][0], shown[-1][1]) == (begin, end)
    for _, _, text in written:
        assert int.from_bytes(text[:2], "big") == len(text) - 2


def told(path: Path) -> dict[str, float]:
    """When each text is first shown, in seconds."""
    first: dict[str, float] = {}
    for at, data in media.packets(path, "subtitle"):
        for line in data[2:].decode().split("\n"):
            if line:
                first.setdefault(line, float(at))
    return first


@pytest.mark.parametrize(
    "seed",
    # The longest films in the slow suite.
    [
        pytest.param(one, marks=[pytest.mark.slow] * (one in {1, 2, 3, 5, 9, 10, 11, 14}))
        for one in range(16)
    ],
)
def test_texts_keep_their_times_in_files_of_fragments(tmp_path, seed):
    # An assertion of FFmpeg's took the process with it in most of these.
    chosen = random.Random(seed)
    rate = chosen.choice([Fraction(10), Fraction(25), Fraction(30000, 1001), Fraction(60)])
    frames = chosen.choice([100, 250, 600])
    at, texts = chosen.choice([0.0, 0.2, 3.5]), []
    while at < frames / rate:
        length = chosen.choice([chosen.uniform(0.2, 6), 2])
        texts.append((at, at + length, f"text {len(texts)}"))
        at += length + chosen.choice([0, 0, chosen.uniform(0, 12), -0.9 * min(length, 1)])
    original = make_clip(
        tmp_path / "in.mkv", frames=frames, rate=rate, subtitles=texts,
        audio=chosen.choice([None, "aac"]), audio_seconds=chosen.choice([None, 1.0]),
    )  # fmt: skip
    output = tmp_path / chosen.choice(["out.mp4", "out.mov"])
    with FileSource(original) as source:
        ticks = chosen.choice([1000, 90_000, 600_000, 1_000_000])
        info = replace(source.info, time_base=Fraction(1, ticks))
        with VideoSink(output, info, preset="ultrafast") as sink:
            for item in source:
                sink.write(item)
    first = told(output)
    assert {words: pytest.approx(begin, abs=0.002) for begin, _, words in texts} == first
    assert len(media.decode(output).pts) == frames


def test_texts_of_an_mp4_are_copied_with_their_gaps(tmp_path):
    texts = [(1.0, 2.0, "one"), (2.0, 3.5, "two"), (9.0, 9.5, "three")]
    original = make_clip(tmp_path / "in.mp4", frames=300, subtitles=texts)
    run(original, tmp_path / "middle.mp4")
    run(tmp_path / "middle.mp4", tmp_path / "out.mp4")
    run(tmp_path / "out.mp4", tmp_path / "out.mkv")
    first = told(tmp_path / "out.mp4")
    assert first == {"one": pytest.approx(1), "two": pytest.approx(2), "three": pytest.approx(9)}
    back = [
        (float(at), data) for at, data in media.packets(tmp_path / "out.mkv", "subtitle") if data
    ]
    assert back == [(1.0, b"one"), (2.0, b"two"), (9.0, b"three")]


def test_the_last_text_makes_a_film_no_longer(tmp_path):
    for begin, end in [(0.0, 1.5), (0.5, 1.8), (1.0, 2.0)]:
        texts = [(begin, end, "words")]
        original = make_clip(tmp_path / "in.mkv", frames=50, subtitles=texts)
        run(original, tmp_path / "out.mp4", overwrite=True)
        with av.open(str(tmp_path / "out.mp4")) as film:
            assert film.duration == 2_000_000, (begin, end)


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="shared/cases is not here")
@pytest.mark.parametrize("ending", [".mp4", ".mov"])
@pytest.mark.parametrize("name", ["01_srt_subtitles.mkv", "05_flac_and_srt.mkv"])
def test_the_films_that_ended_the_process(tmp_path, name, ending):
    original = SHARED / "cases" / "files" / name
    run(original, tmp_path / f"out{ending}")
    before = [float(at) for at, _ in media.packets(original, "subtitle")]
    assert sorted(told(tmp_path / f"out{ending}").values()) == pytest.approx(before, abs=0.002)


def test_signs_of_webvtts_own_are_written_as_its_words_for_them(tmp_path):
    """Players took all behind a `<` for a tag."""
    words = ["<i>1 < 2</i> & 3 > 2", "plain", "a --> b"]
    spoken = [(at, at + 0.9, text) for at, text in enumerate(words)]
    original = make_clip(tmp_path / "in.mkv", frames=80, subtitles=spoken)
    run(original, tmp_path / "out.webm", preset="8")
    told = [data.decode() for _, data in media.packets(tmp_path / "out.webm", "subtitle")]
    assert told == ["<i>1 &lt; 2</i> &amp; 3 &gt; 2", "plain", "a --&gt; b"]
    run(tmp_path / "out.webm", tmp_path / "back.mp4", preset="ultrafast")
    shown = [data[2:] for _, data in media.packets(tmp_path / "back.mp4", "subtitle")]
    assert any(one.startswith(b"1 < 2 & 3 > 2") for one in shown)
