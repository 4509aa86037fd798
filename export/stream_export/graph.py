"""Small rewrites of ONNX graphs that more than one tool needs."""

from __future__ import annotations

import onnx
from onnx import helper, numpy_helper


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which weights that are stored narrow and cast on loading have their full type.

    A float32 model may keep its weights in half precision to save space; tools that look for
    constant weights must see through that.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    stored = {item.name: item for item in copy.graph.initializer}
    nodes = []
    for node in copy.graph.node:
        if node.op_type != "Cast" or node.input[0] not in stored:
            nodes.append(node)
            continue
        kind = next(attribute.i for attribute in node.attribute if attribute.name == "to")
        value = numpy_helper.to_array(stored[node.input[0]])
        full = value.astype(helper.tensor_dtype_to_np_dtype(kind))
        copy.graph.initializer.append(numpy_helper.from_array(full, node.output[0]))
    used = {name for node in nodes for name in node.input}
    used |= {value.name for value in copy.graph.output}
    kept = [item for item in copy.graph.initializer if item.name in used]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy
