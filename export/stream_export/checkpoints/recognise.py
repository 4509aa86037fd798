"""Which system a checkpoint is from, whatever its name says."""

from __future__ import annotations

import re
import shlex
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stream.errors import ModelError, NoModelError
from stream.inference.onnx_file import read_onnx_file
from stream_export.checkpoints.graphdef import looks_like_graphdef
from stream_export.checkpoints.keras import HDF5_MAGIC
from stream_export.checkpoints.safetensors import is_safetensors
from stream_export.checkpoints.states import all_names, read_content
from stream_export.checkpoints.torch_files import LEGACY_MAGIC
from stream_export.registry import converters

_PACKED = {
    b"\xfd7zXZ\x00": "xz -d",
    b"\x1f\x8b": "gzip -d",
    b"BZh": "bzip2 -d",
    b"(\xb5/\xfd": "zstd -d",
}

_PAGE = "a web page, not a checkpoint; download the file itself"
_TEXTS = {
    b"<!doctype": _PAGE,
    b"<html": _PAGE,
    b"<?xml": _PAGE,
    b"version https://git-lfs": "a pointer of Git LFS, not the file; fetch it with: git lfs pull",
}


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file is.

    Attributes:
        what: in words that fit behind "it is".
        system: the converter that takes it, or None.
        options: what that converter needs besides the file.
        flag: the option that takes the file, where it is no argument.
    """

    what: str
    system: str | None = None
    options: str = ""
    flag: str = ""

    def command(self, path: Path) -> str:
        """The command that converts it."""
        parts = ["stream export", str(self.system), *self.flag.split(), shlex.quote(str(path))]
        return " ".join([*parts, *self.options.split(), "-o", shlex.quote(f"{path.stem}.onnx")])


_OTHER = (
    "which is no Mask R-CNN that can be converted (stream export --help lists whose can); "
    "`stream train` makes one of labelled pictures"
)
# Ends of weights' names (regular expressions) that tell of what has no converter, and what it is.
_FOREIGN: list[tuple[str, str]] = [
    (
        r"refine\.classes\.weight",
        "a checkpoint of `stream train`, which wrote models that need no converting beside it",
    ),
    (
        r"backbone\.body\.stem\.conv1\.weight",
        "a checkpoint of maskrcnn-benchmark, for which there is no converter",
    ),
    (r"backbone\.simfp_2\.0\.weight", f"a ViTDet of detectron2, {_OTHER}"),
    (r"bbox_head\.rtm_cls\.\d+\.weight", f"an RTMDet of MMDetection, {_OTHER}"),
    (r"model\.0\.conv\.weight", f"a checkpoint of YOLO, {_OTHER}"),
    (r"predictor\.query_feat\.weight", f"a Mask2Former or MaskFormer, {_OTHER}"),
    (r"image_encoder\.(pos_embed|trunk\.pos_embed)", f"a Segment Anything, {_OTHER}"),
    (r"transformer\.encoder\.layers\.0\.self_attn\..+", f"a transformer of DETR's kind, {_OTHER}"),
]
_CLASSIFIERS: list[tuple[str, str]] = [
    ("fc.weight", "a classifier's weights, without a detector's heads"),
    ("fc1000_w", "a classifier's weights, without a detector's heads"),
]

_SAVED_MODEL = Recognised(
    "a SavedModel of TensorFlow; the frozen_inference_graph.pb beside it can be converted"
)


def recognise(path: Path) -> Recognised | None:
    """Tells what a file is, by what it holds; None where that is not known.

    Raises:
        ModelError: the file cannot be read, is empty, damaged, or asks to run code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise NoModelError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ModelError(f"{path}: it is a folder, a checkpoint is one file") from None
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read ({error.strerror})") from error
    if not head:
        raise ModelError(f"{path}: the file is empty; download it again")
    if head.startswith(HDF5_MAGIC):
        return _by_names(_keras_names(path)) or Recognised(
            "an HDF5 file without the weights of a network that can be converted"
        )
    torchs = head.startswith(LEGACY_MAGIC) or (head.startswith(b"PK") and _is_torch(path))
    if torchs or head.startswith(b"\x80") or is_safetensors(path):
        return _by_names(all_names(read_content(path)))
    return _by_head(path, head)


def wrong_file(path: Path, system: str, error: ModelError) -> ModelError:
    """What to say of a file that a converter could not take.

    Args:
        path: of the file.
        system: whose converter it was given to.
        error: what that converter said of it.

    Returns:
        An error that names what the file is and the right command, where that is known, else the
        converter's own.
    """
    try:
        found = recognise(path)
    except ModelError as worse:
        return worse
    if found is None or found.system == system:
        return error
    if found.system is None:
        return ModelError(f"{path}: it is {found.what}")
    return ModelError(f"{path}: it is {found.what}; convert it with: {found.command(path)}")


def _is_torch(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            # Of a program of torch.export, too, torch's reader says what to do.
            ends = ("/data.pkl", "/archive_format")
            return any(name.endswith(ends) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        # A zip that is cut short; torch's reader says so.
        return True


def _archive(path: Path, head: bytes) -> str:
    if head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            if "model.weights.h5" in archive.namelist():
                return (
                    "a model of Keras 3, whose files do not name weights by layer; save them with "
                    "Keras 2 (TF_USE_LEGACY_KERAS=1), by save_weights('NAME.h5')"
                )
    return "an archive; unpack it first"


def _by_names(names: Iterable[str]) -> Recognised | None:
    """What the names of weights tell, whatever wrappers put before them."""
    names = tuple(names)

    def held(sign: str) -> bool:
        return any(name == sign or name.endswith(f".{sign}") for name in names)

    for pattern, what in _FOREIGN:
        if any(re.search(rf"(?:^|\.){pattern}$", name) for name in names):
            return Recognised(what)
    for converter in converters().values():
        if any(held(sign) for sign in converter.signs):
            return Recognised(converter.what, converter.name, converter.needs, converter.flag)
    return next((Recognised(what) for sign, what in _CLASSIFIERS if held(sign)), None)


def _keras_names(path: Path) -> set[str]:
    """The names of a file's groups, each part by itself."""
    from stream_export.registry import need_extra

    need_extra("h5py")
    import h5py

    names: list[str] = []
    try:
        with h5py.File(path, "r") as file:
            file.visit(names.append)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"{path}: the HDF5 file is damaged or cut short ({error})") from error
    return {part for name in names for part in name.split("/")}


def _by_head(path: Path, head: bytes) -> Recognised | None:
    for magic, tool in _PACKED.items():
        if head.startswith(magic):
            return Recognised(f"packed; unpack it first: {tool} {shlex.quote(str(path))}")
    for begins, what in _TEXTS.items():
        if head.lstrip()[:200].lower().startswith(begins):
            return Recognised(what)
    if head.startswith(b"PK") or head[257:262] == b"ustar":
        return Recognised(_archive(path, head))
    if _is_onnx(path):
        return Recognised(_onnx(path))
    if looks_like_graphdef(head):
        return _by_names(("GraphDef",))
    return _SAVED_MODEL if head.startswith(b"\x08\x01") else None


def _is_onnx(path: Path) -> bool:
    try:
        read_onnx_file(path)
    except ModelError:
        return False
    return True


def _onnx(path: Path) -> str:
    from stream_export.metadata import foreign
    from stream_export.registry import need_extra

    need_extra("onnx")
    import onnx

    return foreign(onnx.load(str(path), load_external_data=False))
