"""Which providers run here, which models there are, and what is kept of them."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator

from stream.doctor.finding import Finding, State
from stream.errors import first_line
from stream.wording.words import counted

# An ONNX model of one node, Relu on float32 [1, 4] (opset 13, format 8).
_PROBE = base64.b64decode(
    "CAgSADo/CgwKAXgSAXkiBFJlbHUSBXByb2JlWhMKAXgSDgoMCAESCAoCCAEKAggEYhMKAXkSDgoMCAESCAoCCAEKAggE"
    "QgQKABAN"
)


def providers() -> Iterator[Finding]:
    """Each provider, tried with a session of its own."""
    import numpy as np

    from stream.inference.card import card
    from stream.inference.nvidia import failure
    from stream.inference.onnx_session import create
    from stream.inference.providers import AUTO_ORDER, UnavailableError, route
    from stream.inference.route import LABELS

    first = ""
    for name in LABELS:
        start = time.perf_counter()
        try:
            chosen = route(name)
            handle = create(chosen, _PROBE, 1, "the probe")
            handle.run(None, {"x": np.ones((1, 4), np.float32)})
        except UnavailableError as error:
            yield Finding("providers", LABELS[name], "missing", error.cause, error.advice)
        except Exception as error:  # noqa: BLE001 - drivers and plug-ins may raise anything
            cause, advice = failure(str(error))
            yield Finding("providers", LABELS[name], "missing", cause or first_line(error), advice)
        else:
            milliseconds = (time.perf_counter() - start) * 1e3
            there = card() if name in ("cuda", "tensorrt") else None
            where = "" if there is None else f" on {there.name} of {there.memory_gib:.0f} GiB"
            driver = f", driver {there.driver}" if there is not None and there.driver else ""
            detail = (
                f"runs as {chosen.label}{where}{driver} (opened and tried in {milliseconds:.0f} ms)"
            )
            yield Finding("providers", LABELS[name], "works", detail)
            first = first or (chosen.label if name in AUTO_ORDER else "")
    yield Finding("providers", "auto", "note", f"chooses {first or 'nothing'}")


def models() -> Iterator[Finding]:
    """Each model of the catalogue, and what was made ready of models."""
    from stream.inference.catalogue import DEFAULT, entries, listing

    for line in listing():
        state: State = "works" if line.metadata else "missing"
        detail = f"{line.cells()[1]}, {line.cells()[2]}" if line.metadata else line.problem
        yield Finding("models", line.name, state, detail)
    if DEFAULT not in entries():
        advice = "reinstall stream, or name a model with --model FILE.onnx"
        yield Finding("models", DEFAULT, "missing", "the bundled model is not there", advice)
    yield kept()


def kept() -> Finding:
    """What was made of models at earlier starts, and whether the next one can find it."""
    from stream.system.cache import cache_folder

    name = "made ready"
    try:
        folder = cache_folder("graphs").parent
    except OSError as error:
        return Finding(
            "models",
            name,
            "missing",
            f"nothing can be kept in {error.filename} ({error.strerror}): opening a model takes "
            "longer each time",
            "make it writable"
            + (", or set XDG_CACHE_HOME to a folder that is" if sys.platform == "linux" else ""),
        )
    kinds = ("graphs", "openvino", "tensorrt", "coreml")
    kept = [one for kind in kinds for one in folder.glob(f"{kind}/**/*") if one.is_file()]
    size = sum(one.stat().st_size for one in kept) / 1e6
    files = f"{counted(len(kept), 'file')}, {size:.0f} MB in {folder}"
    detail = f"{files}, for quicker starts; may be removed"
    return Finding("models", name, "note", detail)
