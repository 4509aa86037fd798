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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.bench.gpu import stand_in
from stream.inference.catalogue import Entry, find
from stream.inference.providers import Route, route
from stream.inference.segmenter import Segmenter
from stream.inference.session import open_on
from stream.instances import box_iou
from stream_export.tools.half import half_file
from stream_models.training.data import DataSet, Purpose, read
from stream_models.training.evaluate import Found, evaluate, runtime_detector

SURE = 0.5
"""Objects scored less are not compared one by one: near the threshold any rounding decides."""
_SAME = 0.5


@dataclass
class Likeness:
    """How far answers are from the CPU's: the worst of all pairs, and whom no partner was found.

    Attributes:
        pairs: objects found by both.
        alone: objects that the CPU scores `SURE` or more and the card has not.
        box: the worst side of a box, in pixels of the picture.
        score: the worst score, 0..1.
        least: the least IoU of two masks.
    """

    pairs: int = 0
    alone: int = 0
    box: float = 0.0
    score: float = 0.0
    least: float = 1.0

    def add(self, one: Found, other: Found) -> None:
        """Take in a picture's answers: the CPU's, and the card's."""
        boxes, scores, labels, masks, _ = one
        for row in np.flatnonzero(scores >= SURE):
            same = np.flatnonzero(other[2] == labels[row])
            overlap: NDArray[np.float32] = box_iou(boxes[row][None], other[0][same])[0]
            if not len(same) or overlap.max() < _SAME:
                self.alone += 1
                continue
            at = int(same[overlap.argmax()])
            self.pairs += 1
            self.box = max(self.box, float(np.abs(other[0][at] - boxes[row]).max()))
            self.score = max(self.score, abs(float(other[1][at] - scores[row])))
            here, there = masks[row] > 0.5, other[3][at] > 0.5
            shared = int((here & there).sum()) / max(1, int((here | there).sum()))
            self.least = min(self.least, shared)


def judged(
    entry: Entry, chosen: Route, data: DataSet
) -> tuple[dict[str, Any], list[Found], Segmenter]:
    """Mask AP by group of pictures, and what was answered for each picture."""
    segmenter = Segmenter(entry.name, open_on(entry, chosen), threshold=0.05)
    detector, kept = runtime_detector(segmenter), []

    def keep(image: NDArray[np.uint8]) -> Found:
        kept.append(detector(image))
        return kept[-1]

    report = evaluate(keep, segmenter.names, data)
    return dict(report.groups), kept, segmenter


def ways(model: str, folder: Path, *, rehearse: bool) -> Iterator[tuple[str, Entry, Route]]:
    """What is compared: the CPU in float32 first; the card in each precision."""
    entry = find(model)
    whole = Entry(entry.name, {"": entry.files.get("float32") or entry.files[""]})
    card = stand_in() if rehearse else route("cuda")
    yield "CPU, float32", whole, route("cpu")
    yield "card, float32", whole, card
    if not rehearse:
        quick = replace(card, options={**card.options, "use_tf32": "1"})
        yield "card, float32 with TF32", whole, quick
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
    first: list[Found] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, entry, chosen in ways(given.model, Path(folder), rehearse=given.rehearse):
            groups, answers, segmenter = judged(entry, chosen, data)
            told[name] = {"AP": groups, "ran": repr(segmenter), "remarks": segmenter.remarks}
            if first:
                likeness = Likeness()
                for one, other in zip(first, answers, strict=True):
                    likeness.add(one, other)
                told[name]["against the CPU"] = asdict(likeness)
            first = first or answers
            print(f"{name}: {json.dumps(told[name])}", flush=True)  # noqa: T201 - a report
            given.out.write_text(json.dumps(told, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
