"""KimCNN in ONNX with products of integers: a quarter of the file, and several times as fast as in
float32 on processors that multiply bytes.

An embedding's rows are what the convolutions see, so both factors can be integers without that
anything is rounded on the way: embedding (scaled by its columns) and kernels (by their outputs) are
rounded once, when the file is written; their products, sums and the maximum over a text are exact.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from gdlib.networks.students import UNKNOWN

if TYPE_CHECKING:
    from gdlib.networks.export import Packed

ZERO, LARGEST, KERNEL = 128, 127, 63
"""What zero is in an embedding, and the largest number of an embedding and of a kernel. Seven bits
of a kernel are as many as keep two products within the 16 bits in which processors without VNNI add
them up: 2 x 255 x 63 < 2**15."""
OPSET = 18


def seven_bits(numbers: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 127, eight in seven bytes: the eighth's bits are the others' highest.

    *Shape:* uint8 ``[n]`` -> ``[n / 8 rounded up, 7]``.
    """
    eights = np.pad(numbers, (0, -len(numbers) % 8)).reshape(-1, 8)
    highest = eights[:, 7:] >> np.arange(7, dtype=np.uint8) & 1
    return eights[:, :7] | highest << 7


def model(packed: "Packed") -> Any:
    """A packed KimCNN as an ONNX model of the interface that :class:`Packed` has.

    A padded position looks at the first piece of its text once more, which no maximum notices.
    """
    from onnx import TensorProto, helper, numpy_helper

    state = {name: value.numpy() for name, value in packed.student.state_dict().items()}
    nodes, constants = [], []

    def constant(values: Any, dtype: Any = np.int64) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, dtype), f"c{len(constants)}"))
        return constants[-1].name

    def node(kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"n{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def cast(value: str, dtype: Any) -> str:
        return node("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def unpacked(kernel: np.ndarray) -> str:
        """What :func:`seven_bits` packs; onnxruntime does it once, when it loads the file."""
        bytes_ = constant(seven_bits((kernel + (KERNEL + 1)).astype(np.uint8).ravel()), np.uint8)
        highest = node("BitShift", bytes_, constant(7, np.uint8), direction="RIGHT")
        eighth = node("MatMul", cast(highest, np.float32), constant(powers, np.float32))
        seven = node("BitwiseAnd", bytes_, constant(127, np.uint8))
        eights = cast(node("Concat", seven, cast(eighth, np.uint8), axis=1), np.int32)
        flat = node("Reshape", eights, constant([-1]))
        flat = node("Slice", flat, constant([0]), constant([kernel.size]))
        centred = node("Sub", flat, constant(KERNEL + 1, np.int32))
        return cast(node("Reshape", centred, constant(kernel.shape)), np.int8)

    powers = 2.0 ** np.arange(7)[:, None]
    known, pieces = packed.vocabulary.teacher_ids, len(packed.rows)
    ids = constant(known, np.uint16 if pieces < 2**16 else np.int32)
    rows = node("Expand", constant(UNKNOWN, np.int32), constant([pieces]))
    numbers = node("Range", *(constant(v, np.int32) for v in (0, len(known), 1)))
    rows = node("Gather", node("ScatterElements", rows, cast(ids, np.int64), numbers), "input_ids")

    # a window of the widest kernel around every position: [texts, pieces, widest]
    widths = packed.student.widths
    left, widest = (max(widths) - 1) // 2, max(widths)
    real = cast(rows, np.bool_)
    first = node("ArgMax", cast(real, np.int32), axis=1, keepdims=1)
    length = node("Squeeze", node("Shape", "input_ids", start=1, end=2))
    places = node("Where", real, node("Range", constant(0), length, constant(1)), first)
    windows = node("Add", node("Unsqueeze", places, constant([2])), constant(range(widest)))
    ends = constant([0, left, 0, widest - 1 - left])
    around = node("Pad", rows, ends, constant(0, np.int32))
    seen = node("GatherElements", around, node("Reshape", windows, constant([0, -1])), axis=1)

    weights = state["embedding.weight"]
    dim = weights.shape[1]
    column = np.maximum(np.abs(weights).max(axis=0), 1e-30) / LARGEST
    table = constant(np.rint(weights / column) + ZERO, np.uint8)
    seen = node("Reshape", node("Gather", table, seen), constant([0, -1, widest * dim]))
    pools, scales, biases = [], [], []
    for number, width in enumerate(widths):
        kernel = state[f"convolutions.{number}.weight"] * column[:, None]
        kernel = kernel.transpose(2, 1, 0).reshape(width * dim, -1)
        scales.append(np.maximum(np.abs(kernel).max(axis=0), 1e-30) / KERNEL)
        biases.append(state[f"convolutions.{number}.bias"])
        start = left - (width - 1) // 2
        part = [constant([place * dim]) for place in (start, start + width)]
        own = node("Slice", seen, *part, constant([2]))
        sums = node(
            "MatMulInteger", own, unpacked(np.rint(kernel / scales[-1])), constant(ZERO, np.uint8)
        )
        pools.append(node("ReduceMax", sums, constant([1]), keepdims=0))
    hidden = cast(node("Concat", *pools, axis=1), np.float32)
    hidden = node("Mul", hidden, constant(np.concatenate(scales), np.float32))
    hidden = node("Relu", node("Add", hidden, constant(np.concatenate(biases), np.float32)))
    # a text of padding alone has no features
    some = node("ReduceMax", cast(real, np.float32), constant([1]), keepdims=1)
    hidden = node("Mul", hidden, some)

    readout = state["readout.1.weight"] / packed.temperature
    scale = np.maximum(np.abs(readout).max(axis=1, keepdims=True), 1e-30) / LARGEST
    whole = constant(np.rint(readout / scale), np.int8)
    whole = node("DequantizeLinear", whole, constant(scale[:, 0], np.float32), axis=0)
    bias = constant(state["readout.1.bias"] / packed.temperature, np.float32)
    logits = node("Gemm", hidden, whole, bias, transB=1)
    node("Softmax", logits, name="probabilities", axis=-1)
    graph = helper.make_graph(
        nodes,
        "student",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["texts", "pieces"])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["texts", len(scale)])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
