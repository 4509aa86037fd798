"""Files that are damaged, or made of the right parts put together wrongly: never a traceback."""

from __future__ import annotations

import importlib
import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import StreamError
from stream_export.options import read_names
from stream_export.registry import converters
from tests.export import made_checkpoints as made
from tests.export import made_tensorflow
from tests.export.lazily import lazily

torch = lazily("torch")
Request = lazily("stream_export.converters._request", "Request")
wrong_file = lazily("stream_export.checkpoints.recognise", "wrong_file")

SYSTEMS = sorted(converters())

WRAPPERS = ("", "module.", "_orig_mod.", "model.", "_orig_mod.module.", "ema.", "a..", ".")
KEYS = ("model", "state_dict", "net", "weights", "model_ema", "blobs", "module", "0", "")


@cache
def whole(system: str) -> dict[str, np.ndarray]:
    """The arrays of a small checkpoint that can be converted, of torch's kind."""
    if system == "torchvision":
        from stream_export.converters.torchvision.model import random

        with torch.device("meta"):
            state = random("maskrcnn_resnet18_fpn", 3).state_dict()
        # Names and numbers of axes are what matters; the layers are cut, and so do not fit.
        shapes = {name: tuple(min(edge, 8) for edge in one.shape) for name, one in state.items()}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return {
        "detectron2": made.detectron2,
        "detectron": made.detectron,
        "yolact": made.yolact,
        "centermask": made.centermask,
    }.get(system, made.detectron2)()


@cache
def contents() -> dict[str, bytes]:
    """A file of every kind of container."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            "detectron2": made.write_detectron2(folder / "a"),
            "detectron": made.write_detectron(folder / "b"),
            "yolact": made.write_torch(folder / "c", made.yolact(), legacy=True),
            "centermask": made.write_torch(folder / "d", made.centermask(), wrapped=True),
            "matterport": made_tensorflow.write_keras(folder / "e"),
            "tensorflow": made_tensorflow.write_graph(folder / "f", made_tensorflow.inception_v2()),
        }
        return {system: path.read_bytes() for system, path in files.items()}


def refused_or_read(system: str, content: bytes, **asked: Any) -> None:
    """Gives a converter a file; whatever it says must be one sentence."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "weights.bin"
        path.write_bytes(content)
        try:
            try:
                if system == "torchvision":
                    from stream_export.converters.torchvision.conversion import Asked, opened

                    opened(Asked(weights=str(path)))
                else:
                    module = importlib.import_module(f"stream_export.converters.{system}.model")
                    module.convert(Request(path, names="numbers", **asked))
            except StreamError as error:
                said = [str(error), str(wrong_file(path, system, error))]
                assert all("\n" not in one and len(one) < 2000 for one in said), said
        except StreamError as error:
            assert "\n" not in str(error)


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(),
    st.text(max_size=8),
    st.just(np.float64(0.5)),
    st.just(Path("a/b")),
    st.lists(st.integers(), max_size=3),
)
shapes = st.lists(st.integers(0, 9), max_size=5).map(tuple)


