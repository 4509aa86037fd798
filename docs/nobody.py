"""Teaches the default model's two box heads that nobody is in some pictures.

    python docs/nobody.py LABELLED NOBODY OUT --person 0.4

LABELLED is a set as `stream train --data` takes it, of the 80 classes that the model has learnt;
NOBODY a folder of pictures without people, in folders of their own or not; OUT gets `default.onnx`
and `default.int8.onnx`. All but the heads' last layers stays as it is, so each picture goes through
the int8 file once, what these are given is kept, 256 numbers a region, and they learn from that in
a minute. Of LABELLED they learn what is true, also where a picture is cut below a head, and, as it
is, to answer as they did (Hinton et al., "Distilling the knowledge in a neural network", 2015), of
NOBODY that a region is background as far as it was a person; boxes stay.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from stream.inference.contract import Geometry
from stream.inference.preprocess import Preprocessor
from stream.inference.segmenter import Segmenter
from stream.inference.soundness import SUM, sum_entry
from stream.sources.images import photo
from stream_models.network import BoxHead
from stream_models.training.data import DataSet, Picture
from stream_models.training.initial import default_weights
from stream_models.training.losses import label_regions
from stream_models.training.picture_files import load_picture
from stream_models.training.reading import Purpose, read
from stream_models.training.ship import from_onnx
from stream_models.training.targets import Targets

BOXES = ("index_select_2", "minimum_1")
"""What the shipped graph calls the boxes that each head sees, in pixels of its input."""
POSITIVE = (0.5, 0.6)
"""The overlap (IoU) with an object from which a head is to name it."""
HEADS = ("box", "refine")
BATCH, NOBODY_BATCH = 2048, 512
EPOCHS, RATE = 4, 5e-4
TRUTH, AS_BEFORE, BOXES_KEPT = 1.0, 1.0, 10.0
"""How much what is labelled, the former answers and the former boxes weigh, against NOBODY's 1."""

CUT, TALL, LEAST_ROWS, SEEN = (0.25, 0.5), 0.5, 96, 0.3
"""Between which shares of somebody's height a picture is cut, how much of it such a person takes at
least, how many rows are left, and of which share of an object nothing is said below."""
PERSON = 0

Floats = NDArray[np.float32]


@dataclasses.dataclass
class Seen:
    """What one head saw of a set of pictures: all (R, ...).

    Attributes:
        hidden: float32 (R, features), what the head's first layer makes of it.
        logits: float32 (R, 1 + classes), what it answered.
    """

    hidden: Floats
    logits: Floats


@dataclasses.dataclass
class Known(Seen):
    """The same where it is labelled.

    Attributes:
        wanted: int64 (R,), the class it should have named, 0 for none.
        allowed: bool (R, 1 + classes), which can be told apart there; see `class_loss`.
        stays: bool (R,), whether it is to answer as it did.
    """

    wanted: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    stays: NDArray[np.bool_]


class Shipped:
    """The int8 file, and what its heads are given and answer."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.load(str(path))
        self.values = {item.name: item for item in self.model.graph.initializer}
        made = {name: node for node in self.model.graph.node for name in node.output}
        gemms = {node.name: node for node in self.model.graph.node if node.op_type == "Gemm"}
        hidden = [gemms[f"network.{head}.fc2/Gemm"].input[0] for head in HEADS]
        self.scales = {
            head: float(self.value(made[name].input[1]))
            for head, name in zip(HEADS, hidden, strict=True)
        }
        logits = [gemms[f"network.{head}.classes/Gemm"].output[0] for head in HEADS]
        self._asked = [*BOXES, *hidden, *logits]
        model = copy.deepcopy(self.model)
        model.graph.output.extend(
            onnx.helper.make_empty_tensor_value_info(name) for name in self._asked
        )
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    def value(self, name: str) -> NDArray[Any]:
        """A weight, or what is like one."""
        return np.asarray(numpy_helper.to_array(self.values[name]))

    def put(self, name: str, value: NDArray[Any]) -> None:
        """Puts another one in its place."""
        kind = self.value(name).dtype
        self.values[name].CopyFrom(
            numpy_helper.from_array(np.ascontiguousarray(value.astype(kind)), name)
        )

    def see(self, pixels: NDArray[np.uint8]) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Of each head the boxes (R, 4), hidden numbers and logits of its regions in an input."""
        told = self._session.run(self._asked, {"image": pixels})
        return zip(told[:2], told[2:4], told[4:], strict=True)


