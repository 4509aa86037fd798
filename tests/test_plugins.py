"""Things that other distributions register, and that are not as they should be."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

import stream
from stream import sinks, sources, tracking
from stream.compositing import Painter
from stream.compositing.layer import LAYERS, Layer
from stream.errors import StreamError, UsageError
from stream.plugins import Kind, culprit
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.tracking.base import Tracker

CLIP = str(Path(stream.__file__).parent / "assets" / "demo.mp4")

CODE = """
from fractions import Fraction

from stream.frame import VideoInfo
from stream.compositing.layer import Layer
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.tracking.base import Tracker


class Raising(Layer):
    def paint(self, canvas):
        raise RuntimeError("of theirs")


class Lacking(Layer):
    pass


class Taken(Layer):
    def paint(self, canvas):
        raise AssertionError


class Confused(Sink):
    @classmethod
    def accepts(cls, target):
        return target.is_none_of_a_text()

    def write(self, item):
        pass

    def close(self):
        pass


class Lost(Source):
    @classmethod
    def accepts(cls, target):
        raise KeyError(target)

    def __iter__(self):
        yield

    def close(self):
        pass


class Empty(Lost):
    @classmethod
    def accepts(cls, target):
        return target == "empty"

    @classmethod
    def from_target(cls, target, options):
        made = cls()
        made.info = VideoInfo("empty", 64, 48, "yuv420p", Fraction(1, 25))
        return made


class Silent(Tracker):
    def update(self, candidates, seconds, threshold, following=()):
        return None
"""

POINTS = """
[stream.compositing.layers]
raising = unsound_plugin:Raising
lacking = unsound_plugin:Lacking
blur = unsound_plugin:Taken
[stream.sinks]
confused = unsound_plugin:Confused
twoline = unsound_broken:Any
[stream.sources]
lost = unsound_plugin:Lost
empty = unsound_plugin:Empty
[stream.tracking.trackers]
silent = unsound_plugin:Silent
"""


@pytest.fixture(autouse=True)
def registered(tmp_path, monkeypatch):
    """A distribution on the path of which nothing is as it should be."""
    (tmp_path / "unsound_plugin.py").write_text(CODE)
    (tmp_path / "unsound_broken.py").write_text("raise RuntimeError('one line\\nand another')")
    told = tmp_path / "unsound_plugin-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: unsound-plugin\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    layers = Kind(LAYERS.package, Layer)
    for module in ("stream.compositing.layer", "stream.compositing.painter", "stream.run.unused"):
        monkeypatch.setattr(f"{module}.LAYERS", layers)
    monkeypatch.setattr(sinks, "KIND", Kind(sinks.KIND.package, Sink))
    monkeypatch.setattr(sources, "KIND", Kind(sources.KIND.package, Source))
    monkeypatch.setattr(tracking, "KIND", Kind(tracking.KIND.package, Tracker))
    yield layers
    sys.modules.pop("unsound_plugin", None)


def test_who_fails_when_asked_is_left_out_and_the_rest_goes_on(caplog, tmp_path):
    for _ in range(2):
        assert sinks.find(str(tmp_path / "found.ndjson")).records
        sinks.check_records("found.csv")
        assert sources.kind_of("pattern").live
    said = [record.message for record in caplog.records]
    assert len(said) == 3, "each is said once"
    assert any("unsound_plugin.Confused, registered in stream.sinks" in one for one in said)
    assert any("Lost, registered in stream.sources" in one and "KeyError" in one for one in said)
    assert any(one.endswith("cannot be loaded: one line") for one in said)
    with stream.open(CLIP, limit=1, track=False) as video:
        assert len(list(video)) == 1


def test_what_lacks_a_method_or_a_name_of_its_own_is_said(registered, caplog):
    with pytest.raises(UsageError, match=r"'lacking', registered in .* lacks paint"):
        Painter("lacking")
    assert "unsound_plugin:Taken" in caplog.text and "left out" in caplog.text
    assert registered.get("blur").__module__ == "stream.compositing.layers.blur"


def test_a_tracker_that_gives_nothing_is_named():
    with (
        stream.open(CLIP, limit=2, track="silent") as video,
        pytest.raises(StreamError, match="the tracker Silent gave NoneType"),
    ):
        list(video)


def test_a_source_that_yields_nothing_is_named():
    with (
        stream.open("empty", track=False) as video,
        pytest.raises(StreamError, match="the source Empty gave NoneType"),
    ):
        list(video)


def test_a_fault_is_theirs_in_whose_code_it_lies(tmp_path):
    with pytest.raises(RuntimeError, match="of theirs") as raised:
        stream.process(CLIP, tmp_path / "out.mp4", limit=1, look="raising")
    last = raised.traceback[-1]
    assert Path(last.path).name == "unsound_plugin.py"
    assert culprit(raised.value) == (
        f"the plug-in unsound_plugin ({last.path}, line {last.lineno + 1})"
    )
    with pytest.raises(ZeroDivisionError) as ours:
        print(1 / 0)
    assert culprit(ours.value) == "the program"
