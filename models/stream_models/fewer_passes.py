"""Rewrites of the int8 model that spare passes over its maps; answers stay what they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from stream.errors import ModelError
from stream.types import Array
from stream_models.first_layer import drop_unused

_LOGITS, _DELTAS = "network.proposals.logits/Conv", "network.proposals.deltas/Conv"


class _Graph:
    """A graph with its weights and makers at hand."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.stored = {item.name: item for item in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}

    def value(self, name: str) -> Array:
        return numpy_helper.to_array(self.stored[name])

    def store(self, name: str, value: Array) -> str:
        """Stores a weight, in the place of one that has its name."""
        made = numpy_helper.from_array(np.asarray(value), name)
        if name in self.stored:
            self.stored[name].CopyFrom(made)
        else:
            self.graph.initializer.append(made)
            self.stored[name] = self.graph.initializer[-1]
        return name

    def readers(self, name: str) -> list[onnx.NodeProto]:
        return [node for node in self.graph.node if name in node.input]

    def insert(self, nodes: Iterable[onnx.NodeProto], before: onnx.NodeProto) -> None:
        there = list(self.graph.node)
        place = there.index(before)
        there[place:place] = nodes
        del self.graph.node[:]
        self.graph.node.extend(there)
        self.makers = {name: node for node in self.graph.node for name in node.output}


def lay_out_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose pyramid levels have one scale and are laid out in an atlas as bytes.

    They were made float numbers first, four times as large. Now the atlas becomes some, its scale
    left out: what is pooled from it is that much larger, and is rounded in steps that are as well.
    The scale is that of the level with the widest range; of the bundled model's it is 1.4 times
    the narrowest one's.

    Raises:
        ModelError: the model is another network's, or not quantised with pairs of nodes.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    held = _Graph(out.graph)
    pooled = next((node for node in out.graph.node if node.op_type == "RoiAlign"), None)
    if pooled is None:
        raise ModelError("this model pools no regions")
    laid = pooled.input[0]
    levels = _levels(held, laid)
    pools = held.readers(laid)
    rounded = [node for pool in pools for node in _users(held, pool.output[0])]
    if (
        not levels
        or any(held.value(level.input[2]) != 0 for level in levels)
        or any(node.op_type != "QuantizeLinear" for node in rounded)
    ):
        raise ModelError("the pyramid of this model is not that of a quantised bundled network")
    widest = _share_scale(held, levels)
    for node in rounded:
        step = held.value(node.input[1]) / np.float32(widest)
        node.input[1] = held.store(f"{node.input[1]}/levels", step.astype(np.float32))
    for node in _between(held, laid):
        for place, name in enumerate(node.input):
            maker = held.makers.get(name)
            if maker is not None and maker.op_type == "DequantizeLinear":
                node.input[place] = maker.input[0]
    wide = f"{laid}/wide"
    for pool in pools:
        pool.input[0] = wide
    cast = helper.make_node("Cast", [laid], [wide], "atlas", to=onnx.TensorProto.FLOAT)
    held.insert([cast], pools[0])
    drop_unused(out.graph)
    onnx.checker.check_model(out, full_check=True)
    return out


def _users(held: _Graph, name: str) -> list[onnx.NodeProto]:
    """What computes with a tensor, in whichever shape."""
    found = []
    for node in held.readers(name):
        found += _users(held, node.output[0]) if node.op_type == "Reshape" else [node]
    return found


def _between(held: _Graph, name: str) -> list[onnx.NodeProto]:
    """The nodes that lay maps out into this one, up to where they become float numbers."""
    maker = held.makers.get(name)
    if maker is None or maker.op_type not in ("Pad", "Concat"):
        return []
    maps = maker.input[:1] if maker.op_type == "Pad" else maker.input
    return [maker, *(node for one in maps for node in _between(held, one))]


def _levels(held: _Graph, laid: str) -> list[onnx.NodeProto]:
    """What makes the levels float numbers, once each."""
    found: dict[str, onnx.NodeProto] = {}
    for node in _between(held, laid):
        for name in node.input[:1] if node.op_type == "Pad" else node.input:
            maker = held.makers.get(name)
            if maker is not None and maker.op_type == "DequantizeLinear":
                found[maker.name] = maker
    return list(found.values())


def _share_scale(held: _Graph, levels: Sequence[onnx.NodeProto]) -> float:
    """Gives the levels the widest scale of them, and what reads them biases in its units."""
    widest = max(float(held.value(level.input[1])) for level in levels)
    done: set[str] = set()
    for level in levels:
        before = float(held.value(level.input[1]))
        held.store(level.input[1], np.asarray(widest, np.float32))
        for product in held.readers(level.output[0]):
            if product.op_type != "Conv" or product.input[2] in done:
                continue
            done.add(product.input[2])
            bias = held.makers[product.input[2]]
            units = held.value(bias.input[1])
            whole = np.round(held.value(bias.input[0]) * (before / widest)).astype(np.int32)
            held.store(bias.input[0], whole)
            held.store(bias.input[1], (units * (widest / before)).astype(np.float32))
    return widest


def join_proposals(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which one layer gives a level's objectness and box deltas.

    Both read the same map, which was made float numbers and reordered for each.

    Raises:
        ModelError: the model is another network's.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    held = _Graph(out.graph)
    pairs = [
        (node, other)
        for node in out.graph.node
        if node.name.startswith(_LOGITS)
        for other in held.readers(node.input[0])
        if other.name.startswith(_DELTAS)
    ]
    if not pairs:
        raise ModelError("this model proposes no regions as the bundled network does")
    for number, (logits, deltas) in enumerate(pairs):
        weight, bias = (
            held.store(
                f"proposals.both.{what}",
                np.concatenate([held.value(one.input[place]) for one in (logits, deltas)]),
            )
            for place, what in ((1, "weight"), (2, "bias"))
        )
        parts = held.store(
            "proposals.parts",
            np.array([len(held.value(one.input[2])) for one in (logits, deltas)], np.int64),
        )
        joined = onnx.NodeProto()
        joined.CopyFrom(logits)
        joined.name, both = f"network.proposals.both/{number}", f"proposals.both.{number}"
        joined.input[1], joined.input[2], joined.output[0] = weight, bias, both
        names = [logits.output[0], deltas.output[0]]
        split = helper.make_node("Split", [both, parts], names, f"{joined.name}/Split", axis=1)
        first = min(list(out.graph.node).index(one) for one in (logits, deltas))
        before = out.graph.node[first]
        held.insert([joined, split], before)
        for old in (logits, deltas):
            out.graph.node.remove(old)
    drop_unused(out.graph)
    onnx.checker.check_model(out, full_check=True)
    return out
