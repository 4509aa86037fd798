"""What holds for every sink, ours and those that are registered."""

import hashlib
import importlib.util
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from stream import sinks
from stream.errors import StreamError, UsageError
from stream.frame import Frame, VideoInfo
from stream.plugins import Kind
from stream.run.output import Output
from stream.settings.options import OutputOptions
from stream.sinks.base import Sink
from stream.sinks.video import VideoSink
from stream.sinks.virtual_camera import VirtualCameraSink
from stream.sinks.window import WindowSink
from tests.run.parts import Grey, make_run

INFO = VideoInfo("grey", 64, 48, "yuv420p", Fraction(1, 25), Fraction(25), frames=5)
TARGETS = {
    "VideoSink": "out.mkv",
    "ImageSink": "pictures/",
    "AnimationSink": "out.apng",
    "NothingSink": "nothing",
    "CallerSink": "caller",
    "WindowSink": "window",
    "NdjsonSink": "out.ndjson",
    "CsvSink": "out.csv",
    "CocoSink": "out.json",
    "NetworkSink": "udp://127.0.0.1:9",
    "MotSink": "out.txt",
    "ParquetSink": "out.parquet",
    "HlsSink": "out.m3u8",
    "VirtualCameraSink": "virtual-camera",
    "BrowserSink": "browser",
    "StandardSink": "-",
}
"""A target for each of our kinds, relative to a folder."""

FORMATS = {"StandardSink": "nut"}
"""What has to be said besides the target."""

KINDS = [kind for kind in sinks.KIND if kind not in (WindowSink, VirtualCameraSink)]
"""Windows and cameras are tried in tests of their own: they need a screen, or a device."""

NEEDS = {"ParquetSink": "pyarrow"}
"""The package of an extra that a kind cannot do without."""


def _tried(kind: type[Sink]):
    package = NEEDS.get(kind.__name__, "pytest")
    missing = importlib.util.find_spec(package) is None
    return pytest.param(
        kind,
        id=kind.__name__,
        marks=pytest.mark.skipif(missing, reason=f"{package} is not installed"),
    )


each = pytest.mark.parametrize("kind", [_tried(kind) for kind in KINDS])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(kind: type[Sink], **options) -> Sink:
    how = OutputOptions(format=FORMATS.get(kind.__name__), **options)
    target = TARGETS[kind.__name__]
    kind.check(target, how)
    return kind.from_target(target, INFO, how)


def test_every_kind_has_a_target_that_no_other_takes():
    assert {kind.__name__ for kind in sinks.KIND} == set(TARGETS)
    for kind in sinks.KIND:
        form = FORMATS.get(kind.__name__)
        assert sinks.find(TARGETS[kind.__name__], form=form) is kind


def test_what_no_kind_takes_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match="no kind of output takes it"):
        sinks.find("gopher://example.org/out")


@each
def test_frames_and_packets_are_taken_and_nothing_is_written_on_them(kind, here):
    sink = opened(kind)
    for item in Grey(5):
        if not isinstance(item, Frame):
            if sink.takes_packets:
                sink.write(item)
            continue
        before = state(item)
        sink.write(item)
        assert state(item) == before
    sink.close()
    sink.close()
    assert all(isinstance(remark, str) for remark in sink.remarks)


@each
def test_who_cannot_keep_up_is_told_of_a_preset_only_where_there_are_some(kind, here):
    with opened(kind) as sink:
        quicker = sink.quicker
        assert quicker and not quicker.endswith(".")
    if "--preset" not in quicker:
        return
    with pytest.raises(UsageError, match="goes by the presets"):
        form = FORMATS.get(kind.__name__)
        asked = OutputOptions(format=form, preset="none such", overwrite=True)
        kind.check(TARGETS[kind.__name__], asked)


def state(frame: Frame):
    picture = frame.image
    samples = hashlib.sha256(b"".join(bytes(plane) for plane in picture.planes)).hexdigest()
    return (samples, picture.pts, picture.time_base, picture.pict_type, frame.pts, frame.index)


@each
def test_it_can_be_let_go_at_once(kind, here):
    sink = opened(kind)
    sink.abort()
    sink.abort()


