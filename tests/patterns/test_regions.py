"""Fork-join regions of networks; dominators in graphs in execution order, against networkx."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st
from linting import network

from onnxlint.patterns.regions import _dominators, regions

_WRITERS = st.lists(st.lists(st.integers(0, 60), max_size=4), min_size=1, max_size=60)


@given(_WRITERS)
def test_dominators_are_those_of_networkx(drawn: list[list[int]]) -> None:
    before = [sorted({one % here for one in some}) if here and some else [-1] for here, some in enumerate(drawn)]
    network = networkx.DiGraph((writer, reader) for reader, writers in enumerate(before) for writer in writers)
    found, expected = _dominators(before), networkx.immediate_dominators(network, -1)
    assert all(found[here] == expected[here] for here in range(len(before)))


def test_a_long_chain_whose_nodes_all_join_the_first_is_quick() -> None:
    before = [[-1], [0], *([0, here] for here in range(1, 50_000))]
    assert set(_dominators(before).values()) == {-1, 0}


def test_googlenet_cells_have_four_branches() -> None:
    cells = list(regions(network("googlenet").graph, 3))
    assert len(cells) == 9
    assert {len(cell.branches) for cell in cells} == {4}
    assert {len(cell.inputs) for cell in cells} == {1}


def test_each_node_is_in_one_region() -> None:
    for name in ("nasnet_mobile", "inception_v3", "repvgg_a0_train"):
        keys = [n.key for cell in regions(network(name).graph, 3) for n in (*cell.inner, *cell.joins)]
        assert len(keys) == len(set(keys))
