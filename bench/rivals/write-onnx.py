"""An ONNX file of a network as Reprise reads it, so that onnxruntime runs the same operations and weights.
usage: write-onnx.py graph.json weights.bin network.onnx

graph.json: format (`onnx` or `layers`), operations, constants (dims, and the first cell in weights.bin, float32), input
and its dims. Keras layers have channels last: the input is transposed once, and all else has channels first, for which
onnxruntime has its kernels.
"""
import json
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

described, weights, path = sys.argv[1:4]
with open(described) as file:
    graph = json.load(file)
cells = np.fromfile(weights, dtype=np.float32)
CONSTANTS = {
    name: cells[one["from"] : one["from"] + int(np.prod(one["dims"]))].reshape(one["dims"])
    for name, one in graph["constants"].items()
}
nodes, tensors, fresh = [], {}, iter(range(10**6))


def constant(value, dtype=np.float32):
    name = f"constant.{next(fresh)}"
    tensors[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype), name)
    return name


def node(op, inputs, **attributes):
    output = f"value.{next(fresh)}"
    nodes.append(helper.make_node(op, inputs, [output], **attributes))
    return output


def windowed(of, window):
    same = "SAME_UPPER" if of["padding"] == "same" else "VALID"
    return {"kernel_shape": list(window), "auto_pad": same, "strides": of["strides"]}


def relu(x, most=None):
    return node("Relu", [x]) if most is None else node("Clip", [x, constant(0.0), constant(most)])


def layer(op, of, inputs):
    x, *names = inputs
    given = [CONSTANTS.get(name) for name in names]
    kind = of.get("activation", "linear")
    if op in ("Conv2D", "DepthwiseConv2D"):
        height, width, channels, filters = given[0].shape
        is_deep = op == "DepthwiseConv2D"
        turned = given[0].transpose(2, 3, 0, 1) if is_deep else given[0].transpose(3, 2, 0, 1)
        own = turned.reshape(-1, 1, height, width) if is_deep else turned
        bias = [constant(one) for one in given[1:] if one is not None]
        group = channels if is_deep else 1
        x = node("Conv", [x, constant(own), *bias], group=group, **windowed(of, [height, width]))
    elif op == "Dense":
        x = node("Gemm", [x, *(constant(one) for one in given if one is not None)])
    elif op == "BatchNormalization":
        gamma, beta, mean, variance = given
        gamma = np.ones_like(mean) if gamma is None else gamma
        beta = np.zeros_like(mean) if beta is None else beta
        moments = [constant(one) for one in (gamma, beta, mean, variance)]
        x = node("BatchNormalization", [x, *moments], epsilon=of["epsilon"])
    elif op == "ReLU":
        x = relu(x, of.get("max_value"))
    elif op == "ZeroPadding2D":
        top, bottom, left, right = of["padding"]
        x = node("Pad", [x, constant([0, 0, top, left, 0, 0, bottom, right], np.int64)])
    elif op in ("MaxPooling2D", "AveragePooling2D"):
        x = node("MaxPool" if op == "MaxPooling2D" else "AveragePool", [x], **windowed(of, of["pool_size"]))
    elif op == "Flatten":
        x = node("Flatten", [node("Transpose", [x], perm=[0, 2, 3, 1])])
    elif op == "Concatenate":
        x = node("Concat", inputs, axis=1)
    elif op == "Add":
        x = node("Add", inputs)
    elif op not in ("Activation", "Dropout"):
        raise ValueError(f"expected a layer that is written, got {op}")
    if kind == "linear":
        return x
    return relu(x) if kind == "relu" else node({"softmax": "Softmax"}[kind], [x])


def operation(op, of, inputs):
    for name in inputs:
        if name in CONSTANTS:
            tensors[name] = numpy_helper.from_array(CONSTANTS[name], name)
    # Bounds are operands since version 11.
    if op == "Clip":
        return node(op, [*inputs, constant(of["min"]), constant(of["max"])])
    return node(op, inputs, **of)


source, (name, dims) = graph["format"], graph["input"]
known = {name: node("Transpose", [name], perm=[0, 3, 1, 2])} if source == "layers" else {}
for one in graph["operations"]:
    inputs = [known.get(x, x) for x in one["inputs"]]
    made = (layer if source == "layers" else operation)(one["op"], one["attributes"], inputs)
    known[one["outputs"][0]] = made
output = known[graph["output"]]
own = helper.make_graph(
    nodes,
    "network",
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", *dims])],
    [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["rows", "columns"])],
    list(tensors.values()),
)
model = helper.make_model(own, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
checker.check_model(model)
save(model, path)
print(json.dumps({"seconds": 0, "answers": [len(nodes)]}))
