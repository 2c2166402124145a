"""ONNX files: damaged messages, graphs without end, lying initializers, and bombs."""

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.case import READY, Case, later

_REFUSED, _UNREADABLE = "checkpoint_refused", "checkpoint_unreadable"
_BAD = (_REFUSED, _UNREADABLE)


def cases() -> Iterator[Case]:
    yield from _messages()
    yield from _nodes()
    yield from _values()
    yield from _initializers()
    yield from _graphs()


def _case(
    name: str,
    content: bytes | Callable[[Path], object],
    *outcomes: str,
    mentions: str = "",
) -> Case:
    return Case("onnx", name, "teacher.onnx", content, outcomes, mentions, "check_teacher")


def _image(*shape: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("image", TensorProto.FLOAT, shape or ("n", 3, 8, 8))


def _logits(*shape: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape or ("n", 4))


_WEIGHTS = {
    "conv": np.random.default_rng(0).random((5, 3, 3, 3), np.float32),
    "fc": np.random.default_rng(1).random((5, 4), np.float32),
}
_CONV = helper.make_node("Conv", ["image", "conv"], ["map"], pads=[1, 1, 1, 1])
_POOL = helper.make_node("GlobalAveragePool", ["map"], ["pooled"])
_FLAT = helper.make_node("Flatten", ["pooled"], ["features"])
_FC = helper.make_node("MatMul", ["features", "fc"], ["logits"])
_NODES = (_CONV, _POOL, _FLAT, _FC)


def _model(
    nodes: Sequence[onnx.NodeProto] = _NODES,
    *,
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    opset: int = 17,
    initializers: Sequence[TensorProto] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in _WEIGHTS.items()]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [_image()] if inputs is None else inputs,
        [_logits()] if outputs is None else outputs,
        tensors if initializers is None else initializers,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    model.ir_version = 8
    return model


def _bytes(*arguments: Any, **options: Any) -> bytes:
    return bytes(_model(*arguments, **options).SerializeToString())


def _messages() -> Iterator[Case]:
    whole = _bytes()
    yield _case("valid", whole, READY)
    for percent in (2, 10, 40, 80, 99):
        yield _case(f"cut-at-{percent}-percent", whole[: len(whole) * percent // 100], *_BAD)
    for percent in (5, 20, 50, 75, 95):
        position = len(whole) * percent // 100
        damaged = whole[:position] + b"\xff" * 16 + whole[position + 16 :]
        yield _case(f"damaged-at-{percent}-percent", damaged, *_BAD, READY)
    yield _case("followed-by-text", whole + b"hello", *_BAD, READY)
    yield _case("graph-only-head", b"\x08\x08\x3a\x00", *_BAD)
    yield _case("fields-unknown", whole + b"\xfa\x3f\x05hello", READY, *_BAD)
    nested = b""
    for _ in range(30_000):
        nested = b"\x0a" + _varint(len(nested)) + nested
        if len(nested) > 60_000:
            break
    yield _case("messages-nested", b"\x08\x08\x3a" + _varint(len(nested)) + nested, *_BAD)
    yield _case("length-of-gigabytes", b"\x08\x08\x3a\xff\xff\xff\xff\x07", *_BAD)
    for opset in (0, 1, 5, 999, 2**62, -1):
        yield _case(f"opset-{opset}", _bytes(opset=opset), *_BAD, READY)
    model = _model()
    del model.opset_import[:]
    yield _case("opset-missing", model.SerializeToString(), *_BAD)
    for version in (1, 3, 63):
        model = _model()
        model.ir_version = version
        yield _case(f"ir-version-{version}", model.SerializeToString(), *_BAD, READY)


def _varint(value: int) -> bytes:
    content = b""
    while value > 127:
        content += bytes((value & 127 | 128,))
        value >>= 7
    return content + bytes((value,))


def _nodes() -> Iterator[Case]:
    """Graphs whose last or first layers are strange."""
    last = {
        "without-inputs": helper.make_node("MatMul", [], ["logits"]),
        "with-empty-inputs": helper.make_node("MatMul", ["", ""], ["logits"]),
        "without-outputs": helper.make_node("Relu", ["features"], []),
        "of-unknown-input": helper.make_node("Relu", ["nowhere"], ["logits"]),
        "of-unknown-operator": helper.make_node("Frobnicate", ["features"], ["logits"]),
        "of-unknown-domain": helper.make_node("MatMul", ["features", "fc"], ["logits"], domain="x"),
        "without-operator": helper.make_node("", ["features"], ["logits"]),
        "of-random-values": helper.make_node("RandomNormal", [], ["logits"], shape=[1, 4]),
        "of-a-constant": helper.make_node("Constant", [], ["logits"], value_floats=[1.0, 2.0]),
        "of-itself": helper.make_node("Relu", ["logits"], ["logits"]),
        "of-many-inputs": helper.make_node("MatMul", ["features"] * 1000, ["logits"]),
    }
    for name, node in last.items():
        yield _case(f"node-{name}", _bytes([_CONV, _POOL, _FLAT, node]), *_BAD, READY)
    cycle = [
        helper.make_node("Relu", ["b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["features", "a"], ["logits"]),
    ]
    yield _case("nodes-in-a-cycle", _bytes([_CONV, _POOL, _FLAT, *cycle]), *_BAD)
    yield _case("nodes-reversed", _bytes(_NODES[::-1]), *_BAD)
    yield _case("nodes-twice", _bytes([*_NODES, _FC]), *_BAD)
    yield _case("nodes-none", _bytes([]), *_BAD)
    for group in (0, -1, 2**40):
        conv = helper.make_node("Conv", ["image", "conv"], ["map"], group=group)
        yield _case(f"group-{group}", _bytes([conv, *_NODES[1:]]), *_BAD, READY)
    attributes: dict[str, Any] = {
        "strides": [0, 0],
        "dilations": [2**62, 2**62],
        "pads": [2**62] * 4,
        "kernel_shape": [-3, -3],
        "auto_pad": "NONSENSE",
    }
    for name, value in attributes.items():
        conv = helper.make_node("Conv", ["image", "conv"], ["map"], **{name: value})
        yield _case(f"conv-{name}", _bytes([conv, *_NODES[1:]]), *_BAD, READY)
    yield _case("nodes-100000", later(_many_nodes), *_BAD, READY)


def _many_nodes() -> bytes:
    relus = [helper.make_node("Relu", [f"r{n}"], [f"r{n + 1}"]) for n in range(100_000)]
    first = helper.make_node("Relu", ["features"], ["r0"])
    fc = helper.make_node("MatMul", ["r100000", "fc"], ["logits"])
    return _bytes([_CONV, _POOL, _FLAT, first, *relus, fc])


def _values() -> Iterator[Case]:
    text = helper.make_tensor_value_info("image", TensorProto.STRING, ["n", 3, 8, 8])
    inputs = {
        "batch-minus-1": [_image(-1, 3, 8, 8)],
        "batch-0": [_image(0, 3, 8, 8)],
        "batch-huge": [_image(2**40, 3, 8, 8)],
        "height-huge": [_image("n", 3, 2**40, 2**40)],
        "height-negative": [_image("n", 3, -8, -8)],
        "none": [],
        "twice": [_image(), _image()],
        "dimensions-1000": [_image(*[1] * 1000)],
        "of-text": [text],
        "without-type": [onnx.ValueInfoProto(name="image")],
        "int64": [helper.make_tensor_value_info("image", TensorProto.INT64, ["n", 3, 8, 8])],
        "type-99": [
            onnx.ValueInfoProto.FromString(
                _image().SerializeToString().replace(b"\x08\x01", b"\x08\x63", 1)
            )
        ],
    }
    for name, values in inputs.items():
        yield _case(f"input-{name}", _bytes(inputs=values), *_BAD, READY)
    outputs = {
        "none": [],
        "unknown": [helper.make_tensor_value_info("nowhere", TensorProto.FLOAT, ["n", 4])],
        "classes-0": [_logits("n", 0)],
        "classes-negative": [_logits("n", -4)],
        "classes-billions": [_logits("n", 2**40)],
        "classes-wrong": [_logits("n", 7)],
        "scalar": [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [])],
        "many": [_logits()] * 1000,
        "name-empty": [helper.make_tensor_value_info("", TensorProto.FLOAT, ["n", 4])],
        "name-long": [helper.make_tensor_value_info("x" * 1_000_000, TensorProto.FLOAT, ["n", 4])],
    }
    for name, values in outputs.items():
        yield _case(f"output-{name}", _bytes(outputs=values), *_BAD, READY)


def _initializers() -> Iterator[Case]:
    def tensor(dims: Sequence[int], raw: bytes, kind: int = TensorProto.FLOAT) -> TensorProto:
        return TensorProto(name="fc", dims=list(dims), data_type=kind, raw_data=raw)

    conv = numpy_helper.from_array(_WEIGHTS["conv"], "conv")
    tensors = {
        "more-than-data": tensor([5, 4], bytes(40)),
        "less-than-data": tensor([5, 4], bytes(800)),
        "terabytes": tensor([2**20, 2**20], bytes(80)),
        "overflow": tensor([2**62, 4], b""),
        "negative": tensor([-5, 4], bytes(80)),
        "dimensions-1000": tensor([1] * 1000, bytes(4)),
        "of-text": TensorProto(
            name="fc", dims=[1], data_type=TensorProto.STRING, string_data=[b"x"]
        ),
        "type-99": tensor([5, 4], bytes(80), 99),
        "type-0": tensor([5, 4], bytes(80), 0),
        "nan": tensor([5, 4], struct.pack("<20f", *[float("nan")] * 20)),
        "empty": tensor([0, 4], b""),
        "complex": tensor([5, 4], bytes(160), TensorProto.COMPLEX64),
        "no-name": TensorProto(dims=[5, 4], data_type=1, raw_data=bytes(80)),
    }
    for name, value in tensors.items():
        yield _case(f"initializer-{name}", _bytes(initializers=[conv, value]), *_BAD, READY)
    for name, location in {
        "relative": "w.bin",
        "dot-dot": "../../../etc/passwd",
        "absolute": "/etc/passwd",
    }.items():
        value = tensor([5, 4], b"")
        value.data_location = TensorProto.EXTERNAL
        value.external_data.add(key="location", value=location)
        yield _case(
            f"external-{name}",
            _bytes(initializers=[conv, value]),
            _REFUSED,
            mentions="another file",
        )
        constant = helper.make_node("Constant", [], ["fc"], value=value)
        nodes = [constant, *_NODES]
        yield _case(
            f"external-{name}-in-a-node", _bytes(nodes, initializers=[conv]), *_BAD, mentions="fc"
        )
    yield _case(
        "initializer-twice",
        _bytes(initializers=[conv, conv, tensor([5, 4], bytes(80))]),
        *_BAD,
        READY,
    )


def _graphs() -> Iterator[Case]:
    """Subgraphs and functions within each other, and constants that unfold to terabytes."""
    for depth in (3, 20):
        yield _case(f"if-nested-{depth}", later(_nested_if, depth), *_BAD, READY)
    recursive = helper.make_function(
        "local",
        "f",
        ["x"],
        ["y"],
        [helper.make_node("f", ["x"], ["y"], domain="local")],
        [helper.make_opsetid("local", 1)],
    )
    call = helper.make_node("f", ["features"], ["called"], domain="local")
    fc = helper.make_node("MatMul", ["called", "fc"], ["logits"])
    nodes = [_CONV, _POOL, _FLAT, call, fc]
    yield _case("function-of-itself", _bytes(nodes, functions=[recursive]), *_BAD)
    yield _case("functions-doubling-60-times", _bytes(nodes, functions=_doubling(60)), *_BAD, READY)
    loop = _loop(2**62)
    yield _case("loop-without-end", _bytes([_CONV, _POOL, _FLAT, *loop]), *_BAD, READY)
    shape = np.array([2**20, 2**20], np.int64)
    bombs = {
        "ConstantOfShape": helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        "Expand": helper.make_node("Expand", ["one", "shape"], ["big"]),
        "Tile": helper.make_node("Tile", ["ones", "shape"], ["big"]),
        "RandomUniform": helper.make_node("RandomUniform", [], ["big"], shape=[2**20, 2**20]),
    }
    for name, node in bombs.items():
        constants = [
            *(numpy_helper.from_array(array, key) for key, array in _WEIGHTS.items()),
            numpy_helper.from_array(shape, "shape"),
            numpy_helper.from_array(np.ones(1, np.float32), "one"),
            numpy_helper.from_array(np.ones((1, 1), np.float32), "ones"),
        ]
        mean = helper.make_node("ReduceMean", ["big"], ["mean"], keepdims=0)
        add = helper.make_node("Add", ["product", "mean"], ["logits"])
        product = helper.make_node("MatMul", ["features", "fc"], ["product"])
        content = _bytes([_CONV, _POOL, _FLAT, node, mean, product, add], initializers=constants)
        yield _case(f"bomb-{name}", content, *_BAD, READY)


def _nested_if(depth: int) -> bytes:
    condition = helper.make_node(
        "Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True])
    )
    value = helper.make_tensor_value_info("v0", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Relu", ["features"], ["v0"])], "g0", [], [value])
    for level in range(1, depth):
        value = helper.make_tensor_value_info(f"v{level}", TensorProto.FLOAT, None)
        node = helper.make_node(
            "If",
            ["c"],
            [f"v{level}"],
            then_branch=graph,
            else_branch=graph if level < 4 else helper.make_graph([], "e", [], []),
        )
        graph = helper.make_graph([node], f"g{level}", [], [value])
    top = helper.make_node(
        "If",
        ["c"],
        ["chosen"],
        then_branch=graph,
        else_branch=graph if depth < 4 else helper.make_graph([], "e", [], []),
    )
    fc = helper.make_node("MatMul", ["chosen", "fc"], ["logits"])
    return _bytes([_CONV, _POOL, _FLAT, condition, top, fc])


def _doubling(count: int) -> list[onnx.FunctionProto]:
    """Return functions that each call the next one twice."""
    opsets = [helper.make_opsetid("local", 1), helper.make_opsetid("", 17)]
    functions = []
    for n in range(count):
        name, callee = ("f" if n == 0 else f"f{n}"), f"f{n + 1}"
        nodes = [
            helper.make_node(callee, ["x"], ["z"], domain="local"),
            helper.make_node(callee, ["z"], ["y"], domain="local"),
        ]
        functions.append(helper.make_function("local", name, ["x"], ["y"], nodes, opsets))
    last = [helper.make_node("Relu", ["x"], ["y"])]
    return [*functions, helper.make_function("local", f"f{count}", ["x"], ["y"], last, opsets)]


def _loop(count: int) -> list[onnx.NodeProto]:
    integer, boolean = TensorProto.INT64, TensorProto.BOOL
    inputs = [
        helper.make_tensor_value_info("i", integer, []),
        helper.make_tensor_value_info("c_in", boolean, []),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
    ]
    outputs = [
        helper.make_tensor_value_info("c_out", boolean, []),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    nodes = [
        helper.make_node("Identity", ["c_in"], ["c_out"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    return [
        helper.make_node(
            "Constant", [], ["m"], value=helper.make_tensor("m", integer, [], [count])
        ),
        helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", boolean, [], [True])),
        helper.make_node("Loop", ["m", "c", "features"], ["looped"], body=body),
        helper.make_node("MatMul", ["looped", "fc"], ["logits"]),
    ]
