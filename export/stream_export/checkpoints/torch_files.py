"""Checkpoints that torch wrote, in its zip form and the older one, and plain pickles."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

from stream.errors import ModelError
from stream_export.checkpoints.pickles import Content, ForbiddenPickleError, Unpickler, guarded

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file of torch's older serialisation begins."""
_PIECE = 1 << 22
_BEGINNINGS = {b"", b"\x80", *(bytes([one]) for one in b"(c}])NIFSVLl")}
"""The first bytes of pickles; only the oldest ones, which are text, begin with others than 0x80."""


def is_torch(path: Path) -> bool:
    """Whether a file begins as torch's do, in either form, whatever it is called."""
    try:
        with path.open("rb") as file:
            head = file.read(len(LEGACY_MAGIC))
    except OSError:
        return False
    return head == LEGACY_MAGIC or head.startswith(b"PK")


def read_torch(path: Path) -> Content:
    """Reads a torch file, tensors on the CPU; code that it may carry is not loaded.

    Raises:
        ModelError: the file is missing, damaged, cut short, a program (TorchScript, an exported
            one), or asks for what could do harm.
    """

    def load(file: BinaryIO) -> Content:
        _refuse_programs(path, file)
        _refuse_other_sums(path, file)
        return _loaded(file)

    return guarded(path, "the torch file", load)


def read_pickle(path: Path) -> Content:
    """Reads a pickle; strings of Python 2 become text.

    Args:
        path: of a .pkl file, written by Python 2 or 3.

    Returns:
        What it holds: dictionaries, lists, strings, numbers, arrays, and stand-ins.

    Raises:
        ModelError: the file is missing, no pickle, cut short, or asks for what could do harm;
            nothing of it is executed.
    """

    def load(file: BinaryIO) -> Content:
        first = file.read(1)
        file.seek(0)
        try:
            return restricted_pickle().Unpickler(file, encoding="latin1").load()
        except pickle.UnpicklingError as error:
            if isinstance(error, ForbiddenPickleError) or first in _BEGINNINGS:
                raise
            raise ModelError(
                f"{path}: it is no checkpoint, neither a file of torch's nor a pickle nor "
                "safetensors, or it is damaged from its first byte on"
            ) from error

    return guarded(path, "the pickle", load)


@cache
def restricted_pickle() -> Content:
    """What torch is given in place of the module `pickle`: it builds tensors and stand-ins."""
    import torch

    utilities = torch._utils

    class Restricted(Unpickler):
        extra = {  # noqa: RUF012
            ("torch._utils", "_rebuild_tensor"): utilities._rebuild_tensor,
            ("torch._utils", "_rebuild_tensor_v2"): utilities._rebuild_tensor_v2,
            ("torch._utils", "_rebuild_parameter"): _plain,
            ("torch._utils", "_rebuild_parameter_with_state"): _plain,
            ("torch._tensor", "_rebuild_from_type_v2"): _base_tensor,
            ("torch.nn.parameter", "Parameter"): _plain,
            ("torch.storage", "_load_from_bytes"): _from_bytes,
            ("torch", "Size"): torch.Size,
            ("torch", "device"): torch.device,
            ("torch.serialization", "_get_layout"): _plain,
            **{
                ("torch", name): value
                for name, value in vars(torch).items()
                if isinstance(value, torch.dtype)
            },
            **{
                ("torch", f"{name}Storage"): getattr(torch, f"{name}Storage")
                for name in (
                    "Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte",
                    "Bool",
                )
            },
        }  # fmt: skip

    def load(file: BinaryIO, **options: Content) -> Content:
        return Restricted(file, **options).load()

    return SimpleNamespace(
        Unpickler=Restricted,
        load=load,
        UnpicklingError=pickle.UnpicklingError,
        __name__="stream_export.checkpoints.torch_files",
    )


def _plain(value: Content, *_: Content) -> Content:
    """A parameter is its tensor."""
    return value


def _base_tensor(build: Content, _kind: Content, given: Content, _state: Content = None) -> Content:
    """A tensor of a subclass as a plain one."""
    return build(*given)


def _from_bytes(content: bytes) -> Content:
    """A storage inside a pickle, which is a torch file of its own."""
    return _loaded(io.BytesIO(content))


def _loaded(file: BinaryIO) -> Content:
    import torch

    with warnings.catch_warnings():
        # Of a pickle's age, which is no fault of whoever has the file.
        warnings.simplefilter("ignore")
        # torch's own restricted reader knows no NumPy scalar, path or whole model; this one loads
        # no code either, see `Unpickler`.
        return torch.load(
            file, map_location="cpu", weights_only=False, pickle_module=restricted_pickle()
        )


def _refuse_programs(path: Path, file: BinaryIO) -> None:
    """Archives that torch writes besides checkpoints.

    Raises:
        ModelError: it is one; what to do instead.
    """
    head = file.read(4)
    file.seek(0)
    if head != b"PK\x03\x04":
        return
    with zipfile.ZipFile(file) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    file.seek(0)
    if "constants.pkl" in names:
        raise ModelError(
            f"{path}: it is a TorchScript program; take its weights out where it was made, with "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth'), and convert those"
        )
    if any(name.startswith("models/") or name == "archive_format" for name in names):
        raise ModelError(
            f"{path}: it is a program of torch.export; take its weights out where it was made, "
            "with torch.save(torch.export.load(FILE).state_dict, 'weights.pth'), and convert those"
        )


def _refuse_other_sums(path: Path, file: BinaryIO) -> None:
    """Weights that are no longer those that were saved, which torch reads without a look at it.

    Raises:
        ModelError: the sum of what lies in the archive is another than the one written beside it.
    """
    if file.read(4) != b"PK\x03\x04":
        file.seek(0)
        return
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if not entry.CRC:
                continue  # torch.serialization.set_crc32_options(False) writes none
            try:
                with archive.open(entry) as stored:
                    while stored.read(_PIECE):
                        pass
            except zipfile.BadZipFile as error:
                raise ModelError(
                    f"{path}: the torch file is damaged ({entry.filename} is not what was saved); "
                    "download it again"
                ) from error
    file.seek(0)
