"""An ONNX file's graph: read once, asked who makes and who reads what, and written with changes.

All of it is done without the package `onnx`. The field numbers are those of ONNX's onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stream.inference.onnx_fields import fields, text
from stream.inference.onnx_nodes import Node, read_node, tensor_head, tensor_value
from stream.inference.onnx_writer import encoded_bytes
from stream.types import Array

NODE, WEIGHT, GRAPH_INPUT, OUTPUT = 1, 5, 11, 12
"""Of a graph's fields."""

_GRAPH = 7  # ModelProto.graph

Instead = Mapping[int, Sequence[bytes]]
"""What takes the place of nodes, by their `id`: fields of a graph, of nodes and of tensors."""


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a graph.

    Attributes:
        number: what it is.
        content: its value; empty where that is a number.
        raw: all of it, as it is in the file.
        node: what is read of it, where it is one.
        name: of what goes in or comes out, or of the tensor that it stores.
        tensor: the content of that one.
    """

    number: int
    content: memoryview
    raw: memoryview
    node: Node | None = None
    name: str = ""
    tensor: memoryview | None = None


@dataclass(slots=True)
class Graph:
    """A graph's nodes and tensors.

    Attributes:
        parts: its fields, in their order.
        nodes: likewise.
        stored: contents of its tensors, by name.
        ends: names of what it answers.
        makers: nodes by the names of what they make.
        readers: nodes by the names of what they read, as often as they do.
    """

    parts: list[Part]
    nodes: list[Node] = field(default_factory=list)
    stored: dict[str, memoryview] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    makers: dict[str, Node] = field(default_factory=dict)
    readers: dict[str, list[Node]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts:
            if part.number == OUTPUT:
                self.ends.append(part.name)
            if part.node is not None:
                self.nodes.append(part.node)
            if part.tensor is not None:
                self.stored[part.name] = part.tensor
        for one in self.nodes:
            self.makers.update(dict.fromkeys(one.outputs, one))
            for name in one.inputs:
                self.readers.setdefault(name, []).append(one)

    def value(self, name: str) -> Array | None:
        """A stored tensor; None where it is computed, or stored in a rare way."""
        found = self.values([name])
        return None if found is None else found[0]

    def values(self, names: Iterable[str]) -> list[Array] | None:
        """Stored tensors; None where one of them is computed, or stored in a rare way."""
        try:
            return [tensor_value(self.stored[name]) for name in names]
        except (KeyError, ValueError):
            return None

    def only_reader(self, name: str, kind: str) -> Node | None:
        """The node that alone reads something, if it is of a kind."""
        found = [] if name in self.ends else self.readers.get(name, [])
        return found[0] if len(found) == 1 and found[0].kind == kind else None

    def unread(self, instead: Instead) -> set[str]:
        """Names of stored tensors that nothing reads any more once nodes have been exchanged."""
        if any(one.nested for one in self.nodes):
            return set()  # A graph within a node may read what nothing out here does.
        read, before = set(self.ends), set[str]()
        for one in self.nodes:
            pieces = instead.get(id(one))
            (read if pieces is None else before).update(one.inputs)
            read.update(_read_by(pieces or ()))
        return (before & self.stored.keys()) - read

    def idle(self, instead: Instead) -> list[Node]:
        """Nodes that make nothing that is read, once nodes have been exchanged."""
        wanted = {*self.ends, *(name for pieces in instead.values() for name in _read_by(pieces))}
        found = []
        # Nodes stand in their order, so that who reads something comes behind who makes it.
        for one in reversed(self.nodes):
            if id(one) in instead:
                continue
            if wanted.isdisjoint(one.outputs):
                found.append(one)
            else:
                wanted.update(one.inputs)
        return found

    def written(self, instead: Instead, without: Collection[str] = ()) -> bytes:
        """Its content with nodes exchanged.

        Args:
            instead: what takes their places; nothing of a node that is left out.
            without: names of stored tensors that are left out.
        """
        return b"".join(_written(self.parts, instead, without))

    def written_in_order(
        self, instead: Instead, without: Collection[str] = (), behind: Sequence[bytes] = ()
    ) -> bytes:
        """Likewise, with all nodes in front, `behind` them fields that are new, then all others."""
        nodes = [part for part in self.parts if part.node is not None]
        others = [part for part in self.parts if part.node is None]
        front, rest = (_written(parts, instead, without) for parts in (nodes, others))
        return b"".join([*front, *behind, *rest])


def with_graph(
    model: bytes, edit: Callable[[Graph], bytes | None], *, constants: bool = False
) -> bytes:
    """A model's file with its graph edited, and all else as it is.

    Args:
        model: an ONNX file's content.
        edit: gives the content of what takes the graph's place; None where it is to stay.
        constants: whether nodes that are a tensor (Constant) count as stored tensors too.

    Returns:
        The edited content; what came in where there is nothing to edit.

    Raises:
        ValueError: it is not in the format of an ONNX file.
    """
    written: list[bytes | memoryview] = []
    changed = False
    for number, value, raw in fields(memoryview(model)):
        edited = None
        if number == _GRAPH and isinstance(value, memoryview):
            edited = edit(Graph([_part(*one, constants=constants) for one in fields(value)]))
        changed = changed or edited is not None
        written.append(raw if edited is None else encoded_bytes(_GRAPH, edited))
    return b"".join(written) if changed else model


def _part(number: int, value: int | memoryview, raw: memoryview, *, constants: bool) -> Part:
    if isinstance(value, int):
        return Part(number, memoryview(b""), raw)
    if number == NODE:
        node = read_node(value)
        if constants and node.kind == "Constant":
            return Part(number, value, raw, node, node.outputs[0], node.value)
        return Part(number, value, raw, node)
    if number == WEIGHT:
        return Part(number, value, raw, None, tensor_head(value)[0], value)
    if number in (GRAPH_INPUT, OUTPUT):
        name = next((text(one) for at, one, _ in fields(value) if at == 1), "")
        return Part(number, value, raw, None, name)
    return Part(number, value, raw)


def _written(
    parts: Iterable[Part], instead: Instead, without: Collection[str]
) -> Iterator[bytes | memoryview]:
    for part in parts:
        pieces = None if part.node is None else instead.get(id(part.node))
        if pieces is not None:
            yield from pieces
        elif part.tensor is None or part.name not in without:
            yield part.raw


def _read_by(pieces: Iterable[bytes]) -> Iterator[str]:
    """What nodes among a graph's fields read."""
    for piece in pieces:
        number, value, _ = next(fields(memoryview(piece)))
        if number == NODE and isinstance(value, memoryview):
            yield from read_node(value).inputs
