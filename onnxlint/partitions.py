"""What leaves the device, in words: how many of the host's partitions, what moves between them, what they cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from onnxlint.analysis import Analysis
from onnxlint.finding import Severity
from onnxlint.graph import Node
from onnxlint.patterns.placement import cause
from onnxlint.units import plural, seconds, size

LEAST_SHARE = 0.005
"""The part of the latency below which operators that leave, but do not cut the network alone, are no error."""

_POST_PROCESSING = 0.01
"""The part of the multiply-accumulates that what stands behind the network takes at most."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One stay of execution on the host: the seconds of its kernels with and without transfers, and what crosses."""

    total_s: float
    transfer_s: float
    tensors: int
    moved_bytes: int


@lru_cache(maxsize=2)
def partitions(analysis: Analysis) -> dict[int, Partition]:
    """The host's partitions by their level (see Placement)."""
    placement, transfers = analysis.placement, analysis.transfers
    crossing: dict[int, list[str]] = {}
    for name, index in analysis.crossings.items():
        crossing.setdefault(index, []).append(name)
    found: dict[int, Partition] = {}
    none = Partition(0.0, 0.0, 0, 0)
    means = analysis.times.mean(axis=1) if len(analysis.kernels) else ()
    for index, kernel in enumerate(analysis.kernels):
        if not kernel.on_host:
            continue
        level, names = placement.level[kernel.main.key], crossing.get(index, [])
        before = found.get(level, none)
        found[level] = Partition(
            before.total_s + float(means[index]),
            before.transfer_s + transfers.get(index, 0.0),
            before.tensors + len(names),
            before.moved_bytes + sum(map(analysis.value_bytes, names)),
        )
    return found


@lru_cache(maxsize=2)
def causing(analysis: Analysis) -> Mapping[int, frozenset[str]]:
    """The nodes that leave for a cause of their own, by the level of their partition."""
    found: dict[int, set[str]] = {}
    placement, table = analysis.placement, analysis.target.table
    for key in placement.on_host:
        node = analysis.graph.node(key)
        if cause(analysis.graph, table, node, placement.support[key]):
            found.setdefault(placement.level[key], set()).add(key)
    return {level: frozenset(keys) for level, keys in found.items()}


def cuts_alone(analysis: Analysis, nodes: Iterable[Node]) -> bool:
    """A partition holds no cause but these nodes: without them it would not be."""
    keys = {node.key for node in nodes}
    return any(found <= keys for found in causing(analysis).values())


def ends_the_network(analysis: Analysis, nodes: Iterable[Node]) -> bool:
    """The device works before these nodes, and could on nothing behind them, which is little: post-processing."""
    leading = _leading_to_work(analysis)
    if not leading or any(node.key in leading for node in nodes):
        return False
    macs = {node.key: analysis.costs.arithmetic(node)[0] for node in analysis.graph.compute_nodes}
    return sum(macs[key] for key in macs.keys() - leading) <= _POST_PROCESSING * sum(macs.values())


@lru_cache(maxsize=2)
def _leading_to_work(analysis: Analysis) -> frozenset[str]:
    """The nodes that work on the device, and those that such a one needs; views do no work.

    What a device of one partition leaves to its host behind the first cut would work there but for the cut.
    """
    placement = analysis.placement
    is_cut = analysis.target.device.operators.one_partition
    hosted = placement.unsupported if is_cut else placement.on_host
    work = (node for kernel in analysis.kernels if not kernel.is_free for node in kernel.nodes)
    found = {node.key for node in work if node.key not in hosted}
    needed: set[str] = set()
    for node in reversed(analysis.graph.compute_nodes):
        if node.key in found or not needed.isdisjoint(node.outputs):
            found.add(node.key)
            needed.update(node.reads)
    return frozenset(found)


def severity_of_leaving(analysis: Analysis, nodes: Collection[Node], told: Collection[Node] = ()) -> Severity:
    """An error where the nodes alone cut the network (`told` with them), or take a share that shows; else an info."""
    total = float(analysis.total.mean())
    is_small = float(analysis.seconds_of(nodes).mean()) < LEAST_SHARE * total
    is_small = is_small and bool(analysis.target.device.host) and not cuts_alone(analysis, told or nodes)
    return "info" if is_small else "error"


def leaves(analysis: Analysis, what: str, places: int, nodes: Iterable[Node]) -> str:
    """`21 HardSwish leave hi3519: in 12 of 43 partitions on the cortex-a53`."""
    device, many = analysis.target.device, f"{places} {what}" if places > 1 else what
    name = device.name
    if not device.host:
        return f"{many} can't run on {name}, and it has no host to run it"
    cut, total = len(_levels(analysis, nodes)), analysis.placement.host_partitions
    several = f"all {total} partitions" if cut == total else f"{cut} of {total} partitions"
    where = several if total > 1 else "the only partition"
    return f"{many} {'leave' if places > 1 else 'leaves'} {name}: in {where} on the {device.host}"


def cost_of_leaving(analysis: Analysis, nodes: Iterable[Node]) -> Iterator[str]:
    """One line on what the partitions that the nodes take part in cost, transfers apart; none without a host."""
    table = partitions(analysis)
    found = [table[level] for level in _levels(analysis, nodes) if level in table]
    if not found or not analysis.target.device.host:
        return
    total, transfer = sum(one.total_s for one in found), sum(one.transfer_s for one in found)
    tensors, moved = sum(one.tensors for one in found), sum(one.moved_bytes for one in found)
    they = "that partition takes" if len(found) == 1 else f"those {len(found)} partitions take"
    yield (
        f"{they} {seconds(total)}: {seconds(transfer)} of it for {plural(tensors, 'tensor')} ({size(moved)}) "
        f"that {'cross' if tensors != 1 else 'crosses'}, and {plural(len(found), 'hand-over')}"
    )


def _levels(analysis: Analysis, nodes: Iterable[Node]) -> set[int]:
    placement = analysis.placement
    return {placement.level[node.key] for node in nodes if node.key in placement.on_host}
