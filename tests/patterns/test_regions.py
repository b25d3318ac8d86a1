"""Dominators in graphs in execution order, against networkx."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st

from onnxlint.patterns.regions import _dominators

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