@each
def test_nothing_that_was_there_is_touched_unless_it_is_asked_for(kind, here):
    target = Path(TARGETS[kind.__name__])
    if not target.suffix or "://" in TARGETS[kind.__name__]:
        pytest.skip("it goes to no one file")
    target.write_bytes(b"somebody's")
    with pytest.raises(StreamError, match="exists already"):
        opened(kind)
    assert target.read_bytes() == b"somebody's"
    sink = opened(kind, overwrite=True)
    sink.abort()
    assert target.read_bytes() == b"somebody's"


@each
def test_a_source_that_fails_before_its_first_frame_replaces_nothing(kind, here):
    target = Path(TARGETS[kind.__name__])
    if not target.suffix or "://" in TARGETS[kind.__name__]:
        pytest.skip("it goes to no one file")
    target.write_bytes(b"somebody's")
    outcome = make_run(Grey(5, fails_at=0), opened(kind, overwrite=True)).run()
    assert outcome.error is not None
    assert target.read_bytes() == b"somebody's"
    assert list(here.iterdir()) == [here / target.name]


def test_a_film_without_a_picture_is_none(here):
    Path("out.mkv").write_bytes(b"somebody's")
    sink = opened(VideoSink, overwrite=True)
    sink.write(next(item for item in Grey(1) if not isinstance(item, Frame)))
    sink.close()
    assert "no picture came, so out.mkv was not written" in sink.remarks
    assert list(here.iterdir()) == [here / "out.mkv"]
    assert Path("out.mkv").read_bytes() == b"somebody's"


@each
def test_several_of_it_share_the_frames_of_one_run(kind, here):
    if kind.on_main_thread:
        pytest.skip("it is served by the caller")
    how = OutputOptions(format=FORMATS.get(kind.__name__))
    first = kind.from_target(TARGETS[kind.__name__], INFO, how)
    other = TARGETS[kind.__name__].replace("out", "other").replace("pictures", "others")
    second = kind.from_target(other, INFO, how)
    outcome = make_run(Grey(30), first, second).run()
    assert outcome.error is None
    assert outcome.counts.frames_out == 30


RECORDS = '''
from pathlib import Path

from stream.frame import Frame
from stream.sinks.base import Sink


class TallySink(Sink):
    """A records writer: a line a frame, with the number of objects."""

    paints = False

    def __init__(self, path):
        self._file = Path(path).open("w")

    @classmethod
    def accepts(cls, target):
        return target.endswith(".tally")

    @classmethod
    def from_target(cls, target, info, options):
        return cls(target)

    def write(self, item):
        if isinstance(item, Frame):
            self._file.write(f"{item.index} {len(item.instances)}\\n")

    def close(self):
        self._file.close()
'''

SENDS = '''
from stream.frame import Frame
from stream.sinks.base import Sink

SENT = []


class PigeonSink(Sink):
    """Sends pictures off."""

    @classmethod
    def accepts(cls, target):
        return target.startswith("pigeon://")

    @classmethod
    def from_target(cls, target, info, options):
        return cls()

    def write(self, item):
        if isinstance(item, Frame):
            SENT.append(item.index)

    def close(self):
        SENT.append("closed")
'''


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Registers a module of a temporary folder as a kind of sink, as another distribution does."""

    def register(module: str, code: str, name: str) -> type[Sink]:
        (tmp_path / f"{module}.py").write_text(code)
        information = tmp_path / f"{module}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n"
        )
        (information / "entry_points.txt").write_text(
            f"[stream.sinks]\n{module} = {module}:{name}\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        monkeypatch.setattr(sinks, "KIND", Kind("stream.sinks", Sink))
        monkeypatch.delitem(sys.modules, module, raising=False)
        return getattr(importlib.import_module(module), name)

    return register


def test_a_records_writer_is_one_new_file(registered, here):
    kind = registered("tally_sink", RECORDS, "TallySink")
    assert sinks.find("out.tally") is kind
    sink = kind.from_target("out.tally", INFO, OutputOptions())
    run = make_run(Grey(7))
    run.add(Output(sink, "out.tally"))
    assert run.run().error is None
    assert (here / "out.tally").read_text().splitlines() == [f"{n} 1" for n in range(7)]


def test_a_way_to_send_is_one_new_file(registered, here):
    kind = registered("pigeon_sink", SENDS, "PigeonSink")
    assert sinks.find("pigeon://home") is kind
    outcome = make_run(Grey(4), kind.from_target("pigeon://home", INFO, OutputOptions())).run()
    assert outcome.error is None
    assert sys.modules["pigeon_sink"].SENT == [0, 1, 2, 3, "closed"]
