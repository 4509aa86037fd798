"""How fast is it, beside what people run otherwise? One table, measured in one run.

All engines take turns, round by round, on the same picture in the same process, so that a busy
machine slows them alike; figures are medians, and ratios are medians of each round's ratio.
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.errors import StreamError, first_line
from stream_export.registry import Kept

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.models.detection import MaskRCNN

Picture = NDArray[np.uint8]
Engine = Callable[[], int]
"""Finds the instances of the picture once; returns how many."""

BASE = "torchvision, eager float32"


@dataclass(frozen=True, slots=True)
class Row:
    """One engine at one size.

    Attributes:
        engine: what it is.
        size: as `--size` spells it.
        seconds: per picture, median, from the picture to boxes and masks; None where it did not
            run.
        ratio: how many times as fast as torchvision; None without torchvision.
        instances: found in the picture.
        note: why it did not run, or what to know.
    """

    engine: str
    size: str
    seconds: float | None
    ratio: float | None
    instances: int | None
    note: str = ""

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


def speed_table(
    model: Path,
    picture: Picture,
    *,
    against: str = "",
    sizes: Sequence[str] | None = None,
    rounds: int = 5,
    threads: int | None = None,
) -> list[Row]:
    """Measures a model, its int8 form and its peers.

    Args:
        model: an exported file. Where it came from torchvision, it is exported again for each size,
            and torchvision, the older exporter's graph and OpenCV are measured beside it.
        picture: uint8 [H, W, 3] RGB.
        against: torchvision's checkpoint, where it is not where it was at export.
        sizes: such as "800/1333" and "480/800", the default; ignored for other origins.
        rounds: each engine runs so often, after one run to warm up.
        threads: for the CPU, in every engine; None for what suits each.

    Returns:
        A row per engine and size, torchvision first.

    Raises:
        StreamError: the model itself cannot be run.
    """
    from stream_export.metadata import load_model
    from stream_export.registry import options_of

    properties = {entry.key: entry.value for entry in load_model(model).metadata_props}
    options = options_of(properties)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="stream-compare-") as name:
        folder = Path(name)
        if options.get("system") != "torchvision":
            engines, notes = _own(model, picture, folder, threads)
            return _measure(engines, notes, "as exported", rounds)
        for size in sizes or ("800/1333", "480/800"):
            engines, notes = _torchvision(options, against, size, picture, folder, threads)
            rows += _measure(engines, notes, size, rounds)
    return rows


def _measure(
    engines: Mapping[str, Engine], notes: Mapping[str, str], size: str, rounds: int
) -> list[Row]:
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    counts = {name: engine() for name, engine in engines.items()}
    for _ in range(rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine()
            seconds[name].append(time.perf_counter() - start)
    rows = []
    for name, taken in seconds.items():
        ratio = None
        if BASE in seconds:
            ratio = statistics.median(
                base / own for base, own in zip(seconds[BASE], taken, strict=True)
            )
        rows.append(
            Row(name, size, statistics.median(taken), ratio, counts[name], notes.get(name, ""))
        )
    rows += [
        Row(name, size, None, None, None, why) for name, why in notes.items() if name not in engines
    ]
    return rows


def _own(
    model: Path, picture: Picture, folder: Path, threads: int | None
) -> tuple[dict[str, Engine], dict[str, str]]:
    """The exported file on every way of running it that this machine has."""
    from stream_export.metadata import load_model, read_metadata
    from stream_export.tools.quantize import quantize_model

    engines: dict[str, Engine] = {}
    notes: dict[str, str] = {}

    def add(name: str, file: Path, provider: str) -> None:
        try:
            engines[name] = _segmenter(file, provider, picture, threads)
        except StreamError as error:
            notes[name] = str(error)

    loaded = load_model(model)
    own = read_metadata(loaded).precision
    engines[f"CPU provider, {own}"] = _segmenter(model, "cpu", picture, threads)
    # One that was rounded already has no float32 form to make others of.
    if own == "float32":
        try:
            import onnx

            small = folder / f"{model.stem}-int8.onnx"
            onnx.save(quantize_model(loaded, [picture]), str(small))
            notes["CPU provider, int8"] = "calibrated on this picture alone, for speed only"
            add("CPU provider, int8", small, "cpu")
            add("OpenVINO plug-in, int8", small, "openvino")
        except StreamError as error:
            notes["CPU provider, int8"] = str(error)
    add(f"OpenVINO plug-in, {own}", model, "openvino")
    add(f"CUDA, {own}", model, "cuda")
    add("TensorRT", model, "tensorrt")
    if "CUDA, float32" in engines:
        import onnx

        from stream_export.tools.half import half_model

        halved = folder / f"{model.stem}-fp16.onnx"
        onnx.save(half_model(loaded), str(halved))
        add("CUDA, float16", halved, "cuda")
    _attempt("OpenCV DNN", engines, notes, lambda: _opencv(model, picture, threads))
    return engines, notes


def _torchvision(
    options: Kept,
    against: str,
    size: str,
    picture: Picture,
    folder: Path,
    threads: int | None,
) -> tuple[dict[str, Engine], dict[str, str]]:
    """Torchvision, the older exporter's graph of it, and ours, at one size."""
    import onnx
    import torch

    from stream_export.converters.torchvision import convert
    from stream_export.converters.torchvision.origin import open_origin

    origin = open_origin(against, {**options, "size": size})
    planes = torch.from_numpy(picture).permute(2, 0, 1).contiguous() / 255
    if threads is not None:
        torch.set_num_threads(threads)

    exported = folder / f"{size.replace('/', '-')}.onnx"
    onnx.save(convert(origin.model, names=origin.names, size=size), str(exported))
    engines: dict[str, Engine] = {BASE: _eager(origin.model, planes, "cpu")}
    own, notes = _own(exported, picture, folder, threads)
    engines.update(own)
    if torch.cuda.is_available():
        # The same card that ours has; the ratios stay those to the CPU.
        for precision, half in (("float32", False), ("float16", True)):
            name = f"torchvision, eager {precision}, {torch.cuda.get_device_name()}"
            make = partial(_eager, origin.model, planes, "cuda", half=half)
            _attempt(name, engines, notes, make)
    older = folder / "older.onnx"
    _attempt(
        "older exporter's graph, CPU provider",
        engines,
        notes,
        lambda: _older(origin.model, planes, older, threads),
    )
    return engines, notes


