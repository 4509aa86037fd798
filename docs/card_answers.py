"""Whether a card answers as the CPU does: accuracy and answers on a labelled set, by precision.

    python docs/card_answers.py DATA OUT.json [--model mine.onnx] [--rehearse]

DATA is a set as `stream train --val` takes it. The card's answers in float32, with TF32 and in
float16 are held against the CPU's in float32: mask AP, and object by object. With `--rehearse` the
CPU stands in for the card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.bench.gpu import stand_in, with_tf32
from stream.inference.catalogue import Entry, find
from stream.inference.providers import route
from stream.inference.route import Route
from stream.inference.segmenter import Segmenter
from stream.inference.session import open_on
from stream.instances import Instances
from stream_export.tools.agreement import compare
from stream_export.tools.half import half_file
from stream_models.training.data import DataSet
from stream_models.training.evaluate import evaluate, runtime_detector
from stream_models.training.reading import Purpose, read

SURE = 0.5
"""Objects scored less are not compared one by one: near the threshold any rounding decides."""

NOTHING = np.zeros((1, 1, 3), np.uint8)


def judged(
    entry: Entry, chosen: Route, data: DataSet
) -> tuple[dict[str, Any], list[Instances], Segmenter]:
    """Mask AP by group of pictures, and what was answered for each picture."""
    segmenter = Segmenter(entry.name, open_on(entry, chosen), threshold=0.05)
    kept: list[Instances] = []

    def keep(image: NDArray[np.uint8]) -> Instances:
        kept.append(segmenter(image))
        return kept[-1]

    report = evaluate(runtime_detector(keep), segmenter.names, data)
    return dict(report.groups), kept, segmenter


def alike(
    data: DataSet, right: Sequence[Instances], answers: Sequence[Instances]
) -> dict[str, object]:
    """How far answers are from those that are right, of the same pictures; see `Agreement`."""
    one, other = iter(right), iter(answers)
    # They are there already: a picture is no more than its name here.
    pictures = ((str(picture.id), NOTHING) for picture in data.pictures)
    return compare(lambda _: next(one), lambda _: next(other), pictures, score=SURE).to_json()


def ways(model: str, folder: Path, *, rehearse: bool) -> Iterator[tuple[str, Entry, Route]]:
    """What is compared: the CPU in float32 first; the card in each precision."""
    entry = find(model)
    whole = Entry(entry.name, {"": entry.files.get("float32") or entry.files[""]})
    card = stand_in() if rehearse else route("cuda")
    yield "CPU, float32", whole, route("cpu")
    yield "card, float32", whole, card
    if not rehearse:
        yield "card, float32 with TF32", whole, with_tf32(card)
    half = entry.files.get("float16")
    if half is None:
        half = folder / "half.onnx"
        half_file(whole.files[""], half)
    yield "card, float16", Entry(entry.name, {"": half}), card


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes what came; 0 whatever it was, as it is for reading."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--pictures", type=int, help="the first so many")
    parser.add_argument("--rehearse", action="store_true", help="with the CPU in a card's place")
    given = parser.parse_args(arguments)
    data = read(given.data, Purpose.JUDGE)
    data.pictures[:] = data.pictures[: given.pictures]
    told: dict[str, Any] = {"pictures": len(data.pictures)}
    first: list[Instances] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, entry, chosen in ways(given.model, Path(folder), rehearse=given.rehearse):
            groups, answers, segmenter = judged(entry, chosen, data)
            told[name] = {"AP": groups, "ran": repr(segmenter), "remarks": segmenter.remarks}
            if first:
                told[name]["against the CPU"] = alike(data, first, answers)
            first = first or answers
            print(f"{name}: {json.dumps(told[name])}", flush=True)  # noqa: T201 - a report
            given.out.write_text(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
