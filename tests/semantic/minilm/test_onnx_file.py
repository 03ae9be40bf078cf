"""What is written is what onnxruntime reads."""

import numpy as np
import onnxruntime as ort

from gateway.semantic.minilm.onnx_file import GraphWriter


def _run(data: bytes, ids: list[list[int]]) -> list[list[float]]:
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"ids": np.array(ids, np.int64)})
    return [[float(x) for x in row] for row in rows]


def test_constants_attributes_and_free_sizes_survive() -> None:
    graph = GraphWriter()
    graph.constant("table", np.array([[1, -2], [3, 4], [-128, 127]], np.int8))
    graph.constant("half", np.array(0.5, np.float32))
    graph.node("Gather", ["table", "ids"], "rows")
    graph.node("Cast", ["rows"], "float", to=1)
    graph.node("ReduceSum", ["float"], "sum", keepdims=0, noop_with_empty_axes=1)
    graph.node("Mul", ["sum", "half"], "scaled")
    graph.node("Transpose", ["scaled"], "turned", perm=[1, 0, 2])
    graph.node("LeakyRelu", ["turned"], "leaky", alpha=0.25)
    graph.node("Flatten", ["leaky"], "flat", axis=-2)
    data = graph.write({"ids": ["texts", "length"]}, {"flat": ["a", "b"]})
    assert _run(data, [[0, 2]]) == [[0.5, -0.25], [-16.0, 63.5]]
    assert _run(data, [[1]]) == [[1.5, 2.0]]


def test_a_node_may_have_several_outputs_and_leave_inputs_out() -> None:
    graph = GraphWriter()
    graph.constant("most", np.array(300, np.int64))
    graph.node("Clip", ["ids", "", "most"], "clipped")
    graph.node("Cast", ["clipped"], "float", to=1)
    graph.node("Split", ["float"], "left", "right", axis=-1, num_outputs=2)
    graph.node("Sub", ["left", "right"], "difference")
    data = graph.write({"ids": ["texts", 2]}, {"difference": ["texts", 1]})
    assert _run(data, [[500, 1], [2, 70_000]]) == [[299.0], [-298.0]]
