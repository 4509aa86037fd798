"""What is read of a graph, and what is written of it once nodes were exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.inference.onnx_graph import NODE, OUTPUT, WEIGHT, Graph, with_graph
from stream.inference.onnx_nodes import Node
from stream.inference.onnx_writer import encoded_bytes, encoded_text, node, tensor


def model(nodes: Sequence[onnx.NodeProto], weights: Sequence[str] = (), ends: str = "y") -> bytes:
    """A file that takes x and answers the ends, with weights of three numbers."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, [3]) for one in ends.split()],
        [numpy_helper.from_array(np.arange(3, dtype=np.float32), one) for one in weights],
    )
    return bytes(helper.make_model(graph).SerializeToString())


def read(content: bytes, *, constants: bool = False) -> Graph:
    found: list[Graph] = []

    def keep(graph: Graph) -> None:
        found.append(graph)

    assert with_graph(content, keep, constants=constants) is content
    return found[0]


def edited(content: bytes, edit: Callable[[Graph], bytes], *, constants: bool = False) -> list[str]:
    """What the file consists of afterwards: operators, then names of weights."""
    after = onnx.load_from_string(with_graph(content, edit, constants=constants))
    return [
        *(one.op_type for one in after.graph.node),
        *(one.name for one in after.graph.initializer),
    ]


def made(kind: str, inputs: str, output: str) -> bytes:
    return encoded_bytes(NODE, node(kind, inputs.split(), output))


def of_kind(graph: Graph, kind: str) -> Node:
    (found,) = (one for one in graph.nodes if one.kind == kind)
    return found


ADDS = [helper.make_node("Add", ["x", "a"], ["s"]), helper.make_node("Mul", ["s", "b"], ["y"])]
CONSTANT = helper.make_node(
    "Constant", [], ["b"], value=numpy_helper.from_array(np.float32([4, 5, 6]))
)


def test_what_is_not_changed_stays_to_the_last_byte() -> None:
    content = model(ADDS, ["a", "b"])
    assert with_graph(content, lambda graph: graph.written({})) == content
    assert with_graph(content, lambda graph: graph.written_in_order({})) == content


def test_fields_that_nobody_knows_stay_too() -> None:
    """Numbers, even where a node is expected, and what other programs have added."""
    node_number, other_number = b"\x08\x07", b"\x98\x06\x01"
    strange = node_number + other_number + encoded_bytes(99, b"?")
    content = onnx.load_from_string(model(ADDS, ["a", "b"]))
    graph = content.graph.SerializeToString()
    content.ClearField("graph")
    head = content.SerializeToString()
    whole = head + encoded_bytes(7, strange + graph) + b"\x38\x01"  # and a graph that is one
    assert with_graph(whole, lambda graph: graph.written({})) == whole
    assert [one.kind for one in read(whole).nodes] == ["Add", "Mul"]


def test_what_is_told_of_an_answer_may_come_in_any_order() -> None:
    told = onnx.load_from_string(model(ADDS, ["a", "b"]))
    (end,) = told.graph.output
    del told.graph.output[:]
    graph = told.graph.SerializeToString() + encoded_bytes(
        OUTPUT, encoded_bytes(2, end.type.SerializeToString()) + encoded_text(1, "y")
    )
    told.ClearField("graph")
    assert read(told.SerializeToString() + encoded_bytes(7, graph)).ends == ["y"]


def test_who_makes_and_who_reads_what() -> None:
    graph = read(model([*ADDS, helper.make_node("Add", ["a", "a"], ["z"])], ["a", "b"], "y z"))
    assert [one.kind for one in graph.nodes] == ["Add", "Mul", "Add"]
    assert graph.ends == ["y", "z"]
    assert graph.makers["s"] is graph.nodes[0]
    assert [one.outputs for one in graph.readers["a"]] == [["s"], ["z"], ["z"]]
    assert onnx.NodeProto.FromString(bytes(graph.nodes[1].content)) == ADDS[1]


def test_the_only_reader() -> None:
    graph = read(model(ADDS, ["a", "b"]))
    assert graph.only_reader("s", "Mul") is graph.nodes[1]
    assert graph.only_reader("s", "Add") is None
    assert graph.only_reader("y", "Mul") is None
    # Whoever takes the answer reads it too.
    assert read(model(ADDS, ["a", "b"], "s y")).only_reader("s", "Mul") is None
    twice = [ADDS[0], helper.make_node("Mul", ["s", "s"], ["y"])]
    assert read(model(twice, ["a"])).only_reader("s", "Mul") is None


def test_stored_numbers() -> None:
    graph = read(model(ADDS, ["a", "b"]))
    assert graph.value("s") is graph.values(["a", "s"]) is None
    values = graph.values(["b", "a"])
    assert values is not None
    assert [one.tolist() for one in values] == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("constants", [True, False])
def test_nodes_that_are_a_tensor_count_where_that_is_asked_for(constants: bool) -> None:
    content = model([CONSTANT, *ADDS], ["a"])
    found = read(content, constants=constants).value("b")
    assert (None if found is None else found.tolist()) == ([4, 5, 6] if constants else None)

    def without(graph: Graph) -> bytes:
        instead = {id(of_kind(graph, "Mul")): [made("Neg", "s", "y")]}
        return graph.written(instead, graph.unread(instead))

    left = edited(content, without, constants=constants)
    assert left == [*([] if constants else ["Constant"]), "Add", "Neg", "a"]


def test_tensors_that_nothing_reads_any_more() -> None:
    def names(content: bytes, *pieces: bytes) -> set[str]:
        graph = read(content)
        return graph.unread({id(of_kind(graph, "Mul")): pieces})

    assert names(model(ADDS, ["a", "b", "c"]), made("Neg", "s", "y")) == {"b"}
    assert names(model(ADDS, ["a", "b"]), made("Div", "s b", "y")) == set()
    folded = encoded_bytes(WEIGHT, tensor("y", np.ones(3, np.float32)))
    assert names(model(ADDS, ["a", "b"]), folded) == {"b"}
    another = helper.make_node("Neg", ["b"], ["z"])
    assert names(model([*ADDS, another], ["a", "b"], "y z"), made("Neg", "s", "y")) == set()
    assert names(model(ADDS, ["a", "b"], "y b"), made("Neg", "s", "y")) == set()


def test_a_graph_within_a_node_may_read_any_tensor() -> None:
    inner = helper.make_graph(
        [helper.make_node("Neg", ["b"], ["n"])],
        "inner",
        [],
        [helper.make_tensor_value_info("n", TensorProto.FLOAT, [3])],
    )
    choice = helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)
    graph = read(model([*ADDS, choice], ["a", "b"], "y z"))
    assert graph.unread({id(of_kind(graph, "Mul")): [made("Neg", "s", "y")]}) == set()


def test_nodes_that_make_nothing_that_is_read() -> None:
    chain = [helper.make_node("Neg", ["x"], ["n"]), helper.make_node("Abs", ["n"], ["m"])]
    last = helper.make_node("Mul", ["s", "m"], ["y"])
    graph = read(model([*chain, ADDS[0], last], ["a"]))
    assert graph.idle({}) == []
    instead = {id(of_kind(graph, "Mul")): [made("Neg", "s", "y")]}
    assert [one.kind for one in graph.idle(instead)] == ["Abs", "Neg"]
    assert graph.idle({id(of_kind(graph, "Mul")): [made("Sub", "s m", "y")]}) == []


def test_what_takes_a_nodes_place_stands_in_it_or_all_nodes_in_front() -> None:
    content = model(ADDS, ["a", "b"])
    new = encoded_bytes(WEIGHT, tensor("c", np.ones(3, np.float32)))

    def within(graph: Graph) -> bytes:
        return graph.written({id(graph.nodes[0]): [made("Sub", "x c", "s"), new]}, {"a"})

    once = with_graph(content, within)
    assert edited(content, within) == ["Sub", "Mul", "c", "b"]
    numbers = [part.number for part in read(once).parts]
    assert numbers[:3] == [NODE, WEIGHT, NODE]
    ordered = with_graph(once, lambda graph: graph.written_in_order({}, {"b"}, [new]))
    numbers = [part.number for part in read(ordered).parts]
    assert numbers[:4] == [NODE, NODE, WEIGHT, WEIGHT]
    assert numbers.count(WEIGHT) == 2


def test_a_weight_that_is_an_input_too_stays_one() -> None:
    """As files of the format's first three versions have it."""
    content = onnx.load_from_string(model(ADDS, ["a", "b"]))
    content.graph.input.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [3]))
    whole = bytes(content.SerializeToString())
    after = onnx.load_from_string(with_graph(whole, lambda graph: graph.written({}, {"b"})))
    assert [one.name for one in after.graph.input] == ["x", "b"]
    assert [one.name for one in after.graph.initializer] == ["a"]
