"""Which tensors of a detector keep pictures apart, were several to go in at once.

A detector's first part, a backbone with its pyramid, treats pictures alike and each by itself: with
several along the first axis of its input it gives several along the first axis of all it makes.
What comes after, proposals and what is pooled of them, is as long as a picture has objects, and
knows one picture only. Where the one ends and the other begins is found here, by operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from stream.inference.contract import INPUT
from stream.inference.onnx_nodes import Node, by_kind, tensor_head, tensor_value
from stream.inference.onnx_shapes import Shape, listed, shape_of


class Role(Enum):
    """What a tensor is, were several pictures to go in at once."""

    STORED = auto()
    """The file's own."""

    SHARED = auto()
    """Follows from the size of the pictures alone, so that all have the same."""

    TOGETHER = auto()
    """All pictures', along the first axis, where there was one before."""

    ALONE = auto()
    """One picture's."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tensor.

    Attributes:
        role: what it is.
        axes: how many it has, where it is all pictures'; where it lists the sides of such a one, as
            it is for one picture, how many that has.
        shape: of what is no picture's, as far as it is known.
        value: the content of its TensorProto, where it is the file's own and not computed.
    """

    role: Role
    axes: int = 0
    shape: Shape | None = None
    value: memoryview | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a node.

    Attributes:
        role: of what comes out.
        axes: of `Known`.
        sides: which of its inputs lists the sides of what comes out, the first of which is to be as
            many as there are pictures; None where there is none such.
        of_first: whether it looks at the first picture, as all are alike in what it asks.
    """

    role: Role
    axes: int = 0
    sides: int | None = None
    of_first: bool = False


Rule = Callable[[Node, Sequence[Known]], Step | None]
"""What becomes of a node to which all pictures' tensors go in, and nothing of one's; None where it
does not keep pictures apart."""


def follow(
    nodes: Sequence[Node], stored: Mapping[str, memoryview]
) -> tuple[dict[str, Known], list[Step]]:
    """What each tensor is, and what becomes of each node.

    What a node is told by a number that follows from the size of pictures, such as the sides of an
    enlargement, is taken not to be about the first axis: it is not computed here.

    Args:
        nodes: a graph's, in their order.
        stored: the contents of its tensors, by name.

    Raises:
        ValueError: the graph is broken, or has graphs within it.
    """
    known = {name: _of_file(content) for name, content in stored.items()}
    known |= {INPUT: Known(Role.TOGETHER, 4), "": Known(Role.STORED)}
    steps = []
    for node in nodes:
        if node.nested:
            raise ValueError(f"it has a {node.kind}")
        if any(name not in known for name in node.inputs):
            raise ValueError("its nodes are in no order")
        given = [known[name] for name in node.inputs]
        step = _step(node, given)
        steps.append(step)
        made = _made(node, given, step)
        known.update(dict.fromkeys((name for name in node.outputs if name), made))
    return known, steps


def _of_file(content: memoryview) -> Known:
    return Known(Role.STORED, shape=tensor_head(content)[1], value=content)


def _made(node: Node, given: Sequence[Known], step: Step) -> Known:
    """What is known of a node's outputs."""
    if step.role in (Role.TOGETHER, Role.ALONE):
        return Known(step.role, step.axes)
    if node.value is not None:
        return _of_file(node.value)
    if step.role is Role.SHARED and given[0].role is Role.TOGETHER:
        return Known(step.role, step.axes, listed(node, given[0].axes))
    shapes, numbers = [one.shape for one in given], [_told(one) for one in given]
    # Of several outputs each would be another.
    shape = shape_of(node, shapes, numbers) if len(node.outputs) == 1 else None
    return Known(step.role, step.axes, shape)


def _step(node: Node, given: Sequence[Known]) -> Step:
    roles = {one.role for one in given}
    if Role.ALONE in roles:
        return Step(Role.ALONE)
    if Role.TOGETHER not in roles:
        return Step(Role.SHARED if Role.SHARED in roles else Role.STORED)
    if node.kind == "Shape":
        axes = given[0].axes
        (start,) = node.whole.get("start", (0,))
        whole = not start % axes and "end" not in node.whole
        return Step(Role.SHARED, axes if whole else 0, of_first=not start % axes)
    known = None if node.domain else _together(node, given)
    return known or Step(Role.ALONE)


