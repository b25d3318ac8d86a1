"""The roofline against hand-computed kernels."""

import msgspec
import pytest

from onnxlint.analysis import Analysis
from onnxlint.describe import totals
from onnxlint.device import Device, load_device
from onnxlint.device_runtime import SmallShapes
from onnxlint.device_tables import WeightMemory
from onnxlint.engine import read_model
from onnxlint.rule import example_model
from onnxlint.settings import Settings
from onnxlint.target import target_for

POINTWISE = "g (float[1,32,10,10] x) => (float[1,48,10,10] y) <float[48,32,1,1] w> { y = Conv(x, w) }"
DEPTHWISE = "g (float[1,40,10,10] x) => (float[1,40,8,8] y) <float[40,1,3,3] w> { y = Conv<group=40>(x, w) }"


def plain_device(**changes: object) -> Device:
    """`generic` as one round machine: 1 TOPS, half attainable, 1 GB/s, 10 µs a launch, no padding."""
    generic = load_device("generic")
    one = msgspec.structs.replace(
        generic.attainable.sets[0],
        conv=0.5,
        pointwise=0.5,
        depthwise=0.1,
        gemm=0.5,
        vector_gops=1000.0,
        bandwidth_gb_per_s=1.0,
        overhead_us=10.0,
    )
    figure = msgspec.structs.replace(generic.bandwidth_gb_per_s, value=1000.0)
    fields = {
        "peak_gops": {"fp32": figure},
        "attainable": msgspec.structs.replace(generic.attainable, sets=[one], spread=1.5),
        "alignment": msgspec.structs.replace(generic.alignment, input_channels=1, output_channels=1),
        "on_chip_kib": None,
        "fill_elements": None,
        "vector_cost": {},
        "native_precision": "fp32",
        **changes,
    }
    return msgspec.structs.replace(generic, **fields)


def analyze(text: str, device: Device) -> Analysis:
    return Analysis(read_model(example_model(text), Settings()).graph, target_for(device))


def test_memory_bound_pointwise() -> None:
    analysis = analyze(POINTWISE, plain_device())
    moved = 4 * (32 * 100 + 48 * 32 + 48 * 100)
    assert analysis.kernel_costs[0].memory_access_bytes == moved
    assert analysis.total.tolist() == pytest.approx([10e-6 + moved / 1e9])
    assert analysis.bounds == ["memory"]
    assert analysis.spread(analysis.total) == pytest.approx(
        (analysis.total[0], analysis.total[0] / 1.5, analysis.total[0] * 1.5)
    )


def test_padding_counts_where_the_machine_computes() -> None:
    fast = {"attainable": plain_device().attainable}
    wide = msgspec.structs.replace(fast["attainable"].sets[0], bandwidth_gb_per_s=1e6)
    attainable = msgspec.structs.replace(fast["attainable"], sets=[wide])
    alignment = msgspec.structs.replace(load_device("generic").alignment, input_channels=64, output_channels=64)
    operations = 2 * 100 * 32 * 48
    plain = analyze(POINTWISE, plain_device(attainable=attainable))
    padded = analyze(POINTWISE, plain_device(attainable=attainable, alignment=alignment))
    assert plain.total[0] == pytest.approx(10e-6 + operations / 0.5e12)
    assert padded.total[0] == pytest.approx(10e-6 + operations * (64 * 64) / (32 * 48) / 0.5e12)


def test_depthwise_pads_channels_only_and_runs_at_its_own_rate() -> None:
    one = msgspec.structs.replace(plain_device().attainable.sets[0], bandwidth_gb_per_s=1e6)
    attainable = msgspec.structs.replace(plain_device().attainable, sets=[one])
    alignment = msgspec.structs.replace(load_device("generic").alignment, input_channels=64, output_channels=64)
    analysis = analyze(DEPTHWISE, plain_device(attainable=attainable, alignment=alignment))
    assert analysis.kernels[0].kernel_class == "depthwise"
    assert analysis.total[0] == pytest.approx(10e-6 + 2 * 64 * 64 * 9 / 0.1e12)


def test_range_covers_all_parameter_sets() -> None:
    base = plain_device().attainable
    slow = msgspec.structs.replace(base.sets[0], bandwidth_gb_per_s=0.5)
    device = plain_device(attainable=msgspec.structs.replace(base, sets=[base.sets[0], slow], spread=1.0))
    middle, low, high = (a := analyze(POINTWISE, device)).spread(a.total)
    assert low < middle < high
    assert high - low == pytest.approx(4 * (32 * 100 + 48 * 32 + 48 * 100) / 1e9)


