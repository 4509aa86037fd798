"""Which provider runs which node of an open session."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stream.errors import ProviderError
from stream.inference.onnx_runtime import InferenceSession
from stream.inference.route import Route
from stream.wording.words import counted

SUMS_OVER_SHAPES = frozenset(
    [
        "Add",
        "Cast",
        "Concat",
        "Div",
        "Equal",
        "Floor",
        "Gather",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Range",
        "Reshape",
        "Shape",
        "Slice",
        "Squeeze",
        "Sub",
        "Unsqueeze",
        "Where",
    ]
)
"""What counts sides and regions: ONNX Runtime leaves it to the CPU, so that no card is waited
for."""

_PLACES = {"CPUExecutionProvider": "the CPU"}


@dataclass(frozen=True, slots=True)
class Assigned:
    """A node of the model as ONNX Runtime found it, before it joined any.

    Attributes:
        name: the node's.
        kind: its operator.
        provider: ONNX Runtime's name of the provider that runs it.
    """

    name: str
    kind: str
    provider: str


def assignment(handle: InferenceSession) -> list[Assigned]:
    """Which provider runs each node of an open session; nothing before ONNX Runtime 1.24."""
    if not hasattr(handle, "get_provider_graph_assignment_info"):
        return []
    return [
        Assigned(node.name, node.op_type, part.ep_name)
        for part in handle.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]


def elsewhere(handle: InferenceSession, chosen: Route) -> list[str]:
    """Which nodes another provider runs, a sentence for each such provider.

    Nothing is said where all of them only count sides and regions.

    Raises:
        ProviderError: it is all of them.
    """
    if chosen.name == "cpu":
        return []
    here, other = 0, dict[str, Counter[str]]()
    for node in assignment(handle):
        if node.provider == chosen.execution_provider:
            here += 1
        else:
            other.setdefault(node.provider, Counter())[node.kind] += 1
    total = here + sum(kinds.total() for kinds in other.values())
    if not here and total:
        raise ProviderError(f"{chosen.label} takes none of the model's {counted(total, 'node')}")
    return [
        f"{kinds.total()} of {counted(total, 'node')} run on "
        f"{_PLACES.get(name) or name.removesuffix('ExecutionProvider')} instead of {chosen.label}: "
        + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))
        for name, kinds in other.items()
        if not (name in _PLACES and kinds.keys() <= SUMS_OVER_SHAPES)
    ]