def labelled(data: DataSet, shipped: Shipped, prepare: Preprocessor) -> list[Known]:
    """What each head saw of a labelled set, and of its people without their heads."""
    chance = np.random.default_rng(0)
    parts: list[list[tuple[NDArray[Any], ...]]] = [[], []]
    for picture in data.pictures:
        image = load_picture(picture)
        for top in (0, *_below_a_head(picture, chance)):
            prepared = prepare(np.ascontiguousarray(image[top:]))
            target = _target(picture, top, prepared.geometry)
            seen = zip(parts, shipped.see(prepared.pixels()), POSITIVE, strict=True)
            for part, (boxes, hidden, logits), overlap in seen:
                regions, state = label_regions(torch.from_numpy(boxes), target, overlap)
                use = (state >= 0).numpy()
                wanted, allowed = regions.wanted.numpy(), regions.allowed.numpy()
                stays = np.full(len(logits), top == 0)
                part.append((hidden[use], logits[use], wanted[use], allowed[use], stays[use]))
    return [Known(*map(np.concatenate, zip(*part, strict=True))) for part in parts]


def _below_a_head(picture: Picture, chance: np.random.Generator) -> tuple[int, ...]:
    """Where a picture may be cut so that who is largest in it has no head, none or one row.

    Without such a model that sees nobody in cups and lamps sees nobody above a table either.
    """
    people = [one.box for one in picture.objects if one.label == PERSON and not one.crowd]
    if not people:
        return ()
    _, top, _, bottom = max(people, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    cut = int(top + chance.uniform(*CUT) * (bottom - top))
    tall = bottom - top >= TALL * picture.height and picture.height - cut >= LEAST_ROWS
    return (cut,) if tall else ()


def _target(picture: Picture, top: int, place: Geometry) -> Targets:
    """What is true of a picture from a row on; of what hardly reaches there nothing is known."""
    whole = np.array([one.box for one in picture.objects], np.float32).reshape(-1, 4)
    left = whole - np.array([0, top, 0, top], np.float32)
    left[:, [1, 3]] = left[:, [1, 3]].clip(0)
    share = (left[:, 3] - left[:, 1]) / np.maximum(whole[:, 3] - whole[:, 1], 1e-3)
    crowd = np.array([one.crowd for one in picture.objects], bool) | (share < SEEN)
    labels = np.array([one.label for one in picture.objects], np.int64)
    there = share > 0
    return Targets(
        _placed(left[there & ~crowd], place),
        torch.from_numpy(labels[there & ~crowd]),
        torch.zeros(int((there & ~crowd).sum())),
        [],
        [],
        _placed(left[there & crowd], place),
        torch.from_numpy(np.asarray(picture.known)),
    )


def nobody(folder: Path, shipped: Shipped, prepare: Preprocessor) -> list[Seen]:
    """What each head saw of pictures without people, as they are and mirrored."""
    parts: list[list[tuple[NDArray[Any], ...]]] = [[], []]
    for path in sorted(folder.rglob("*.jpg")):
        picture = photo(path)[..., ::-1]
        for view in (picture, picture[:, ::-1]):
            pixels = prepare(np.ascontiguousarray(view)).pixels()
            seen = zip(parts, shipped.see(pixels), strict=True)
            for part, (_, hidden, logits) in seen:
                part.append((hidden, logits))
    return [Seen(*map(np.concatenate, zip(*part, strict=True))) for part in parts]


def _placed(boxes: Floats, place: Geometry) -> Tensor:
    moved = boxes / np.array(place.scale * 2) + place.offset * 2
    return torch.from_numpy(moved.astype(np.float32))


def learn(head: BoxHead, known: Known, others: Seen, person: int, seed: int) -> None:
    """Lets a head's last layers answer as before of `known` and see nobody in `others`.

    Args:
        head: as it is.
        known: of labelled pictures.
        others: of pictures without people.
        person: the place of people among the logits.
        seed: of the order of regions.
    """
    before = copy.deepcopy(head).requires_grad_(False)
    learning = [*head.fc2.parameters(), *head.classes.parameters(), *head.deltas.parameters()]
    chance = np.random.default_rng(seed)
    steps = EPOCHS * len(known.hidden) // BATCH
    optimiser = torch.optim.AdamW(learning, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps + 1, pct_start=0.1
    )
    for _ in range(steps):
        one = chance.choice(len(known.hidden), BATCH, replace=False)
        two = chance.choice(len(others.hidden), NOBODY_BATCH, replace=False)
        hidden = torch.from_numpy(np.concatenate([known.hidden[one], others.hidden[two]]))
        logits, deltas = _answers(head, hidden)
        allowed = torch.from_numpy(known.allowed[one])
        truth = functional.cross_entropy(
            logits[:BATCH].masked_fill(~allowed, -1e4), torch.from_numpy(known.wanted[one])
        )
        stays = torch.from_numpy(known.stays[one]).float()
        as_before = _divergence(logits[:BATCH], _probabilities(known.logits[one])) @ stays / BATCH
        wanted = _probabilities(others.logits[two])
        wanted[:, 0] += wanted[:, person]
        wanted[:, person] = 0
        moved = functional.smooth_l1_loss(deltas, _answers(before, hidden)[1], beta=0.1)
        loss = TRUTH * truth + AS_BEFORE * as_before + BOXES_KEPT * moved
        loss = loss + _divergence(logits[BATCH:], wanted).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _answers(head: BoxHead, hidden: Tensor) -> tuple[Tensor, Tensor]:
    last = functional.relu(head.fc2(hidden))
    return head.classes(last), head.deltas(last)


def _probabilities(logits: Floats) -> Tensor:
    return torch.from_numpy(logits).float().softmax(1)


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """How far answers (R, 1 + classes) are from what is wanted, (R,)."""
    return functional.kl_div(logits.log_softmax(1), wanted, reduction="none").sum(1)


def put_int8(shipped: Shipped, name: str, head: BoxHead) -> None:
    """Puts a head's last layers into the int8 file; their inputs keep their ranges."""
    weights, bias = (part.detach().numpy() for part in (head.fc2.weight, head.fc2.bias))
    own = f"model.network.{name}.fc2"
    steps = np.abs(weights).max(axis=1) / 127
    shipped.put(f"{own}.weight_scale", steps)
    shipped.put(f"{own}.weight_quantized", np.round(weights / steps[:, None]))
    steps = steps * shipped.scales[name]
    shipped.put(f"{own}.bias_quantized_scale", steps)
    shipped.put(f"{own}.bias_quantized", np.round(bias / steps))
    for layer, linear in (("classes", head.classes), ("deltas", head.deltas)):
        for part, value in linear.named_parameters():
            shipped.put(f"model.network.{name}.{layer}.{part}", value.detach().numpy())


def put_float(model: onnx.ModelProto, name: str, head: BoxHead) -> None:
    """Puts a head into the float32 file, whose large weights are stored in half precision."""
    values = {item.name: item for item in model.graph.initializer}
    for part, value in head.named_parameters():
        own = f"model.network.{name}.{part}"
        item = values.get(own) or values[f"{own}/half"]
        kind = numpy_helper.to_array(item).dtype
        item.CopyFrom(numpy_helper.from_array(value.detach().numpy().astype(kind), item.name))


def write(model: onnx.ModelProto, path: Path) -> None:
    """Writes a file that tells the sum of its graph."""
    kept = [entry for entry in model.metadata_props if entry.key != SUM]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    path.write_bytes(model.SerializeToString())
    entry = sum_entry(path)
    with path.open("ab") as file:
        file.write(entry)


def main(arguments: Sequence[str] | None = None) -> int:
    """Learns and writes both files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("nobody", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--person", type=float, default=0.0, help="added to the person's logits at the end"
    )
    given = parser.parse_args(arguments)
    torch.manual_seed(given.seed)
    whole = default_weights()
    network = from_onnx(whole)
    data = read(given.labelled, Purpose.LEARN)
    if data.names != network.config.names:
        parser.error("the classes of LABELLED must be those that the model has learnt, in order")
    shipped = Shipped(whole.with_suffix(".int8.onnx"))
    prepare = Preprocessor(Segmenter.load("default", "cpu").metadata.resize, None, None)
    known = labelled(data, shipped, prepare)
    others = nobody(given.nobody, shipped, prepare)
    person = 1 + network.config.names.index("person")
    floats = onnx.load(str(whole))
    for place, name in enumerate(HEADS):
        head = getattr(network, name)
        learn(head, known[place], others[place], person, given.seed)
        with torch.no_grad():
            head.classes.bias[person] += given.person
        put_int8(shipped, name, head)
        put_float(floats, name, head)
    given.out.mkdir(parents=True, exist_ok=True)
    write(floats, given.out / "default.onnx")
    write(shipped.model, given.out / "default.int8.onnx")
    return 0


if __name__ == "__main__":
    sys.exit(main())