def test_fixed_batch_scales_activations_and_arithmetic_but_not_weights() -> None:
    model = read_model(example_model(POINTWISE), Settings())
    once = Analysis(model.graph, target_for(plain_device())).kernel_costs[0]
    eight = Analysis(model.graph, target_for(plain_device(), batch_factor=8)).kernel_costs[0]
    assert eight.macs == 8 * once.macs
    assert eight.weight_bytes == once.weight_bytes
    assert eight.read_bytes + eight.written_bytes == 8 * (once.read_bytes + once.written_bytes)


def test_a_host_part_pays_for_its_transfers() -> None:
    text = """g (float[1,32,8,8] x) => (float[1,32,8,8] y) <float[32,32,1,1] w, float[32,32,1,1] v>
    { a = Conv(x, w) b = Erf(a) y = Conv(b, v) }"""
    device = load_device("hi3519")
    analysis = analyze(text, device)
    assert analysis.placement.host_partitions == 1
    assert device.transfer is not None
    crossing = 2 * 32 * 64 / (device.transfer.bandwidth_gb_per_s * 1e9) + device.transfer.sync_us * 1e-6
    assert analysis.host_seconds > crossing
    assert sorted(analysis.bounds).count("fallback") == 1


_FLOAT = (
    """g (float[1,256,28,28] x) => (float[1,256,28,28] y) <float[256,256,3,3] w> { y = Conv<pads=[1,1,1,1]>(x, w) }"""
)
_QDQ = """g (uint8[1,256,28,28] q) => (uint8[1,256,28,28] z)
<int8[256,256,3,3] w, float s = {0.02}, uint8 u = {128}, int8 i = {0}> {
  x = DequantizeLinear(q, s, u) v = DequantizeLinear(w, s, i)
  y = Conv<pads=[1,1,1,1]>(x, v) z = QuantizeLinear(y, s, u) }"""
_QOPERATOR = """g (uint8[1,256,28,28] q) => (uint8[1,256,28,28] z)
<int8[256,256,3,3] w, float s = {0.02}, uint8 u = {128}, int8 i = {0}> {
  z = QLinearConv<pads=[1,1,1,1]>(q, s, u, w, s, i, s, u) }"""
_INTEGER_WEIGHTS = """g (float[1,256,28,28] x) => (float[1,256,28,28] y)
<int8[256,256,3,3] w, float s = {0.02}, int8 i = {0}> {
  v = DequantizeLinear(w, s, i) y = Conv<pads=[1,1,1,1]>(x, v) }"""


def test_products_of_integers_run_at_the_integer_rate_in_a_float_model() -> None:
    device = load_device("cortex-a76")
    seconds = {text: analyze(text, device).total.mean() for text in (_FLOAT, _QDQ, _QOPERATOR, _INTEGER_WEIGHTS)}
    assert seconds[_QDQ] < 0.7 * seconds[_FLOAT]
    assert seconds[_QOPERATOR] == pytest.approx(seconds[_QDQ], rel=0.01)
    assert seconds[_INTEGER_WEIGHTS] > 0.9 * seconds[_FLOAT]


def test_a_device_without_an_integer_peak_runs_them_at_its_own_rate() -> None:
    one = plain_device().attainable.sets[0]
    wide = msgspec.structs.replace(
        plain_device().attainable, sets=[msgspec.structs.replace(one, bandwidth_gb_per_s=1e6)]
    )
    seconds = [analyze(text, plain_device(attainable=wide)).total.mean() for text in (_QOPERATOR, _FLOAT)]
    assert seconds[0] == pytest.approx(seconds[1], rel=0.02)


def test_the_peak_of_a_quantized_model_is_that_of_integers() -> None:
    device = load_device("cortex-a76")
    assert analyze(_FLOAT, device).peak_ops_per_s == device.peak_ops_per_s("fp32")
    assert analyze(_QDQ, device).peak_ops_per_s == device.peak_ops_per_s("int8")


TWO_LAYERS = """g (float[1,64] x) => (float[1,8] y) <float[64,64] w, float[64,8] v>
{ a = MatMul(x, w) y = MatMul(a, v) }"""