@st.composite
def checkpoints(draw: st.DrawFn) -> tuple[str, bytes]:
    """A checkpoint of right names: some missing, some of other shapes or values, wrapped anyhow."""
    system = draw(st.sampled_from(("torchvision", "detectron2", "yolact", "centermask")))
    arrays: dict[Any, Any] = dict(whole(system))
    names = list(arrays)
    for name in draw(st.lists(st.sampled_from(names), max_size=4)):
        arrays.pop(name, None)
    for name in draw(st.lists(st.sampled_from(names), max_size=4)):
        arrays[name] = np.zeros(draw(shapes), draw(st.sampled_from((np.float32, np.int64, bool))))
    for name in draw(st.lists(st.sampled_from(names), max_size=2)):
        arrays[name] = draw(plain)
    for name in draw(st.lists(st.one_of(st.text(max_size=6), st.integers()), max_size=2)):
        arrays[name] = draw(plain)
    prefix = draw(st.sampled_from(WRAPPERS))
    held: Any = {f"{prefix}{name}": value for name, value in arrays.items()}
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=3)):
        held = {
            key: held,
            "epoch": draw(plain),
            **draw(st.dictionaries(st.text(max_size=4), plain)),
        }
    form = draw(st.sampled_from(("pickle", "torch", "old torch")))
    if form == "pickle":
        return system, pickle.dumps(held, protocol=draw(st.integers(0, 5)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        torch.save(as_tensors(held), path, _use_new_zipfile_serialization=form == "torch")
        return system, path.read_bytes()


def as_tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_tensors(one) for key, one in value.items()}
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of any container with bytes changed, taken out, repeated or cut off."""
    kept = contents()
    system = draw(st.sampled_from(sorted(kept)))
    content = bytearray(kept[system])
    for _ in range(draw(st.integers(1, 4))):
        # Headers and tables lie at the ends, and are where damage is interesting.
        near = draw(st.sampled_from((64, 4096, len(content))))
        at = draw(st.integers(0, max(min(near, len(content)) - 1, 0)))
        at = len(content) - 1 - at if draw(st.booleans()) and content else at
        what = draw(st.sampled_from(("byte", "cut", "hole", "zeros", "repeat", "word")))
        if what == "byte" and content:
            content[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del content[at:]
        elif what == "hole":
            del content[at : at + draw(st.integers(1, 300))]
        elif what == "zeros":
            count = draw(st.integers(1, 64))
            content[at : at + count] = bytes(len(content[at : at + count]))
        elif what == "repeat":
            content[at:at] = content[at : at + draw(st.integers(1, 64))]
        else:
            word = draw(st.sampled_from((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80")))
            content[at : at + 4] = word[: len(content[at : at + 4])]
    takers = [one for one in SYSTEMS if one != "torchvision"]
    return draw(st.sampled_from((system, system, draw(st.sampled_from(takers))))), bytes(content)


LINES = (
    "person", "BG", "__background__", "item {", "}", "id: 1", "name: 'a'", 'display_name: "b"',
    "names: [a, b]", "names:", "  0: a", "  - a", "[\"a\", \"b\"]", "{\"0\": \"a\"}",
    "{\"categories\": [{\"id\": 1, \"name\": \"a\"}]}", "&a [*a]", "\t", "id: 9999999999", "id: -1",
)  # fmt: skip
names_texts = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=12)), max_size=8).map(
        lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
    ),
)

SETTINGS = (
    "MODEL:", "  ANCHOR_GENERATOR:", "    SIZES: [[16], [32], [64], [128], [256]]",
    "    SIZES: &a [[8]]", "    ASPECT_RATIOS: *a", "  PIXEL_MEAN: [1, 2]", "  PIXEL_STD: 0",
    "INPUT: {MIN_SIZE_TEST: 0}", "INPUT: {MIN_SIZE_TEST: 1.0e+999}", "  RPN: 3",
    "TEST: !!python/object/apply:os.system ['true']", "IMAGE_MAX_DIM = 512", "class A(Config):",
    "    self.IMAGE_MIN_DIM = 1 / 0", "RPN_ANCHOR_SCALES: tuple = (8, 16, 32, 64, 128)",
    "MEAN_PIXEL = np.array([1, 2, 3])", "IMAGE_MAX_DIM   512", "a: [", "model:", "  pixel_mean: x",
    "model { faster_rcnn { num_classes: 3 } }", "x = " + "(" * 40,
)  # fmt: skip
settings_texts = st.one_of(
    st.binary(max_size=120),
    st.lists(st.one_of(st.sampled_from(SETTINGS), st.text(max_size=12)), max_size=8).map(
        lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass")
    ),
)


def names_are_read_or_refused(content: bytes, classes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "names.txt"
        path.write_bytes(content)
        try:
            found = read_names(path, classes)
        except StreamError as error:
            assert "\n" not in str(error)
            return
        assert len(found) == classes
        assert all(found)


def settings_are_read_or_refused(system: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "config.txt"
        path.write_bytes(content)
        refused_or_read(system, contents()[system], config=str(path))


FAST = settings(deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))

CONFIGURED = st.sampled_from(("detectron2", "matterport", "tensorflow", "centermask"))
BODIES: dict[str, tuple[st.SearchStrategy[Any], Callable[..., None]]] = {
    "checkpoints": (checkpoints(), refused_or_read),
    "damaged files": (damaged(), refused_or_read),
    "names": (st.tuples(names_texts, st.integers(1, 4)), names_are_read_or_refused),
    "settings": (st.tuples(CONFIGURED, settings_texts), settings_are_read_or_refused),
}


def tried(kind: str, how: settings) -> None:
    """Runs one kind; built anew, since a body takes settings once."""
    cases, judge = BODIES[kind]

    @how
    @given(cases)
    def body(case: tuple[Any, ...]) -> None:
        judge(*case)

    body()


@pytest.mark.parametrize("kind", BODIES)
def test_nothing_ends_in_a_traceback(kind: str) -> None:
    tried(kind, FAST)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", BODIES)
def test_nothing_ends_in_a_traceback_of_thousands(kind: str) -> None:
    tried(kind, LONG)
