"""The tables of a profile: its nominal figures, what its compiler and toolchain do, and what each rests on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from onnxlint.device_runtime import BlockedLayout, DirectIntegers, FusedGroup
from onnxlint.device_types import Count, NonNegative, Positive, Strict, Text, Trust


class Figure(Strict, frozen=True, kw_only=True):
    """One number with where it comes from; `value` is left out where nobody published it, and `source` says so."""

    value: Positive | None = None
    trust: Trust
    source: Text


class Alignment(Strict, frozen=True, kw_only=True):
    """Channel multiples of the multiply-accumulate array, per group.

    `internal`: the machine pads by itself and the padding costs; `cliff`: unaligned channels run `cliff_factor`
    slower. `pointwise_input_floor`: the least input channels that a 1×1 convolution is computed with. `copies`: a dense
    convolution's unaligned input or output is padded by a copy. `group_multiple`, where it is stated: a grouped
    convolution is not padded, but runs `cliff_factor` slower if its channels per group are no multiple of this.
    `shared_groups`: narrow groups fill a tile of the array together, as one dense convolution whose weights are zero
    outside the groups.
    """

    input_channels: Count = 1
    output_channels: Count = 1
    pointwise_input_floor: Count = 1
    mode: Literal["internal", "cliff"] = "internal"
    cliff_factor: Positive = 1.0
    copies: bool = False
    group_multiple: Count | None = None
    shared_groups: bool = False
    trust: Trust
    source: Text


class WeightMemory(Strict, frozen=True, kw_only=True):
    """Memory that keeps weights on the chip from one run to the next: up to `kib` of them move no more.

    What is beyond is loaded at every run, once for a batch: the weights that are left over (`reload = "rest"`), or all
    of them, because a network that doesn't fit is cut into contexts that replace each other (`reload = "all"`). The
    latter happens too where there are more than `kernels` kernels, if that is stated. Each kernel takes `kernel_kib`
    of the memory for its buffers.
    """

    kib: Positive
    kernel_kib: NonNegative = 0.0
    kernels: Positive | None = None
    reload: Literal["rest", "all"]
    trust: Trust
    source: Text

    def room_bytes(self, kernels: int) -> float:
        """Bytes of weights that it keeps beside the buffers of so many kernels."""
        return max(0.0, self.kib - self.kernel_kib * kernels) * 1024


class Transfer(Strict, frozen=True, kw_only=True):
    """The price of leaving the device: bytes over `bandwidth_gb_per_s` per tensor, `sync_us` per hand-over."""

    bandwidth_gb_per_s: Positive
    sync_us: NonNegative
    trust: Trust
    source: Text


class Fusion(Strict, frozen=True, kw_only=True):
    """What the device's compiler runs as one kernel.

    `epilogue`: operators taken into the convolution or Gemm before them. `residual_add`: an Add of two computed tensors
    is taken in too (by `residual_anchors` alone, where they are named). `chains`: element-wise operators that follow
    each other are one kernel. `attention`: so is softmax(q·k)·v, whose scores are not moved. `free`: operators that
    move nothing (views). `free_unchanged`: operators that are left out where their result has their input's shape;
    `free_before`: where all readers of their result are of the operators named, which take strides; `channels_last`:
    images are kept so, and a Transpose of theirs to that order or from it is a view. `drops_no_ops`: every operator
    that hands its input on unchanged is left out (a Slice of everything, a Cast to the same type, ×1), or those named
    alone (of Slice then only one without an end); not given where nobody published it. `by_operator`: an epilogue of
    its own for one operator; behind one of `closing` nothing else is taken in, one of `constant_operand` is taken in
    with a constant alone (an Add also as the one residual), and the result of one of `second_pass` is gone over once
    more, in a kernel of its own (also of a convolution with a bias: frameworks add it, or run the BatchNorm that
    exports fold into it, by itself). The weights of one of `weights_again` are brought into the runtime's layout at
    every run (`move_cost`: WeightLayout, WeightLayout.window beyond 1×1). `groups`: structures of operators that are
    one kernel. `blocked`: the layout that convolutions run in.

    `integer_forms`: the operators that run on integers between a DequantizeLinear and a QuantizeLinear; what is not
    among them runs on floats, with the two as passes of their own (not given: everything between them runs on
    integers). The result of one of `integer_to_float` need not be quantized again.
    """

    epilogue: list[str] = []
    residual_add: bool = False
    chains: bool = False
    attention: bool = False
    free: list[str] = []
    free_unchanged: list[str] = []
    free_before: dict[str, list[str]] = {}
    channels_last: bool = False
    drops_no_ops: bool | list[str] | None = None
    residual_anchors: list[str] | None = None
    by_operator: dict[str, list[str]] = {}
    closing: list[str] = []
    constant_operand: list[str] = []
    second_pass: list[str] = []
    weights_again: list[str] = []
    groups: list[FusedGroup] = []
    blocked: BlockedLayout | None = None
    integer_forms: list[str] | None = None
    integer_to_float: list[str] = []
    integer_direct: DirectIntegers | None = None
    source: Text


class RuleSetting(Strict, frozen=True, kw_only=True):
    """What the profile says of a rule: `silent`, or another severity; never without a reason and its source."""

    silent: bool = False
    severity: Literal["error", "warning", "info"] | None = None
    reason: Text
    source: Text


class Toolchain(Strict, frozen=True, kw_only=True):
    """What the vendor's converter reads and does; `quantizes` says who makes the integer model.

    `onnx`: it reads ONNX, of the `opsets` from the first to the last number where they are known; else `path` says
    how a model gets there.
    """

    quantizes: Literal["toolchain", "model"]
    reads: Text
    onnx: bool = True
    opsets: Annotated[list[Count], msgspec.Meta(min_length=2, max_length=2)] | None = None
    path: str = ""
    source: Text


class QuantizedForms(Strict, frozen=True, kw_only=True):
    """The quantized models that the toolchain takes: element types, none for one that takes float models alone.

    `symmetric_…` speaks of signed types: their zero point must be 0. Activations have one scale a tensor; weights may
    have one a channel where `per_channel_weights` says so.
    """

    activations: list[str] = []
    weights: list[str] = []
    symmetric_activations: bool = False
    symmetric_weights: bool = False
    per_channel_weights: bool = True
    source: Text


class SkipsZeros(Strict, frozen=True, kw_only=True):
    """Zeros among the weights that the hardware does not multiply by: wherever they lie, or two in each four."""

    form: Literal["none", "any", "2:4"]
    source: Text