def with_memory(kib: float, **changes: object) -> Device:
    """`plain_device` with a weight memory whose rest arrives at 0.1 GB/s, 5 µs a kernel of a network that is cut."""
    plain = plain_device()
    sets = [msgspec.structs.replace(plain.attainable.sets[0], stream_gb_per_s=0.1, switch_us=5.0)]
    memory = WeightMemory(kib=kib, **{"reload": "rest", "trust": "assumed", "source": "made up", **changes})
    return plain_device(
        weight_memory=memory, attainable=msgspec.structs.replace(plain.attainable, sets=sets, spread=1.0)
    )


def test_weights_that_stay_on_the_chip_do_not_move() -> None:
    activations = 4 * (64 + 64 + 64 + 8)
    assert analyze(TWO_LAYERS, with_memory(1024)).total[0] == pytest.approx(20e-6 + activations / 1e9)


def test_what_is_over_arrives_at_every_run() -> None:
    weights = 4 * (64 * 64 + 64 * 8)
    fits, half = (analyze(TWO_LAYERS, with_memory(kib)).total[0] for kib in (1024, weights / 2048))
    assert half - fits == pytest.approx(weights / 2 / 0.1e9)


@pytest.mark.parametrize("changes", [{}, {"kernels": 1.0}, {"kernel_kib": 600.0}])
def test_a_network_that_is_cut_loads_all_its_weights(changes: dict[str, float]) -> None:
    weights = 4 * (64 * 64 + 64 * 8)
    fits = analyze(TWO_LAYERS, with_memory(1024, reload="all")).total[0]
    cut = analyze(TWO_LAYERS, with_memory(1024 if changes else 1, reload="all", **changes)).total[0]
    assert cut - fits == pytest.approx(weights / 0.1e9 + 2 * 5e-6)


def test_weights_are_loaded_once_for_a_batch() -> None:
    model = read_model(example_model(TWO_LAYERS), Settings())
    device, room = with_memory(1, reload="all"), with_memory(1024, reload="all")
    extra = [
        (
            Analysis(model.graph, target_for(device, None, n)).total
            - Analysis(model.graph, target_for(room, None, n)).total
        )
        for n in (1, 8)
    ]
    assert extra[0] == pytest.approx(extra[1])


def test_a_pipeline_starts_its_kernels_for_every_sample_and_hides_what_precedes_a_run() -> None:
    plain = plain_device()
    sets = [msgspec.structs.replace(plain.attainable.sets[0], run_us=100.0)]
    device = plain_device(pipelined=True, attainable=msgspec.structs.replace(plain.attainable, sets=sets))
    model = read_model(example_model(TWO_LAYERS), Settings())
    eight = Analysis(model.graph, target_for(device, None, 8))
    assert eight.total[0] > 8 * 2 * 10e-6 + 100e-6
    found = totals(eight)
    assert found.interval_s == pytest.approx(found.latency_s - 100e-6)
    assert found.throughput_fps == pytest.approx(8 / found.interval_s)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_result_of_a_convolution_with_a_bias_may_be_gone_over_once_more(batch: int, has_bias: bool) -> None:
    text = POINTWISE.replace("w> {", "w, float[48] b> {").replace("(x, w)", "(x, w, b)") if has_bias else POINTWISE
    model = read_model(example_model(text), Settings())
    plain = plain_device()
    again = msgspec.structs.replace(plain, fusion=msgspec.structs.replace(plain.fusion, second_pass=["Conv"]))
    once, twice = (Analysis(model.graph, target_for(device, batch_factor=batch)).total[0] for device in (plain, again))
    # a kernel of its own: its launch, once for the batch, and its bytes
    assert twice - once == pytest.approx(10e-6 + batch * 2 * 4 * 48 * 100 / 1e9 if has_bias else 0.0)


def aligned(**changes: object) -> Device:
    plain = plain_device()
    return plain_device(alignment=msgspec.structs.replace(plain.alignment, **changes))


@pytest.mark.parametrize(("into", "out", "copied"), [(32, 48, 0), (36, 48, 36), (32, 45, 45), (36, 45, 81)])
def test_unaligned_channels_may_be_padded_by_copies(into: int, out: int, copied: int) -> None:
    text = POINTWISE.replace("32", str(into)).replace("48", str(out))
    multiples = {"input_channels": 8, "output_channels": 8}
    once, more = (analyze(text, aligned(**multiples, copies=copies)).total[0] for copies in (False, True))
    assert more - once == pytest.approx(2 * 4 * copied * 100 / 1e9 + 10e-6 * ((into % 8 > 0) + (out % 8 > 0)))


