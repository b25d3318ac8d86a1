"""Which nodes the device runs as one launch: a convolution or Gemm with what follows it, chains, views for free."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from functools import cached_property
from itertools import chain

from onnxlint.graph import Graph, Node
from onnxlint.groups import Rules, Seen, find_attention, find_group
from onnxlint.kernels import ANCHORS, ATTENTION_GROUP, Kernel, classify
from onnxlint.layout import Blocks, computed_inputs
from onnxlint.no_ops import Known, is_open, passed_on
from onnxlint.operators import ELEMENTWISE
from onnxlint.placement import Placement
from onnxlint.quantization import integer_sources, is_same_grid, read_as_floats

_QUANTIZE = frozenset({"QuantizeLinear"})
_MAX_EPILOGUE = 24
_MAX_OPERANDS = 16
"""A join of more values than this runs by itself: no launch takes so many pointers."""


class Grouping:
    """Groups the graph's run-time nodes into `kernels` of the device and, where they were placed there, of its host.

    `keys` are those of each kernel's nodes. `residuals` and `looked_ahead` tell by the key of a kernel's first node
    which sums it took for residual ones, and which nodes its finding looked at besides. `sources` are for the grouping
    of an edited graph: the index that a kernel has in the graph before the edits, or -1.
    """

    def __init__(self, graph: Graph, placement: Placement, on_device: Rules, on_host: Rules) -> None:
        self.graph, self.placement = graph, placement
        self.on_device, self.on_host = on_device, on_host
        self.taken: set[str] = set()
        self.seen = Seen(graph, self.taken, placement.level)
        self.forms = on_device.forms
        self.integers = integer_sources(graph, self.forms)
        self.as_floats = read_as_floats(graph, self.integers, self.forms)
        self.known = Known(graph, is_static=True)
        layout = on_device.blocked
        self.blocks = Blocks(graph, layout) if layout is not None else None
        self.added: set[str] = set()
        self.residuals: dict[str, list[str]] = {}
        self.looked_ahead: dict[str, list[Node]] = {}
        self.kernels: list[Kernel] = []
        self.keys: list[list[str]] = []
        self.sources: list[int] = []
        self.run()

    def run(self) -> None:
        """Find all kernels, in execution order."""
        for node in self.graph.compute_nodes:
            if node.key not in self.taken:
                self.take(self.kernel_from(node))

    def take(self, kernel: Kernel) -> None:
        """Add a kernel that was not there before the edits, behind those before it."""
        self.add(kernel, [node.key for node in kernel.nodes], -1)

    def add(self, kernel: Kernel, keys: list[str], source: int) -> None:
        """Add a kernel of the nodes with these keys, which had the index `source`."""
        self.kernels.append(kernel)
        self.keys.append(keys)
        self.sources.append(source)
        self.taken.update(keys)

    @cached_property
    def first(self) -> dict[str, int]:
        """Key of a kernel's first node → the kernel's index."""
        return {kernel.main.key: index for index, kernel in enumerate(self.kernels)}

    @cached_property
    def kernel_of(self) -> dict[str, int]:
        """Node key → index of its kernel."""
        return {key: index for index, keys in enumerate(self.keys) for key in keys}

    @cached_property
    def hosted(self) -> list[int]:
        """The indices of the kernels that run on the host."""
        return [index for index, kernel in enumerate(self.kernels) if kernel.on_host]

    @cached_property
    def watchers(self) -> dict[str, list[str]]:
        """Node key → the first nodes of the kernels that have the node or looked at it when they were found."""
        return self.found_watchers()

    def found_watchers(self) -> dict[str, list[str]]:
        """The watchers of all kernels."""
        return self.watching(self.kernels)

    def watching(self, kernels: Iterable[Kernel]) -> dict[str, list[str]]:
        """The watchers among these kernels."""
        found: dict[str, list[str]] = {}
        for kernel in kernels:
            first = kernel.main.key
            for node in chain(kernel.nodes, self.looked_ahead.get(first, ())):
                found.setdefault(node.key, []).append(first)
        return found

    def kernel_from(self, node: Node) -> Kernel:
        """The kernel that begins with the node."""
        is_hosted = node.key in self.placement.on_host
        rules = self.on_host if is_hosted else self.on_device
        is_view = node.domain == "" and (
            node.op_type in rules.free
            or self.is_unchanged(node, rules)
            or self.is_strided(node, rules)
            or self.is_done_by_conversion(node)
        )
        if is_view or (not is_hosted and self.vanishes(node)):
            return Kernel((node,), node, "vector", is_free=True, on_host=is_hosted)
        name, behind = self.group(node, rules)
        members = (node, *(behind or self.followers(node, rules)))
        found = "attention" if name == ATTENTION_GROUP else classify(self.graph, node, rules.blocked)
        kernel = Kernel(members, node, found, on_host=is_hosted, group=name)
        if self.blocks is not None and self.runs_in_blocks(kernel, self.blocks):
            self.blocks.values.update(kernel.nodes[-1].outputs)
        return kernel

    def group(self, first: Node, rules: Rules) -> tuple[str, tuple[Node, ...]]:
        """The structure that begins with the node and runs as one: its name, and the nodes behind the first."""
        seen = self.seen
        if rules.attention and (behind := find_attention(seen, first)):
            found = ATTENTION_GROUP, behind
        else:
            found = find_group(seen, first, rules.groups)
        if seen.looked_at:
            self.looked_ahead[first.key] = seen.looked_at
            seen.looked_at = []
        return found

    def is_unchanged(self, node: Node, rules: Rules) -> bool:
        """A Slice of everything, a padding by nothing: the result is the input."""
        if self.is_dropped(node, rules):
            return True
        if node.op_type not in rules.free_unchanged or not node.inputs or not node.outputs:
            return False
        known = self.graph.type_of(node.outputs[0])
        return known.is_known and known.shape == self.graph.type_of(node.inputs[0]).shape

    def is_dropped(self, node: Node, rules: Rules) -> bool:
        """It hands its input on unchanged, and the runtime sees that when it loads the model."""
        if isinstance(rules.drops_no_ops, frozenset):
            if node.op_type not in rules.drops_no_ops or (node.op_type == "Slice" and not is_open(self.known, node)):
                return False
        elif not rules.drops_no_ops:
            return False
        return passed_on(self.known, node) is not None

    def is_strided(self, node: Node, rules: Rules) -> bool:
        """Its result is its input with other strides, and all who read it take it so."""
        if node.op_type == "Transpose" and node.ints("perm") in rules.free_orders:
            return True
        takers = rules.free_before.get(node.op_type)
        if takers is None or node.outputs[0] in self.graph.is_output:
            return False
        return all(reader.op_type in takers for reader in self.graph.consumers(node.outputs[0]))

    def is_done_by_conversion(self, node: Node) -> bool:
        """A Transpose where a value enters or leaves the runtime's blocked layout, which moves it as well."""
        if self.blocks is None or node.op_type != "Transpose":
            return False
        self.looked_ahead.setdefault(node.key, []).extend(self.graph.consumers(node.outputs[0]))
        return self.blocks.transposes(node)

    def runs_in_blocks(self, kernel: Kernel, blocks: Blocks) -> bool:
        """The kernel runs in the runtime's blocked layout."""
        op = kernel.group or kernel.main.op_type
        return blocks.runs(op, kernel.main, kernel.kernel_class, computed_inputs(self.graph, kernel.nodes))

    def vanishes(self, node: Node) -> bool:
        """A Dequantize or Quantize that the integer operators around it leave nothing to do."""
        if node.op_type == "QuantizeLinear":
            source = self.integers.get(node.inputs[0])
            return source is not None and is_same_grid(self.graph, node, source)
        if node.op_type != "DequantizeLinear":
            return False
        return node.outputs[0] in self.integers and node.outputs[0] not in self.as_floats

    def followers(self, anchor: Node, rules: Rules) -> tuple[Node, ...]:
        """The nodes that run within the anchor's launch."""
        has_form = self.forms is None or anchor.op_type in self.forms.operators
        is_integer = has_form and not self.integers.keys().isdisjoint(anchor.inputs)
        if anchor.op_type in ANCHORS:
            allowed = rules.by_operator.get(anchor.op_type, rules.epilogue)
        elif rules.chains and (anchor.op_type in ELEMENTWISE or anchor.op_type == "BatchNormalization"):
            allowed = ELEMENTWISE
        else:
            allowed = frozenset()
        if is_integer and anchor.op_type != "QuantizeLinear":
            allowed |= _QUANTIZE
        if not allowed or len(anchor.outputs) != 1:
            return ()
        readers = self.graph.consumers(anchor.outputs[0])
        if not readers or len(readers) > _MAX_EPILOGUE:  # a value that more read is never used up inside
            return ()
        return self.grow(anchor, allowed, rules)

    def grow(self, anchor: Node, allowed: frozenset[str], rules: Rules) -> tuple[Node, ...]:
        """The longest run of allowed nodes behind the anchor that ends in one value.

        Nodes are added in execution order; the group may end wherever all but one of its values are used up inside.
        """
        graph = self.graph
        group: list[Node] = []
        inside = {anchor.outputs[0]}
        keys = {anchor.key}
        pending: list[int] = []
        self.push(anchor.outputs[0], pending)
        open_values = {anchor.outputs[0]}
        best = 0
        while pending and len(group) < _MAX_EPILOGUE:
            node = graph.nodes[heapq.heappop(pending)]
            if node.key in keys:
                continue
            is_taken_in = node.op_type in allowed or self.is_dropped(node, rules)
            if not is_taken_in or not self.may_join(node, anchor, inside, rules):
                self.looked_ahead.setdefault(anchor.key, []).append(node)
                break
            group.append(node)
            keys.add(node.key)
            for name in node.inputs:
                if name in open_values and all(reader.key in keys for reader in graph.consumers(name)):
                    open_values.discard(name)
            open_values.add(node.outputs[0])
            inside.add(node.outputs[0])
            if open_values == {node.outputs[0]}:
                best = len(group)
                if node.op_type in rules.closing:
                    break
            if self.is_spread(node.outputs[0]):
                break
            if node.outputs[0] not in graph.is_output:
                self.push(node.outputs[0], pending)
            if not graph.is_output.isdisjoint(open_values):
                break
        if best < len(group):
            self.looked_ahead.setdefault(anchor.key, []).extend(group[best:])
        return tuple(group[:best])

    def is_spread(self, name: str) -> bool:
        """More nodes read the value than a kernel holds: it is never used up inside."""
        return len(self.graph.consumers(name)) > _MAX_EPILOGUE

    def push(self, name: str, pending: list[int]) -> None:
        """Put the readers of the value among the nodes to look at."""
        if name in self.graph.is_output:
            return
        position = self.graph.position
        for reader in self.graph.consumers(name):
            heapq.heappush(pending, position[reader.key])

    def may_join(self, node: Node, anchor: Node, inside: set[str], rules: Rules) -> bool:
        """The node can run within the anchor's launch: its other operands are there by then."""
        if node.key in self.taken or node.role != "compute" or len(node.outputs) != 1:
            return False
        if len(node.inputs) > _MAX_OPERANDS:
            return False
        level = self.placement.level
        if level[node.key] != level[anchor.key]:
            return False
        is_constant = self.graph.is_constant
        outside = [name for name in node.inputs if name and name not in inside and not is_constant(name)]
        if node.op_type in rules.constant_operand and not any(map(is_constant, node.inputs)):
            own = [name for name in node.inputs if name and name in inside]
            # an Add of two computed tensors is no bias: at most one residual is taken in
            if node.op_type != "Add" or len(own) > 1 or any(name in self.added for name in own):
                return False
            self.added.add(node.outputs[0])
            self.residuals.setdefault(anchor.key, []).append(node.outputs[0])
        if not outside:
            return True
        if not all(map(self.seen.is_ready, outside)):
            return False
        # The second operand of a residual Add, or of a gate, was computed before this kernel.
        same = all(self.graph.type_of(n).shape == self.graph.type_of(node.outputs[0]).shape for n in outside)
        anchors = rules.residual_anchors
        residual = rules.residual_add and node.op_type == "Add" and (anchors is None or anchor.op_type in anchors)
        if residual and self.blocks is not None:
            # what is added to a result in blocks has to be in blocks, too
            plain = classify(self.graph, anchor, rules.blocked) == "lowered"
            same = same and (plain or all(name in self.blocks.values for name in outside))
        return rules.chains or (residual and same)
