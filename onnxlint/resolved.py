"""The nodes of a model as they are once every name is resolved: plain data, in execution order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
import onnx

from onnxlint.load import LoadError
from onnxlint.ordering import CycleError, execution_order
from onnxlint.text import printable, text

_DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})


class NodeDef(msgspec.Struct):
    """One operator call; `inputs` keeps order and repetition, with "" for an omitted one.

    Nodes of equal plain attributes share one mapping of them.
    """

    op_type: str
    domain: str
    version: int
    name: str
    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, onnx.AttributeProto]
    bodies: Mapping[str, GraphDef]

    def reads(self) -> Collection[str]:
        """Every value the node needs: its inputs, "" for omitted ones, and what its bodies take from outside."""
        return set(self.inputs).union(*(body.captured for body in self.bodies.values())) if self.bodies else self.inputs


class GraphDef(msgspec.Struct):
    """A graph or body: `inputs` without initializers, `declared` the types that the file states.

    `captured` are the values taken from outside, `problems` (of the main graph) what can't be analysed, and why.
    `has_invalid` (of the main graph) says that nodes contradict their schemas: they bear another operator's name.
    """

    path: str
    inputs: list[str] = msgspec.field(default_factory=list)
    outputs: list[str] = msgspec.field(default_factory=list)
    nodes: list[NodeDef] = msgspec.field(default_factory=list)
    initializers: dict[str, onnx.TensorProto] = msgspec.field(default_factory=dict)
    sparse: dict[str, onnx.SparseTensorProto] = msgspec.field(default_factory=dict)
    declared: dict[str, onnx.TypeProto] = msgspec.field(default_factory=dict)
    captured: set[str] = msgspec.field(default_factory=set)
    problems: list[str] = msgspec.field(default_factory=list)
    has_invalid: bool = False


def in_order(nodes: list[NodeDef]) -> list[NodeDef]:
    """The nodes in execution order: as in the file where that is valid, else sorted; raises LoadError for a cycle."""
    writer = {name: index for index, node in enumerate(nodes) for name in node.outputs if name}
    if all(writer.get(name, -1) < index for index, node in enumerate(nodes) for name in node.reads()):
        return nodes
    needs = [{writer[name] for name in node.reads() if name in writer} for node in nodes]
    try:
        return [nodes[index] for index in execution_order(needs)]
    except CycleError as error:
        key = printable(nodes[error.index].key)
        raise LoadError(f"is no valid graph: it has a cycle through {key!r}") from None


def opsets(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    """Domain → version, the default domain spelled ""."""
    return {domain_of(entry.domain): entry.version for entry in imports}


def domain_of(raw: str | bytes) -> str:
    """The domain with ONNX's two spellings of the default one made equal."""
    domain = text(raw)
    return "" if domain in _DEFAULT_DOMAINS else domain
