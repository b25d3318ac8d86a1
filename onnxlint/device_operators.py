"""Which operators run on a device: lists, conditions on some of them, and the list of a runtime's own kernels."""

from __future__ import annotations

from typing import Literal

import msgspec

from onnxlint.device_types import Count, Strict, Text


class Condition(Strict, frozen=True, kw_only=True):
    """An operator that the device runs only in some forms; every limit given must hold, `reason` says what else.

    Several conditions on one operator must all hold. `depthwise` is no limit but a selector: with it, the condition
    speaks of depthwise convolutions alone (true) or of all others (false). `axes` are those that an operator may work
    along; `max_elements` bounds the first input without its leading (batch) axis; `integer_scales` bounds a resize, or
    the block size; `min_rank` speaks of the input of most dims. `constant_operand` wants a constant among the first two
    inputs (true) or none (false); `shared_operand` a second input that is constant or has no dims above 1 before its
    last two, `constant_weight` a weight that is no result of another node.

    `max_kernel_area` bounds the dilated kernel's height times width, `max_kernel_elements` the weights of one filter,
    `max_area` the input's height times width; `strides` and `dilations` list all that there are. `keeps_batch` leaves
    the first axis in its place, `max_axes` bounds how many are reduced at once, `unit_steps` wants slices without gaps.
    """

    op: Text
    reason: Text
    source: Text
    min_rank: Count | None = None
    max_rank: Count | None = None
    max_elements: Count | None = None
    min_kernel: Count | None = None
    max_kernel: Count | None = None
    max_kernel_area: Count | None = None
    max_kernel_elements: Count | None = None
    max_stride: Count | None = None
    strides: list[int] | None = None
    max_dilation: Count | None = None
    dilations: list[int] | None = None
    max_padding: Count | None = None
    max_area: Count | None = None
    max_batch: Count | None = None
    max_groups: Count | None = None
    max_input_channels_per_group: Count | None = None
    depthwise: bool | None = None
    permutations: list[list[int]] | None = None
    keeps_batch: bool = False
    axes: list[int] | None = None
    max_axes: Count | None = None
    unit_steps: bool = False
    dtypes: list[str] | None = None
    modes: list[str] | None = None
    coordinates: list[str] | None = None
    integer_scales: list[int] | None = None
    equal_parts: bool | None = None
    constant_operand: bool | None = None
    constant_weight: bool = False
    shared_operand: bool | None = None


class Operators(Strict, frozen=True, kw_only=True):
    """Which operators run on the device; contrib ones are written `com.microsoft:Name`, the rest falls to `default`.

    `max_rank` and `max_wide_dims` bound the dims of its tensors, the latter counts those above 1 alone. `runtime`
    names a list of kernels (`device_profiles/operators/NAME.toml`) that the profile's own entries stand on.
    """

    default: Literal["supported", "unsupported", "unknown"]
    supported: list[str] = []
    unsupported: list[str] = []
    unknown: list[str] = []
    conditional: list[Condition] = []
    max_rank: Count | None = None
    max_wide_dims: Count | None = None
    static_shapes: bool = False
    one_partition: bool = False
    runtime: str | None = None
    source: Text


class RuntimeKernels(Strict, frozen=True, kw_only=True):
    """The kernels of one runtime, as it registers them: written by a script, never by hand.

    `supported` run for every type that their schema allows, `dtypes` for these types of their first input;
    `unsupported` have neither a kernel nor a function body to be expanded to.
    """

    version: Text
    source: Text
    supported: list[str]
    unsupported: list[str] = []
    dtypes: dict[str, list[str]] = {}

    def merged(self, operators: Operators) -> Operators:
        """The profile's operators on top of these: what the profile says itself is final."""
        own = {*operators.supported, *operators.unsupported, *operators.unknown}
        own |= {condition.op for condition in operators.conditional}
        typed = [
            Condition(
                op=op,
                dtypes=kinds,
                reason=f"ONNX Runtime {self.version} has a kernel of {op} for {_listed(kinds)}",
                source=self.source,
            )
            for op, kinds in self.dtypes.items()
            if op not in own
        ]
        return msgspec.structs.replace(
            operators,
            supported=[*operators.supported, *(op for op in self.supported if op not in own)],
            unsupported=[*operators.unsupported, *(op for op in self.unsupported if op not in own)],
            conditional=[*operators.conditional, *typed],
        )


def _listed(kinds: list[str]) -> str:
    return f"{', '.join(kinds[:-1])} and {kinds[-1]}" if len(kinds) > 1 else kinds[0]
