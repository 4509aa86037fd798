"""Writing a video, picture by picture."""

from __future__ import annotations

import threading
from decimal import Decimal
from fractions import Fraction

import av
import numpy as np
import pytest

import stream
from stream import sources
from stream.errors import UsageError
from stream.settings.options import InputOptions


def pictures(count=3):
    return [np.full((48, 64, 3), 30 + 20 * index, np.uint8) for index in range(count)]


def frames(count=3):
    """The same as frames at 25 a second."""
    with sources.open(pictures(count), InputOptions()) as source:
        return list(source)


def test_a_writer_has_a_rate_and_an_end(tmp_path):
    for rate in (0, -5, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"pictures per second, 0\.001 or more"):
            stream.VideoWriter(tmp_path / "a.mp4", rate=rate)
    writer = stream.VideoWriter(tmp_path / "a.mp4")
    writer.write(pictures()[0])
    writer.close()
    writer.close()
    size = (tmp_path / "a.mp4").stat().st_size
    with pytest.raises(UsageError, match=r"a\.mp4 is finished"):
        writer.write(pictures()[0])
    assert (tmp_path / "a.mp4").stat().st_size == size > 500


def test_a_writer_of_no_picture_says_that_there_is_no_file(tmp_path, caplog):
    with stream.VideoWriter(tmp_path / "a.mp4") as writer:
        pass
    writer.close()
    assert writer.remarks == caplog.messages == ["no picture came, so a.mp4 was not written"]
    assert not list(tmp_path.iterdir())


def test_a_writer_refuses_what_would_be_shown_otherwise_than_it_was_meant(tmp_path):
    one = pictures(1)[0]
    with stream.VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(one)
        with pytest.raises(ValueError, match=r"first has \(48, 64\) .* this one \(40, 64\)"):
            writer.write(one[:40])
    with stream.VideoWriter(tmp_path / "b.mp4") as writer:
        for frame in frames():
            writer.write(frame)
        with pytest.raises(ValueError, match=r"first has \(48, 64\) .* this one \(40, 64\)"):
            writer.write(one[:40])
        (again,) = frames(1)
        with pytest.raises(UsageError, match=r"at 0\.000 s comes after one at 0\.080 s"):
            writer.write(again)
        writer.write(list(frames())[-1])  # of the time of the one before: a tick after it
    assert any("moved by a tick" in one for one in writer.remarks)
    for rate, exact in {np.float32(25): 25, Fraction(30000, 1001): Fraction(30000, 1001)}.items():
        with stream.VideoWriter(tmp_path / "c.mp4", rate, overwrite=True) as writer:
            writer.write(one)
        with av.open(str(tmp_path / "c.mp4")) as written:
            assert written.streams.video[0].average_rate == exact
    for rate, said in {
        1e-9: "not 1e-09$",
        True: "not true$",
        "fast": "not 'fast'$",
        "30000/1001": r"not '30000/1001'; did you mean Fraction\(30000, 1001\)\?",
        "25 fps": r"not '25 fps'; did you mean 25\?",
        "1/0": "not '1/0'$",
        Decimal("29.97"): r"did you mean Fraction\(2997, 100\)\?",
    }.items():
        with pytest.raises(UsageError, match=f"the rate is pictures per second.*{said}"):
            stream.VideoWriter(tmp_path / "d.mp4", rate=rate)


def test_what_a_writer_cannot_write_is_told_in_its_own_terms(tmp_path):
    opaque = pictures(1)[0]
    seen_through = np.dstack([opaque, opaque[..., 0]])
    for ending in (".mp4", ".avi"):
        with stream.VideoWriter(tmp_path / f"a{ending}") as writer:
            with pytest.raises(
                UsageError, match=r"opacity, \[H, W, 4\]; \.mov, \.mkv, \.webm do"
            ) as told:
                writer.write(seen_through)
            assert "look" not in str(told.value) and ".png" not in str(told.value)
            writer.write(seen_through[..., :3])
        assert (tmp_path / f"a{ending}").stat().st_size > 500
    with stream.VideoWriter(tmp_path / "a.webm") as writer:
        writer.write(seen_through)
    for name in ("a.webp", "a.apng", "a.gif", "a.png", "a", "rtmp://server/app"):
        with pytest.raises(UsageError, match=r"a VideoWriter writes \.mp4, .*; stream\.process"):
            stream.VideoWriter(name)


def test_threads_may_share_a_writer(tmp_path):
    one, errors = pictures(1)[0], []

    def work():
        try:
            for _ in range(20):
                writer.write(one)
        except BaseException as error:  # noqa: BLE001 - said below
            errors.append(error)

    with stream.VideoWriter(tmp_path / "out.mp4") as writer:
        workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
            assert not worker.is_alive()
    assert not errors and writer.frames == 60
    with av.open(str(tmp_path / "out.mp4")) as written:
        times = [frame.pts for frame in written.decode(video=0)]
    assert len(times) == 60 and times == sorted(set(times))


def test_a_writer_that_is_forgotten_finishes_its_file(tmp_path):
    writer = stream.VideoWriter(tmp_path / "out.mp4")
    for one in pictures():
        writer.write(one)
    del writer
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert len(list(written.decode(video=0))) == 3


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".ts", ".avi"])
def test_an_error_between_pictures_costs_none_of_those_before_it(tmp_path, ending):
    """The encoder's last second was missing."""
    path = tmp_path / f"a{ending}"
    with pytest.raises(KeyboardInterrupt), stream.VideoWriter(path, preset=None) as writer:
        for index in range(30):
            writer.write(np.full((48, 64, 3), 5 * index, np.uint8))
        raise KeyboardInterrupt
    with av.open(str(path)) as made:
        times = [picture.time for picture in made.decode(video=0)]
    assert np.diff(times) == pytest.approx(0.04, abs=1e-3)
    assert len(times) == 30


def test_an_error_leaves_an_earlier_file_and_what_was_written_beside_it(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"earlier")
    with pytest.raises(ZeroDivisionError), stream.VideoWriter(path, overwrite=True) as writer:
        for _ in range(10):
            writer.write(np.zeros((48, 64, 3), np.uint8))
        _ = 1 / 0
    assert path.read_bytes() == b"earlier"
    with av.open(str(tmp_path / "a.partial.mp4")) as made:
        assert len(list(made.decode(video=0))) == 10


def test_an_error_before_the_first_picture_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), stream.VideoWriter(tmp_path / "a.mp4"):
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


def test_a_wrong_option_is_told_the_right_one(tmp_path):
    for name, meant in (("fps", "rate"), ("framerate", "rate"), ("crff", "crf"), ("raet", "rate")):
        with pytest.raises(UsageError, match=f"no option '{name}'; did you mean {meant}?"):
            stream.VideoWriter(tmp_path / "out.mp4", **{name: 30})