def _eager(model: MaskRCNN, planes: Tensor, device: str, *, half: bool = False) -> Engine:
    """The network as torchvision runs it, from the picture to what it found, on a device.

    In float32 without TF32, as our own float32 is measured.
    """
    import torch

    there = model if device == "cpu" else copy.deepcopy(model).to(device)

    def run() -> int:
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        halves = torch.autocast(device, torch.float16, enabled=half)
        with torch.no_grad(), exact, halves:
            found = there([planes.to(device)])[0]
        # A card computes on while nobody asks: with the answers it is done.
        return len({name: one.cpu() for name, one in found.items()}["scores"])

    return run


def _attempt(
    name: str,
    engines: dict[str, Engine],
    notes: dict[str, str],
    make: Callable[[], Engine],
) -> None:
    """Adds a peer if it runs; peers fail in ways of their own, each of which is an answer here."""
    try:
        engine = make()
        engine()
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is its row's note
        notes[name] = first_line(error)[:200]
    else:
        engines[name] = engine


def _segmenter(file: Path, provider: str, picture: Picture, threads: int | None) -> Engine:
    from stream.inference.segmenter import Segmenter

    segmenter = Segmenter.load(file, provider, threshold=0.05, threads=threads)
    return lambda: len(segmenter(picture))


def _opencv(model: Path, picture: Picture, threads: int | None) -> Engine:
    import cv2

    from stream.inference.contract import INPUT, OUTPUTS
    from stream.inference.preprocess import Preprocessor
    from stream_export.metadata import load_model, read_metadata

    if threads is not None:
        cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(str(model))
    tensor = Preprocessor(read_metadata(load_model(model)).resize)(picture).pixels()

    def run() -> int:
        net.setInput(tensor, INPUT)
        found = net.forward(list(OUTPUTS))
        return int(np.asarray(found[1]).size)

    return run


def _older(model: MaskRCNN, planes: Tensor, file: Path, threads: int | None) -> Engine:
    """The graph of torch's older, TorchScript-based exporter."""
    import onnxruntime
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, ([planes],), str(file), dynamo=False, opset_version=16)
    options = onnxruntime.SessionOptions()
    # It declares shapes of the traced picture's detections and warns at each that differs.
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    tensor = planes.numpy()
    return lambda: len(session.run(None, {name: tensor})[0])