def _together(node: Node, given: Sequence[Known]) -> Step | None:
    rule = _OF_SEVERAL.get(node.kind)
    if rule is None:
        first, *others = (one.role is Role.TOGETHER for one in given)
        rule = _OF_FIRST.get(node.kind) if first and not any(others) else None
    return None if rule is None else rule(node, given)


def _kept(axes: int) -> Step:
    return Step(Role.TOGETHER, axes)


def _each(node: Node, given: Sequence[Known]) -> Step | None:
    # Where a maximum was, is counted through all pictures.
    several = len(node.outputs) > 1 or node.whole.get("training_mode", (0,)) != (0,)
    return None if several else _kept(given[0].axes)


def _side_by_side(node: Node, given: Sequence[Known]) -> Step | None:
    """Number by number, what has fewer axes or one cell along them being repeated."""
    (axes, *differ) = {one.axes for one in given if one.role is Role.TOGETHER}
    fits = all(one.role is Role.TOGETHER or _broadcasts(one, axes) for one in given)
    return _kept(axes) if fits and not differ else None


def _broadcasts(one: Known, axes: int) -> bool:
    """Whether all pictures meet the same of a tensor."""
    shape = one.shape
    return shape is not None and (len(shape) < axes or (len(shape) == axes and shape[0] == 1))


def _joined(node: Node, given: Sequence[Known]) -> Step | None:
    axes = {one.axes for one in given if one.role is Role.TOGETHER}
    alike = len(axes) == 1 and all(one.role is Role.TOGETHER for one in given)
    return _along(0)(node, given) if alike else None


def _along(default: int) -> Rule:
    """Along one axis, which must not be the first."""

    def rule(node: Node, given: Sequence[Known]) -> Step | None:
        axes = given[0].axes
        (axis,) = node.whole.get("axis", (default,))
        return _kept(axes) if axis % axes else None

    return rule


def _levels(node: Node, given: Sequence[Known]) -> Step | None:
    """Rounded, or not any more: by one scale, or by one for each along an axis."""
    return _kept(given[0].axes) if given[1].shape == () else _along(1)(node, given)


def _picked(node: Node, given: Sequence[Known]) -> Step | None:
    """Rows, columns or channels by their places."""
    axes, places = given[0].axes, given[1].shape
    along = node.whole.get("axis", (0,))[0] % axes
    return _kept(axes - 1 + len(places)) if along and places is not None else None


def _transposed(node: Node, given: Sequence[Known]) -> Step | None:
    return _kept(given[0].axes) if node.whole.get("perm", (1,))[0] == 0 else None


def _told(one: Known) -> list[float] | None:
    """The numbers of a tensor of the file; None where they are not known."""
    if one.value is None:
        return None
    try:
        return [float(number) for number in np.ravel(tensor_value(one.value))]
    except ValueError:
        return None


def _axes_of(node: Node, given: Sequence[Known], at: int, axes: int) -> set[int] | None:
    """The axes that a node is about, by attribute or input; None where that is not known."""
    told: Sequence[float] | None = node.whole.get("axes")
    if told is None and at < len(given):
        told = _told(given[at])
    return None if told is None else {int(axis) % axes for axis in told}


def _resized(node: Node, given: Sequence[Known]) -> Step | None:
    """By factors, or to sides, of which the first is that of all pictures."""
    axes = given[0].axes
    if node.whole.get("axes"):
        return None
    if len(given) > 3 and node.inputs[3]:
        return Step(Role.TOGETHER, axes, sides=3)
    factors = _told(given[2]) if len(given) > 2 else None
    return _kept(axes) if factors is not None and factors[:1] == [1] else None


def _reshaped(node: Node, given: Sequence[Known]) -> Step | None:
    """Where the first of the new sides is the pictures' own."""
    if given[1].role is Role.SHARED:
        return Step(Role.TOGETHER, given[1].axes, sides=1) if given[1].axes else None
    sides = _told(given[1])
    if not sides:
        return None
    if sides[0] == 0 and node.whole.get("allowzero", (0,)) == (0,):
        return _kept(len(sides))
    return Step(Role.TOGETHER, len(sides), sides=1) if sides[0] == 1 else None


