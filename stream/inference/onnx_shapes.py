"""How many axes a graph's small tensors have: what it computes of shapes and of stored numbers.

No more is told than what is asked: how many axes there are, and along which lies one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stream.inference.onnx_nodes import Node, by_kind

Shape = tuple[int | None, ...]
"""Sides, None for those that are not known; what is not known is not taken for 1."""

Rule = Callable[[Node, Sequence[Shape], Sequence[Sequence[float] | None]], Shape | None]
"""The shape of a node's first output, of those of its inputs and of their numbers as far as they
are known; None where that does not tell."""


def shape_of(
    node: Node, given: Sequence[Shape | None], numbers: Sequence[Sequence[float] | None]
) -> Shape | None:
    """The shape of a node's first output.

    Args:
        node: of ONNX's own operators, else nothing is known.
        given: shapes of its inputs, None for those that are not known.
        numbers: what its inputs hold, likewise.

    Returns:
        None where it is not known.
    """
    rule = None if node.domain else _RULES.get(node.kind)
    known = [one for one in given if one is not None]
    return rule(node, known, numbers) if rule is not None and len(known) == len(given) else None


def listed(node: Node, axes: int) -> Shape:
    """The shape of the list of sides that a Shape gives of a tensor of so many axes."""
    (start,), (end,) = node.whole.get("start", (0,)), node.whole.get("end", (axes,))
    count = len(range(axes)[start:end])
    return (1 if count == 1 else None,)


def _unit(numbers: Sequence[float]) -> Shape:
    return tuple(1 if number == 1 else None for number in numbers)


def _constant(node: Node, given: Sequence[Shape], numbers: object) -> Shape | None:
    if {"value_int", "value_float"} & node.whole.keys():
        return ()
    return (None,) if {"value_ints", "value_floats"} & node.whole.keys() else None


def _alike(node: Node, given: Sequence[Shape], numbers: object) -> Shape:
    return given[0]


def _range(node: Node, given: object, numbers: object) -> Shape:
    return (None,)


def _sides(node: Node, given: Sequence[Shape], numbers: object) -> Shape:
    return listed(node, len(given[0]))


def _broadcast(node: Node, given: Sequence[Shape], numbers: object) -> Shape:
    axes = max(map(len, given))
    padded = [(1,) * (axes - len(one)) + one for one in given]
    return tuple(1 if set(sides) == {1} else None for sides in zip(*padded, strict=True))


def _reshape(
    node: Node, given: Sequence[Shape], numbers: Sequence[Sequence[float] | None]
) -> Shape | None:
    return None if numbers[1] is None else _unit(numbers[1])


def _gather(node: Node, given: Sequence[Shape], numbers: object) -> Shape:
    data, indices = given
    axis = node.whole.get("axis", (0,))[0] % len(data)
    return data[:axis] + indices + data[axis + 1 :]


def _concat(node: Node, given: Sequence[Shape], numbers: object) -> Shape:
    sides = list(given[0])
    sides[node.whole["axis"][0] % len(sides)] = None
    return tuple(sides)


def _axes(node: Node, numbers: Sequence[Sequence[float] | None]) -> Sequence[float] | None:
    told = node.whole.get("axes")
    return told if told is not None or len(numbers) < 2 else numbers[1]


def _unsqueeze(
    node: Node, given: Sequence[Shape], numbers: Sequence[Sequence[float] | None]
) -> Shape | None:
    told = _axes(node, numbers)
    if told is None:
        return None
    axes = len(given[0]) + len(told)
    new, rest = {int(axis) % axes for axis in told}, iter(given[0])
    return tuple(1 if axis in new else next(rest) for axis in range(axes))


def _fewer(
    node: Node, given: Sequence[Shape], numbers: Sequence[Sequence[float] | None]
) -> Shape | None:
    """Without some axes, of one cell or summed up."""
    reduces, told = node.kind.startswith("Reduce"), _axes(node, numbers)
    if told is None:
        if len(numbers) > 1 or (not reduces and None in given[0]):
            return None
        told = range(len(given[0]))
    gone = {int(axis) % len(given[0]) for axis in told} if given[0] else set()
    if reduces and node.whole.get("keepdims", (1,)) == (1,):
        return tuple(1 if axis in gone else side for axis, side in enumerate(given[0]))
    return tuple(side for axis, side in enumerate(given[0]) if axis not in gone)


def _slice(node: Node, given: Sequence[Shape], numbers: object) -> Shape:
    return (None,) * len(given[0])


_RULES: dict[str, Rule] = by_kind(
    {
        "Abs Cast Ceil Clip DequantizeLinear Exp Floor Identity Neg Not QuantizeLinear": _alike,
        "Reciprocal Relu Round Sigmoid Sqrt Tanh": _alike,
        "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mod": _broadcast,
        "Mul Or Pow Sub Where": _broadcast,
        "Concat": _concat,
        "Constant": _constant,
        "Gather": _gather,
        "Range": _range,
        "ReduceMax ReduceMin ReduceProd ReduceSum Squeeze": _fewer,
        "Reshape": _reshape,
        "Shape": _sides,
        "Slice": _slice,
        "Unsqueeze": _unsqueeze,
    }
)
