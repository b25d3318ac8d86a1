"""What a rule is: its metadata, the context that its check sees, and the examples that document and test it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType

import numpy as np
import onnx

from onnxlint.analysis import Analysis
from onnxlint.device import Device
from onnxlint.finding import SEVERITIES, Edit, Finding, Insert, Severity
from onnxlint.graph import Graph, Node
from onnxlint.kernels import Kernel
from onnxlint.latency import Seconds
from onnxlint.support import Support
from onnxlint.unused import NOTHING, Unused
from onnxlint.values import Array
from onnxlint.weights import NO_WEIGHTS, WeightValues
from onnxlint.whatif import EditError, applied

_CODE, _SLUG = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}"), re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_HEADER = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>\n'


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's metadata: `code` (G1, OPS002), `name` (its slug), default severity, whether it needs weights' values."""

    code: str
    name: str
    severity: Severity
    needs_weights: bool = False

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code) or not _SLUG.fullmatch(self.name) or self.severity not in SEVERITIES:
            raise ValueError(f"no rule: code {self.code!r}, name {self.name!r}, severity {self.severity!r}")


@dataclass(frozen=True, slots=True)
class Context:
    """What a check may look at: the graph, its kernels with costs and estimates, and the device."""

    analysis: Analysis
    assumed: tuple[str, ...] = ()
    """The free dims of the inputs with the values that stand in for them: `batch=1`, or `input[0]=1` without a name."""
    unused: Unused = NOTHING
    """What the file holds beside the graph that nothing reads."""
    weights: WeightValues = NO_WEIGHTS
    """`weights(name)`: a stored tensor's values, for the rules that say `needs_weights`."""

    graph: Graph = field(init=False, repr=False, compare=False)
    """The graph under the lint."""
    _supports: Mapping[str, Support] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # rules ask for these at every node
        object.__setattr__(self, "graph", self.analysis.graph)
        object.__setattr__(self, "_supports", self.analysis.placement.support)

    @property
    def device(self) -> Device:
        """The device it is linted for."""
        return self.analysis.target.device

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The device's kernels in execution order."""
        return self.analysis.kernels

    def support(self, node: Node) -> Support:
        """What the device says of the node (static nodes are supported: they don't run)."""
        return self._supports.get(node.key, _SUPPORTED)

    def runs(self, edits: Iterable[Edit]) -> bool:
        """The edits fit the graph, and every operator that they introduce runs on the device.

        That the toolchain reads no opset that has the operator is as good as its not running. One that the device lacks
        in any form, and that wrote the same value before, is none that they introduce.
        """
        edits = tuple(edits)
        newest = self.device.toolchain.opsets
        if newest is not None and any(
            not edit.domain and not onnx.defs.has(edit.op_type, newest[1], "")
            for edit in edits
            if isinstance(edit, Insert)
        ):
            return False
        try:
            after = applied(self.analysis, edits)
        except EditError:
            return False
        table = self.analysis.target.table
        new = (after.node(edit.outputs[0]) for edit in edits if isinstance(edit, Insert))
        return all(table.of(after, node).status == "supported" or self._lacked(node) for node in new)

    def _lacked(self, node: Node) -> bool:
        before = self.graph.producer(node.outputs[0])
        is_same = before is not None and (before.op_type, before.domain) == (node.op_type, node.domain)
        return is_same and self.analysis.target.table.by_name(node) == "unsupported"

    def seconds(self, nodes: Iterable[Node]) -> float:
        """Mean seconds of the kernels that these nodes are part of."""
        return float(self.analysis.seconds_of(nodes).mean())

    def share(self, nodes: Iterable[Node]) -> float:
        """Those seconds as a part of the whole latency, 0 to 1."""
        total = self.total_s
        return self.seconds(nodes) / total if total else 0.0

    @property
    def total_s(self) -> float:
        """The predicted latency's middle."""
        return float(self.analysis.total.mean())

    @property
    def times(self) -> Seconds:
        """Seconds, kernels × parameter sets."""
        return self.analysis.times


_SUPPORTED = Support("supported")
Draw = Callable[["np.random.Generator", tuple[int, ...]], Array]
"""Draws the values of a weight of that shape."""


@dataclass(frozen=True, slots=True)
class Valid:
    """An ONNX text on which the rule is silent on `device`; `weights` draws the values of those that it names."""

    text: str
    device: str = "generic"
    weights: Mapping[str, Draw] = field(default_factory=dict)

    @property
    def model(self) -> onnx.ModelProto:
        """The text as a model."""
        return example_model(self.text, self.weights)


@dataclass(frozen=True, slots=True)
class Invalid:
    """An ONNX text in which the rule finds `places` faults on `device`, with this severity if one is given."""

    text: str
    device: str = "generic"
    places: int = 1
    severity: Severity | None = None
    weights: Mapping[str, Draw] = field(default_factory=dict)

    @property
    def model(self) -> onnx.ModelProto:
        """The text as a model."""
        return example_model(self.text, self.weights)


@dataclass(frozen=True)
class LoadedRule:
    """A rule file as found: RULE, check, examples, and its docstring as the page."""

    rule: Rule
    family: str
    module: ModuleType

    @property
    def code(self) -> str:
        """The rule's code."""
        return self.rule.code

    @property
    def name(self) -> str:
        """The rule's slug."""
        return self.rule.name

    @cached_property
    def check(self) -> Callable[[Context], Iterator[Finding]]:
        """The function that yields findings."""
        check: Callable[[Context], Iterator[Finding]] = self.module.check
        return check

    @property
    def page(self) -> str:
        """What the rule checks, why it costs, how to fix it: the module's docstring."""
        return inspect.cleandoc(self.module.__doc__ or "")

    @property
    def title(self) -> str:
        """The page's first line."""
        return self.page.split("\n", 1)[0]

    @property
    def valid(self) -> list[Valid]:
        """Examples that pass."""
        return list(getattr(self.module, "VALID", []))

    @property
    def invalid(self) -> list[Invalid]:
        """Examples that fail."""
        return list(getattr(self.module, "INVALID", []))


def example_model(text: str, weights: Mapping[str, Draw] | None = None) -> onnx.ModelProto:
    """The model written as ONNX text (opset 17 where it has no header).

    A value that is declared in `<…>` behind the outputs and written by no node is a weight: drawn, from the same seed
    each time, by what `weights` has for it, else without its data. Raises onnx.parser.ParseError.
    """
    rng = np.random.default_rng(0)
    model = onnx.parser.parse_model(text if text.lstrip().startswith("<") else _HEADER + text)
    written = {name for node in model.graph.node for name in node.output}
    for info in list(model.graph.value_info):
        if info.name not in written:
            tensor = model.graph.initializer.add(name=info.name, data_type=info.type.tensor_type.elem_type)
            tensor.dims.extend(dim.dim_value for dim in info.type.tensor_type.shape.dim)
            model.graph.value_info.remove(info)
            draw = (weights or {}).get(info.name)
            if draw is not None:
                tensor.raw_data = draw(rng, tuple(tensor.dims)).astype("<f4").tobytes()
                continue
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights.bin")
    return model
