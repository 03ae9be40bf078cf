"""The few messages of ONNX's file format (protobuf) that one graph needs, written as bytes.

The `onnx` package would add 35 MB to every installation, for what is done once.
"""

from collections.abc import Mapping, Sequence
from struct import pack
from typing import Any, Final

import numpy as np

_OPSET: Final = 20
_FORMAT: Final = 9
_TYPES: Final[Mapping[str, int]] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
}
CONTRIB: Final = "com.microsoft"
"""The domain of operators that onnxruntime adds to the standard."""


class GraphWriter:
    """Collects nodes and constants, and writes them as a file."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def constant(self, name: str, value: "np.ndarray[Any, Any]") -> str:
        """Add a constant; return its name."""
        dims = b"".join(_number(1, size) for size in value.shape)
        kind = _number(2, _TYPES[value.dtype.name])
        data = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        self._constants.append(dims + kind + _text(8, name) + _field(9, data))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *outputs: str,
        domain: str = "",
        **attributes: float | Sequence[int],
    ) -> str:
        """Add an operator; return the name of its first output. An empty input is left out."""
        node = b"".join(_text(1, name) for name in inputs)
        node += b"".join(_text(2, name) for name in outputs) + _text(4, operator)
        node += b"".join(_field(5, _attribute(*each)) for each in attributes.items())
        self._nodes.append(node + (_text(7, domain) if domain else b""))
        return outputs[0]

    def write(
        self, inputs: Mapping[str, Sequence[str | int]], outputs: Mapping[str, Sequence[str | int]]
    ) -> bytes:
        """Return the file. Inputs are int64, outputs float32; a size that varies has a name."""
        graph = b"".join(_field(1, node) for node in self._nodes) + _text(2, "graph")
        graph += b"".join(_field(5, constant) for constant in self._constants)
        graph += b"".join(_field(11, _value(n, "int64", s)) for n, s in inputs.items())
        graph += b"".join(_field(12, _value(n, "float32", s)) for n, s in outputs.items())
        opsets = [_text(1, domain) + _number(2, v) for domain, v in (("", _OPSET), (CONTRIB, 1))]
        return (
            _number(1, _FORMAT)
            + _text(2, "turnout")
            + _field(7, graph)
            + b"".join(_field(8, opset) for opset in opsets)
        )


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _field(field, content.encode())


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _varint(2 << 3 | 5) + pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, 7)


def _value(name: str, kind: str, sizes: Sequence[str | int]) -> bytes:
    dims = [_text(2, size) if isinstance(size, str) else _number(1, size) for size in sizes]
    shape = b"".join(_field(1, dim) for dim in dims)
    tensor = _number(1, _TYPES[kind]) + _field(2, shape)
    return _text(1, name) + _field(2, _field(1, tensor))
