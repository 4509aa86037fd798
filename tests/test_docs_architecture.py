"""What docs/architecture.md shows as the smallest of its kind does its work."""

import re
from pathlib import Path

import pytest

from stream.compositing import Layer, Painter, Style
from stream.compositing.layer import LAYERS
from stream.frame import VideoInfo
from stream.plugins import Kind
from stream.settings.options import OutputOptions
from stream.sinks.base import Sink
from stream_export.registry import Converter
from tests.compositing.pictures import astronaut, frame, people, samples
from tests.run.parts import Grey, make_run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"


def example(title: str) -> dict[str, object]:
    (code,) = re.findall(rf"### {title}\n.*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, object] = {"__name__": "example"}
    exec(code, names)
    return names


def test_the_smallest_layer_paints(monkeypatch):
    layer = example("The smallest layer")["Negative"]
    assert issubclass(layer, Layer)
    monkeypatch.setattr(Kind, "__contains__", lambda self, name: name == "negative")
    monkeypatch.setattr(Kind, "get", lambda self, name: layer)
    one = frame(astronaut(64, 48, "yuv420p"), people(astronaut(64, 48, "yuv420p"), (4, 4, 40, 40)))
    before = samples(one.image)[0].copy()
    Painter("negative", Style()).paint(one)
    after = samples(one.image)[0]
    assert (after == before.max() - before).all()
    assert LAYERS is not None


def test_the_smallest_sink_takes_frames(capsys):
    sink = example("The smallest sink")["CountsSink"]
    assert issubclass(sink, Sink) and sink.accepts("counts")
    info = VideoInfo("grey", 64, 48, "yuv420p", 1)
    outcome = make_run(Grey(3), sink.from_target("counts", info, OutputOptions())).run()
    assert outcome.error is None
    assert capsys.readouterr().out.splitlines() == ["0 1", "1 1", "2 1"]


def test_the_smallest_converter_is_one():
    converter = example("The smallest converter")["Ours"]
    assert issubclass(converter, Converter) and converter.name == "ours"


def test_every_file_it_names_is_there():
    root = PAGE.parents[1]
    for name in re.findall(
        r"`((?:stream|run|sources|export|motion)/[\w./]+\.py)`", PAGE.read_text()
    ):
        if "NAME" not in name:
            assert (root / name).exists() or (root / "stream" / name).exists(), name


@pytest.mark.parametrize("folder", ["stream", "models", "export", "tests"])
def test_the_house_has_the_rooms_that_it_draws(folder):
    assert (PAGE.parents[1] / folder).is_dir()
