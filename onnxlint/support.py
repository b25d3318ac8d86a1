"""What the device says of a node: it runs there, it does not, or nobody published it."""

from __future__ import annotations

from typing import Literal

import msgspec

from onnxlint.conditions import Check, broken_limits, checks_of
from onnxlint.device import Device
from onnxlint.device_operators import Condition
from onnxlint.graph import Graph, Node

Status = Literal["supported", "unsupported", "unknown"]


class Support(msgspec.Struct, frozen=True):
    """The status of one node on one device; `reason` says why where it is not supported, `source` who says so.

    `limits` are the fields of the Conditions that the node breaks; empty where its operator as such does not run.
    """

    status: Status
    reason: str = ""
    source: str = ""
    limits: frozenset[str] = frozenset()


_SUPPORTED = Support("supported")


class SupportTable:
    """A device's list of operators, ready to be asked node by node."""

    def __init__(self, device: Device) -> None:
        self.device = device
        operators = device.operators
        self._status: dict[str, Status] = dict.fromkeys(operators.supported, "supported")
        self._status |= dict.fromkeys(operators.unsupported, "unsupported")
        self._status |= dict.fromkeys(operators.unknown, "unknown")
        self._runs_any_rank = operators.max_rank is None and operators.max_wide_dims is None
        self._conditions: dict[str, list[tuple[Condition, tuple[Check, ...]]]] = {}
        for condition in operators.conditional:
            self._conditions.setdefault(condition.op, []).append((condition, checks_of(condition)))
            self._status[condition.op] = "supported"

    def by_name(self, node: Node) -> Status:
        """What the device says of the operator itself, whatever its attributes and shapes."""
        return self.named(node.qualified_op)

    def named(self, operator: str) -> Status:
        """What the device says of an operator of that name (`Conv`, `com.microsoft:Gelu`)."""
        return self._status.get(operator, self.device.operators.default)

    def by_operator(self, node: Node) -> Support | None:
        """That the device runs the node, where its operator says so; None where the node's attributes and types do."""
        operator = node.qualified_op
        is_plain = self._runs_any_rank and self.named(operator) == "supported" and operator not in self._conditions
        return _SUPPORTED if is_plain else None

    def of(self, graph: Graph, node: Node) -> Support:
        """Whether the device runs the node: by its operator, the conditions on it and the rank of its tensors."""
        if (found := self.by_operator(node)) is not None:
            return found
        operators, name = self.device.operators, self.device.name
        status = self.by_name(node)
        broken = [
            (condition, *found)
            for condition, checks in self._conditions.get(node.qualified_op, ())
            for found in broken_limits(graph, node, condition, checks)
        ]
        if broken:
            first, _, words = broken[0]
            limits = frozenset(limit for _, limit, _ in broken)
            return Support("unsupported", f"{first.reason}; here {words}", first.source, limits)
        if status == "unsupported":
            return Support("unsupported", f"{node.op_type} does not run on {name}", operators.source)
        if operators.max_rank is not None:
            rank = max((graph.type_of(value).rank or 0 for value in (*node.inputs, *node.outputs) if value), default=0)
            if rank > operators.max_rank:
                reason = f"{rank}-D tensors, where {name} holds at most {operators.max_rank}-D"
                return Support("unsupported", reason, operators.source)
        if operators.max_wide_dims is not None:
            wide = max((_wide_dims(graph, value) for value in (*node.inputs, *node.outputs) if value), default=0)
            if wide > operators.max_wide_dims:
                reason = f"{wide} dims above 1, where {name} holds at most {operators.max_wide_dims}"
                return Support("unsupported", reason, operators.source, frozenset({"max_wide_dims"}))
        if status == "unknown":
            return Support("unknown", f"whether {name} runs {node.op_type} is not public", operators.source)
        return _SUPPORTED


def _wide_dims(graph: Graph, name: str) -> int:
    """How many dims of a run-time value are above 1."""
    shape = graph.type_of(name).shape
    return 0 if shape is None or graph.is_constant(name) else sum(size is not None and size > 1 for size in shape)