def _fewer_axes(node: Node, given: Sequence[Known]) -> Step | None:
    """Without some axes, of one cell or summed up, which must not be the first."""
    axes = given[0].axes
    gone = _axes_of(node, given, 1, axes)
    if not gone or 0 in gone:
        return None
    kept = node.kind.startswith("Reduce") and node.whole.get("keepdims", (1,)) == (1,)
    return _kept(axes if kept else axes - len(gone))


def _more_axes(node: Node, given: Sequence[Known]) -> Step | None:
    told = _told(given[1]) if len(given) > 1 else list(node.whole.get("axes", ()))
    if not told:
        return None
    axes = given[0].axes + len(told)
    return None if any(int(axis) % axes == 0 for axis in told) else _kept(axes)


def _flat(node: Node, given: Sequence[Known]) -> Step | None:
    return _kept(2) if node.whole.get("axis", (1,)) == (1,) else None


def _sliced(node: Node, given: Sequence[Known]) -> Step | None:
    axes = given[0].axes
    about = _axes_of(node, given, 3, axes)
    return _kept(axes) if about and 0 not in about else None


def _padded(node: Node, given: Sequence[Known]) -> Step | None:
    axes = given[0].axes
    if len(given) > 3 and node.inputs[3]:
        return None
    pads = _told(given[1]) if len(given) > 1 else None
    # Computed margins are the rows' and columns', as sides are.
    inside = given[1].role is Role.SHARED or (pads and not pads[0] and not pads[axes])
    return _kept(axes) if inside else None


def _multiplied(node: Node, given: Sequence[Known]) -> Step | None:
    """Matrices of all pictures, with each other or with one that is the same for all."""
    first, second = given
    if first.role is second.role:
        return _kept(first.axes) if first.axes == second.axes >= 3 else None
    same, axes = (second, first.axes) if first.role is Role.TOGETHER else (first, second.axes)
    least = 2 if first.role is Role.TOGETHER else 3
    return (
        _kept(axes) if same.shape is not None and len(same.shape) == 2 and axes >= least else None
    )


def _summed(node: Node, given: Sequence[Known]) -> Step | None:
    """A matrix with a row for each picture."""
    rows = node.whole.get("transA", (0,)) == (0,)
    added = len(given) < 3 or not node.inputs[2] or _broadcasts(given[2], 2)
    return _kept(2) if rows and added else None


_OF_SEVERAL: dict[str, Rule] = by_kind(
    {
        "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean": _side_by_side,
        "Min Mul Or PRelu Pow Sub Sum Where": _side_by_side,
        "Concat": _joined,
        "MatMul": _multiplied,
    }
)
"""Operators of ONNX's own of which several inputs may be all pictures'."""

_OF_FIRST: dict[str, Rule] = by_kind(
    {
        "Abs AveragePool BatchNormalization Cast Ceil Clip Conv ConvInteger ConvTranspose": _each,
        "DepthToSpace Elu Erf Exp Floor Gelu GlobalAveragePool GlobalMaxPool": _each,
        "GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN": _each,
        "LeakyRelu Log LpPool MaxPool Mish Neg Not QLinearConv Reciprocal Relu Round Selu": _each,
        "Sigmoid Softplus Softsign SpaceToDepth Sqrt Tanh": _each,
        "DequantizeLinear QuantizeLinear": _levels,
        "Flatten": _flat,
        "Gather": _picked,
        "Gemm": _summed,
        "LayerNormalization LogSoftmax Softmax": _along(-1),
        "Pad": _padded,
        "ReduceMax ReduceMean ReduceMin ReduceSum Squeeze": _fewer_axes,
        "Reshape": _reshaped,
        "Resize": _resized,
        "Slice": _sliced,
        "Split": _along(0),
        "Transpose": _transposed,
        "Unsqueeze": _more_axes,
    }
)
"""Likewise of which only the first is, and all else is the same for all. What is in neither table
is taken to know one picture only."""
