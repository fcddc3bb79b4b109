# SPDX-License-Identifier: Apache-2.0
"""The engine that writes ONNX, made to compute: what is asked for is written as a file and run by onnxruntime. For tests of the writer."""

import numpy as np
import onnxruntime

from nyala.core.dtypes import numpy_dtype
from nyala.engines._onnx_engine import OnnxEngine
from nyala.engines._onnx_graph import TYPES, Graph, Joined, Node, Open, Trace


def run(model, feed):
    """The outputs of a model, by onnxruntime as it is and without its own rewriting of graphs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)


class ComputingEngine(OnnxEngine):
    """OnnxEngine whose tensors have values. Dtypes that onnxruntime computes little in on CPUs count as not there."""

    def __init__(self):
        super().__init__(Trace())

    def canonical_dtype(self, dtype):
        return {"float64": "float32", "uint64": "uint32", "complex64": "float32", "complex128": "float32"}.get(dtype, dtype)

    def to_numpy(self, x):
        if len(self.trace.graphs) > 1:
            super().to_numpy(x)
        main = self.trace.graphs[0]
        end = Node("Identity", [x.value], ["result"], {})
        shown = "float32" if x.dtype == "bfloat16" else x.dtype  # onnxruntime hands out no bfloat16
        if shown != x.dtype:
            end = Node("Cast", [x.value], ["result"], {"to": TYPES[shown]})
        self.trace.graphs[0] = Graph([*main.nodes, end], [], [("result", x.shape, shown)])
        try:
            model = Joined([self.trace], Open({}), "test").model("test", 18, ("nyala", ""))
        finally:
            self.trace.graphs[0] = main
        (result,) = run(model, {})
        assert result.shape == x.shape and result.dtype == np.dtype(shown), (result.shape, x.shape, result.dtype, x.dtype)
        return np.array(result).astype(numpy_dtype(x.dtype))
