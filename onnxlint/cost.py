"""What one forward pass of a node, a kernel or a model costs: counts that add like numbers."""

from __future__ import annotations

import msgspec


class Cost(msgspec.Struct, frozen=True):
    """Params, arithmetic and memory traffic; `a + b` and `sum(costs, Cost())` add field by field.

    `params` counts elements of weights (each tensor once, at its first reader); `learnable_params` leaves out
    BatchNorm's running statistics. `macs` are multiply-accumulates, `other_flops` all further arithmetic.
    Bytes are those of one forward pass at the executed precision: `weight_bytes` are read once whatever the batch.
    """

    params: int = 0
    learnable_params: int = 0
    macs: int = 0
    other_flops: int = 0
    weight_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.learnable_params + other.learnable_params,
            self.macs + other.macs,
            self.other_flops + other.other_flops,
            self.weight_bytes + other.weight_bytes,
            self.read_bytes + other.read_bytes,
            self.written_bytes + other.written_bytes,
        )

    @property
    def flops(self) -> int:
        """Floating-point (or integer) operations: two per multiply-accumulate, plus all others."""
        return 2 * self.macs + self.other_flops

    @property
    def memory_access_bytes(self) -> int:
        """Bytes moved: weights and activations read, results written."""
        return self.weight_bytes + self.read_bytes + self.written_bytes

    def scaled(self, times: int) -> Cost:
        """The cost of `times` samples: activations and arithmetic multiply, weights are read once."""
        return Cost(
            self.params,
            self.learnable_params,
            self.macs * times,
            self.other_flops * times,
            self.weight_bytes,
            self.read_bytes * times,
            self.written_bytes * times,
        )

    def repeated(self, times: int) -> Cost:
        """The cost of so many runs, one after the other: weights are read in each, as in a recurrent network."""
        return msgspec.structs.replace(self.scaled(times), weight_bytes=self.weight_bytes * times)