@pytest.mark.parametrize(("each", "factor"), [(4, 1), (6, 100), (8, 1)])
def test_groups_of_odd_channels_may_be_slow(each: int, factor: int) -> None:
    text = f"g (float[1,{2 * each},10,10] x) => (float[1,{2 * each},8,8] y) <float[{2 * each},{each},3,3] w> "
    text += "{ y = Conv<group=2>(x, w) }"
    slow = {"alignment": aligned(group_multiple=4, cliff_factor=1e5).alignment}
    plain, cliff = (analyze(text, plain_device(**changes)).total[0] for changes in ({}, slow))
    assert (cliff > factor * plain / 2) if factor > 1 else cliff == pytest.approx(plain)


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
def test_pixels_may_be_the_only_parallelism_of_a_resize(mode: str) -> None:
    text = (
        "g (float[2,64,8,8] x) => (float[2,64,16,16] y) <float[4] s = {1, 1, 2, 2}> "
        f'{{ y = Resize<mode="{mode}", coordinate_transformation_mode="half_pixel">(x, , s) }}'
    )
    plain = plain_device()
    one = msgspec.structs.replace(plain.attainable.sets[0], bandwidth_gb_per_s=1e6, vector_gops=1.0)
    shaped = msgspec.structs.replace(one, shapes={"vector": SmallShapes(half_positions=256.0 * 9)})
    found = []
    for chosen, batch in ((one, 1), (shaped, 1), (shaped, 4)):
        device = plain_device(attainable=msgspec.structs.replace(plain.attainable, sets=[chosen]))
        model = read_model(example_model(text), Settings())
        found.append(Analysis(model.graph, target_for(device, batch_factor=batch)).total[0] - 10e-6)
    slower = 1 if mode == "nearest" else 10
    # the batch is looped over, too
    assert found[1] == pytest.approx(slower * found[0])
    assert found[2] == pytest.approx(4 * found[1])


def test_weights_may_be_laid_out_anew_at_every_run_once_for_a_batch() -> None:
    model = read_model(example_model(POINTWISE), Settings())
    plain = plain_device()
    again = msgspec.structs.replace(plain, fusion=msgspec.structs.replace(plain.fusion, weights_again=["Conv"]))
    for batch in (1, 8):
        once, twice = (Analysis(model.graph, target_for(one, batch_factor=batch)).total[0] for one in (plain, again))
        assert twice - once == pytest.approx(2 * 4 * 48 * 32 / 1e9)


def test_weights_of_a_window_may_be_laid_out_more_slowly() -> None:
    text = POINTWISE.replace("32,1,1", "32,3,3").replace("Conv(", "Conv<pads=[1,1,1,1]>(")
    plain = plain_device()
    fusion = msgspec.structs.replace(plain.fusion, weights_again=["Conv"])
    again = plain_device(fusion=fusion, move_cost={"WeightLayout.window": 3.0})
    assert analyze(text, again).total[0] - analyze(text, plain).total[0] == pytest.approx(3 * 2 * 4 * 48 * 32 * 9 / 1e9)
    assert analyze(POINTWISE, again).total[0] - analyze(POINTWISE, plain).total[0] == pytest.approx(8 * 48 * 32 / 1e9)


def test_channels_last_images_are_resized_by_channel_too() -> None:
    resize = 'Resize<mode="linear", coordinate_transformation_mode="half_pixel">(i, , s)'
    text = (
        "g (float[1,64,8,8] x) => (float[1,64,16,16] y) <float[4] s = {1, 1, 2, 2}, int64[4] d = {1, 64, 8, 8}> "
        f"{{ i = Relu(x) y = {resize} }}"
    )
    plain = plain_device()
    one = msgspec.structs.replace(plain.attainable.sets[0], shapes={"vector": SmallShapes(half_positions=1e6)})
    attainable = msgspec.structs.replace(plain.attainable, sets=[one])
    fusion = msgspec.structs.replace(plain.fusion, channels_last=True, chains=False)
    planar, last = plain_device(attainable=attainable), plain_device(attainable=attainable, fusion=fusion)
    reshaped = text.replace("i = Relu(x)", "r = Reshape(x, d) i = Relu(r)")
    slow, fast, slow_again = (analyze(t, d).times[-1][0] for t, d in ((text, planar), (text, last), (reshaped, last)))
    assert slow_again == pytest.approx(slow)
    assert fast < slow / 4
