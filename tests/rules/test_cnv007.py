"""CNV007: windows beyond the device's limits, and forms within them that compute the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from edited import Weights, graph_of, same_outputs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from linting import found_in

from onnxlint.device_operators import Condition
from onnxlint.patterns.conv_windows import legal_convolutions
from onnxlint.patterns.forms import Form
from onnxlint.patterns.legal_forms import legal_forms
from onnxlint.patterns.pool_windows import legal_pools
from onnxlint.patterns.windows import Bounds, window_of
from onnxlint.values import Array
from onnxlint.whatif import apply

FREE = 1 << 20


def most(**limits: int) -> Bounds:
    names = ("kernel", "stride", "dilation", "padding", "area", "channels", "filter_elements")
    return Bounds(**{name: limits.get(name, FREE) for name in names})


def forms(text: str, limits: Bounds) -> dict[str, Form]:
    graph = graph_of(text)
    window = window_of(graph, graph.compute_nodes[0])
    assert window is not None
    legal = legal_convolutions if graph.compute_nodes[0].op_type == "Conv" else legal_pools
    return {form.title: form for form in legal(window, limits)}


def weight(dims: tuple[int, ...]) -> Array:
    return np.random.default_rng(1).standard_normal(dims).astype(np.float32) * 0.1


def originals(name: str, dims: tuple[int, ...], dtype: int) -> Array:
    return weight(dims)


def cut(size: int, largest: int) -> list[tuple[int, int]]:
    count = -(-size // largest)
    edges = [size * index // count for index in range(count + 1)]
    return list(pairwise(edges))


def tiles(kernel: tuple[int, int], largest: int) -> Iterator[tuple[slice, slice]]:
    for top, bottom in cut(kernel[0], largest):
        for left, right in cut(kernel[1], largest):
            yield slice(top, bottom), slice(left, right)


def seen(index: int, kernel: tuple[int, ...], limits: Bounds, dilation: int) -> tuple[slice, slice]:
    if dilation == 1:
        return list(tiles((kernel[0], kernel[1]), limits.kernel))[index]
    row, column = (dilation * place for place in divmod(index, kernel[1]))
    return slice(row, row + 1), slice(column, column + 1)


def derived(whole: Array, limits: Bounds, pads: tuple[int, ...], size: tuple[int, int], dilation: int = 1) -> Weights:
    """The weights that each form makes of the whole one, as its docstring says."""

    def make(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        word = name.rpartition("/")[2]
        index = int(re.sub(r"\D", "", name) or 0)
        match re.sub(r"\d", "", word):
            case "tile":
                rows, columns = list(tiles(whole.shape[2:], limits.kernel))[index]
                return np.ascontiguousarray(whole[:, :, rows, columns])
            case "starts" | "ends" | "axes" as kind:
                rows, columns = seen(index, whole.shape[2:], limits, dilation)
                before = (rows.start - pads[0], columns.start - pads[1])
                reach = [(side - 1) * dilation + 1 for side in whole.shape[2:]]
                behind = (reach[0] - rows.stop - pads[2], reach[1] - columns.stop - pads[3])
                if kind == "starts":
                    return np.array([max(0, cut) for cut in before])
                if kind == "ends":
                    return np.array([s - max(0, cut) for s, cut in zip(size, behind, strict=True)])
                return np.array([2, 3])
            case "tap":
                row, column = divmod(index, whole.shape[3])
                return np.ascontiguousarray(whole[:, :, row : row + 1, column : column + 1])
            case "filled":
                wide = np.zeros(dims, np.float32)
                steps = [(wide.shape[a] - 1) // (whole.shape[a] - 1) for a in (2, 3)]
                wide[:, :, :: steps[0], :: steps[1]] = whole
                return wide
            case "pads":
                return np.array([0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]])
            case "weight" if dims[1] > whole.shape[1]:
                blocks = whole
                while blocks.shape[1] < dims[1]:  # SpaceToDepth puts each pixel of a block before the channels
                    o, c, h, w = blocks.shape
                    split = blocks.reshape(o, c, h // 2, 2, w // 2, 2)
                    blocks = split.transpose(0, 3, 5, 1, 2, 4).reshape(o, 4 * c, h // 2, w // 2)
                return np.ascontiguousarray(blocks)
            case "weight" if dims[1] < whole.shape[1]:
                return np.ascontiguousarray(whole[:, index * dims[1] : (index + 1) * dims[1]])
        return whole

    return make


def is_exact(text: str, limits: Bounds, title: str) -> bool:
    graph = graph_of(text)
    node = graph.compute_nodes[0]
    form = forms(text, limits)[title]
    dims = graph.type_of(node.inputs[1]).dims if len(node.inputs) > 1 else (1, 1, 1, 1)
    size = graph.type_of(node.inputs[0]).dims[2:]
    pads = tuple(node.attr("pads") or (0, 0, 0, 0))
    after = derived(weight(dims), limits, pads, (size[0], size[1]), (node.attr("dilations") or [1])[0])
    assert form.safety == "exact"
    return same_outputs(graph, form.edits, originals, after)


def conv(size: int, kernel: int, attributes: str, channels: int = 4) -> str:
    return f"""c (float[1,{channels},{size},{size}] x) => (y) <float[8,{channels},{kernel},{kernel}] w>
    {{ y = Conv<kernel_shape=[{kernel},{kernel}], {attributes}>(x, w) }}"""


def pool(op: str, size: int, attributes: str) -> str:
    return f"p (float[1,3,{size},{size}] x) => (y) {{ y = {op}<{attributes}>(x) }}"


TILES, BLOCKS, STRIDE, POOLS, FILLED, TAPS = (
    "the kernel in tiles, summed",
    "blocks moved into the channels first, then a smaller kernel",
    "the stride in two steps",
    "smaller pools behind each other",
    "the dilated kernel filled with zeros",
    "the dilated kernel weight by weight",
)


@pytest.mark.parametrize(
    ("text", "limits", "title"),
    [
        (conv(24, 9, "pads=[4,4,4,4]"), most(kernel=7), TILES),
        (conv(24, 11, "pads=[2,2,2,2], strides=[4,4]"), most(kernel=7), TILES),
        (conv(32, 16, "strides=[16,16]"), most(kernel=7), TILES),
        (conv(32, 16, "strides=[16,16]", channels=3), most(kernel=7), BLOCKS),
        (conv(32, 16, "strides=[16,16]", channels=3), most(stride=7), BLOCKS),
        (conv(33, 3, "strides=[8,8], pads=[1,1,1,1]"), most(stride=4), STRIDE),
        (conv(16, 3, "dilations=[2,2], pads=[2,2,2,2]"), most(dilation=1, kernel=7), FILLED),
        (conv(16, 3, "dilations=[3,3], pads=[3,3,3,3]"), most(dilation=2), TAPS),
        (conv(16, 3, "dilations=[3,3], pads=[1,4,0,2], strides=[2,2]"), most(dilation=2), TAPS),
        (conv(16, 3, "dilations=[12,12], pads=[12,12,12,12]"), most(dilation=2), TAPS),
        (conv(16, 3, "dilations=[36,36], pads=[36,36,36,36]"), most(dilation=2), TAPS),
        (conv(16, 9, "pads=[9,8,7,6]"), most(padding=4), "the padding by an operator of its own"),
        (conv(8, 3, "pads=[1,1,1,1]", channels=32), most(channels=8), "the input channels in parts, summed"),
        (pool("MaxPool", 20, "kernel_shape=[13,13], pads=[6,6,6,6]"), most(kernel=7), POOLS),
        (pool("MaxPool", 20, "kernel_shape=[9,9], strides=[2,2]"), most(kernel=5), POOLS),
        (pool("AveragePool", 24, "kernel_shape=[12,12], strides=[12,12]"), most(kernel=7), POOLS),
        (pool("AveragePool", 20, "kernel_shape=[20,1], strides=[20,1]"), most(kernel=7), POOLS),
        (pool("AveragePool", 24, "kernel_shape=[3,12], strides=[3,12]"), most(kernel=7), POOLS),
        (pool("AveragePool", 8, "kernel_shape=[8,8]"), most(kernel=7), "GlobalAveragePool"),
        (pool("GlobalAveragePool", 96, "").replace("<>", ""), most(area=8192), "the global pool in two steps"),
    ],
)  # fmt: skip
def test_a_form_called_exact_computes_the_same(text: str, limits: Bounds, title: str) -> None:
    assert is_exact(text, limits, title)


@settings(max_examples=60)
@given(st.data())
def test_a_transposed_convolution_is_its_phases(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 2))
    sides = range(rank)
    stride = [data.draw(st.integers(2 if rank == 1 else 1, 5)) for _ in sides]
    kernel = [data.draw(st.integers(1, 11)) for _ in sides]
    least = [max(0, size - step) for size, step in zip(kernel, stride, strict=True)]
    pads = [data.draw(st.integers(0, least[axis % rank])) for axis in range(2 * rank)]
    # a whole number of results between two inputs
    more = [-(kernel[axis] - pads[axis] - pads[axis + rank]) % stride[axis] for axis in sides]
    size, groups = [data.draw(st.integers(3, 6)) for _ in sides], data.draw(st.sampled_from([1, 2]))
    text = f"""t (float[2,4,{",".join(map(str, size))}] x) => (y)
    <float[4,{6 // groups},{",".join(map(str, kernel))}] w, float[6] b>
    {{ y = ConvTranspose<kernel_shape={kernel}, strides={stride}, pads={pads}, output_padding={more}, group={groups}>
      (x, w, b) }}"""
    graph = graph_of(text)
    assume(graph.type_of("y").is_known and (graph.type_of("y").elements or 0) > 0)
    found = list(legal_forms(graph, [], graph.compute_nodes, lambda edits: True))
    titles = {fix.title: fix for fix, _ in found}
    assume("as plain convolutions, interleaved" in titles)
    fix = titles["as plain convolutions, interleaved"]
    across = [1] * (2 - rank)
    steps, begin, whole = [*across, *stride], [*(0 for _ in across), *pads[:rank]], weight((4, 6 // groups, *kernel))
    flat = whole.reshape(4, 6 // groups, *across, *kernel)
    made = apply(graph, fix.edits)
    shapes = {n.inputs[1]: made.type_of(n.outputs[0]).dims for n in made.compute_nodes if n.op_type == "Reshape"}

    def after(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        if name in shapes:
            return np.array(shapes[name])
        place = re.search(r"phase(\d+)x(\d+)/weight$", name)
        if place is None:
            return weight(dims)
        first = [(int(at) + pad) % step for at, pad, step in zip(place.groups(), begin, steps, strict=True)]
        part = flat[:, :, first[0] :: steps[0], first[1] :: steps[1]]
        filled = np.zeros((*part.shape[:2], *dims[2:]), np.float32)
        filled[:, :, : part.shape[2], : part.shape[3]] = part
        turned = filled[:, :, ::-1, ::-1].reshape(groups, 4 // groups, 6 // groups, *dims[2:])
        return np.ascontiguousarray(turned.transpose(0, 2, 1, 3, 4).reshape(dims))

    assert same_outputs(graph, fix.edits, originals, after)


@pytest.mark.parametrize("padding", [FREE, 4])
@pytest.mark.parametrize(
    ("kernel", "attributes"), [(10, "strides=[5]"), (17, "pads=[8,8], group=2"), (9, "pads=[0,3]")]
)
def test_a_kernel_over_a_row_is_cut_in_tiles_as_over_a_map(kernel: int, attributes: str, padding: int) -> None:
    channels = 2 if "group" in attributes else 4
    graph = graph_of(f"""row (float[2,4,40] x) => (y) <float[6,{channels},{kernel}] w, float[6] b>
    {{ y = Conv<kernel_shape=[{kernel}], {attributes}>(x, w, b) }}""")
    limits = [Condition(op="Conv", reason="r", source="s", max_kernel=7, max_padding=padding)]
    [fix] = [f for f, _ in legal_forms(graph, limits, graph.compute_nodes, lambda _: True) if f.title == TILES]
    window = window_of(graph, graph.compute_nodes[0])
    assert window is not None
    before, behind = window.pads[1], window.pads[3]
    is_padded = max(before, behind) > padding
    pads, size = ((0, 0, 0, 0), (1, 40 + before + behind)) if is_padded else (window.pads, (1, 40))
    tiled = derived(weight((6, channels, kernel)).reshape(6, channels, 1, kernel), most(kernel=7), pads, size)
    made = apply(graph, fix.edits)
    shapes = {n.inputs[1]: made.type_of(n.outputs[0]).dims for n in made.compute_nodes if n.op_type == "Reshape"}

    def after(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        if name in shapes:
            return np.array(shapes[name])
        if name == "b":
            return weight(dims)
        if name.endswith("/pads"):
            return np.array([0, 0, 0, before, 0, 0, 0, behind])
        return tiled(name, dims, dtype)

    assert same_outputs(graph, fix.edits, originals, after)


@settings(max_examples=25)
@given(st.integers(4, 13), st.integers(2, 7), st.integers(1, 4), st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_tiles_of_any_kernel_compute_the_same(kernel: int, largest: int, stride: int, pads: list[int]) -> None:
    assume(kernel > largest and max(pads) < kernel)
    text = conv(18, kernel, f"strides=[{stride},{stride}], pads=[{','.join(map(str, pads))}]")
    assume(TILES in forms(text, most(kernel=largest)))
    assert is_exact(text, most(kernel=largest), TILES)


def test_smaller_kernels_see_as_far() -> None:
    form = forms(conv(24, 9, "pads=[4,4,4,4]"), most(kernel=7))["smaller kernels behind each other, retrained"]
    assert (form.safety, form.told) == ("lossy", "2 kernels of 5x5 see as far as one of 9x9")


@pytest.mark.parametrize("placed", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("kernel", "stride"), [(9, 1), (10, 1), (9, 2), (10, 3)])
def test_padding_that_keeps_the_size_is_reckoned(placed: str, kernel: int, stride: int) -> None:
    text = conv(23, kernel, f'auto_pad="{placed}", strides=[{stride},{stride}]')
    graph = graph_of(text)
    window = window_of(graph, graph.compute_nodes[0])
    assert window is not None
    form = forms(text, most(kernel=7))[TILES]
    after = derived(weight((8, 4, kernel, kernel)), most(kernel=7), window.pads, (23, 23))
    assert same_outputs(graph, form.edits, originals, after)


@pytest.mark.parametrize("attributes", ["strides=[2,2], dilations=[2,2], pads=[8,8,8,8]"])
def test_odd_windows_have_no_tiles(attributes: str) -> None:
    graph = graph_of(conv(24, 9, attributes))
    window = window_of(graph, graph.compute_nodes[0])
    assert window is None or TILES not in {form.title for form in legal_convolutions(window, most(kernel=7))}


@pytest.mark.parametrize("is_inside", [False, True])
def test_only_an_image_is_cut_into_patches_beforehand(is_inside: bool) -> None:
    stem = "Relu(x)" if is_inside else "Div(x, s)"
    text = f"""n (float[1,3,224,224] x) => (float[1,192,14,14] y) <float[192,3,16,16] w, float s> {{
      a = {stem}
      y = Conv<kernel_shape = [16, 16], strides = [16, 16]>(a, w)
    }}"""
    assert found_in(text, "CNV007", "x3") == []
    [finding] = found_in(text, "TRF001", "x3")
    assert ("preprocessing" in finding.suggestion) != is_inside


@pytest.mark.parametrize("dilation", [3, 12])
def test_weights_one_by_one_over_a_map_padded_beforehand(dilation: int) -> None:
    text = conv(16, 3, f"dilations=[{dilation},{dilation}], pads=[{','.join([str(dilation)] * 4)}]")
    graph = graph_of(text)
    form = forms(text, most(dilation=2, padding=1))[TAPS]
    size = 16 + 2 * dilation
    tapped = derived(weight((8, 4, 3, 3)), most(dilation=2), (0, 0, 0, 0), (size, size), dilation)

    def after(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        return np.array([0, 0, dilation, dilation] * 2) if name.endswith("/pads") else tapped(name, dims, dtype)

    assert same_outputs(graph, form.edits, originals, after)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.integers(2, 5), st.integers(0, 3), st.integers(0, 9), st.integers(20, 45))
def test_a_dilated_kernel_over_a_row_goes_along_columns(d: int, k: int, begin: int, end: int, wide: int) -> None:
    assume(wide + begin * d + end > (k - 1) * d)
    graph = graph_of(f"""row (float[2,4,{wide}] x) => (y) <float[6,2,{k}] w, float[6] b>
    {{ y = Conv<kernel_shape=[{k}], dilations=[{d}], pads=[{begin * d},{end}], group=2>(x, w, b) }}""")
    titles = {fix.title: fix for fix, _ in legal_forms(graph, [], graph.compute_nodes, lambda _: True)}
    assume("the row cut in lines as long as the dilation" in titles)
    fix = titles["the row cut in lines as long as the dilation"]
    made = apply(graph, fix.edits)
    shapes = {n.inputs[1]: made.type_of(n.outputs[0]).dims for n in made.compute_nodes if n.op_type == "Reshape"}
    out = graph.type_of("y").dims[2]

    def after(name: str, dims: tuple[int, ...], dtype: int) -> Array:
        word = name.rpartition("/")[2]
        if name in shapes:
            return np.array(shapes[name])
        if word == "amounts":
            return np.array([0, 0, 0, 0, 0, 0, 0, -wide % d])
        numbers = {"starts": 0, "ends": out, "axes": 3}
        if word in numbers:
            return np.array([numbers[word]])
        return weight((6, 2, k) if word == "column" else dims).reshape(dims)

    assert fix.safety == "exact"
    assert same_outputs(graph, fix.edits, originals, after)
