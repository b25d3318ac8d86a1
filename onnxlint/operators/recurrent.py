"""Recurrent networks: MACs = directions · batch · steps · gates · hidden · (input + hidden).

The input projection is one product over all steps, so W is read once; each step needs the last one's result, so the
recurrence R is read once per step, as on devices whose on-chip memory does not hold it. Element-wise work per step
and hidden unit: the activations, the bias of each gate, and the products and sums of the cell's equations.
"""

from __future__ import annotations

from onnxlint.operators.elementwise import EXP, activation_flops
from onnxlint.operators.registry import CONTRIB, Call, CostFunction, Work, costs

# activations, gates and point-wise products and sums per hidden unit and step
_CELLS = {
    "RNN": (("Tanh",), 1, 0),
    "GRU": (("Sigmoid", "Sigmoid", "Tanh"), 3, 5),  # r·h, 1-z, two products, a sum
    "LSTM": (("Sigmoid", "Sigmoid", "Sigmoid", "Tanh", "Tanh"), 4, 4),  # f·c, i·g, their sum, o·tanh(c)
}
# which of the listed activations f, g, h each activation above takes
_LISTED = {"RNN": (0,), "GRU": (0, 0, 1), "LSTM": (0, 0, 0, 1, 2)}


def recurrence(cell: str) -> CostFunction:
    """X (steps, batch, input), W (directions, gates·hidden, input), R (directions, gates·hidden, hidden), B, …, P."""

    def cost(call: Call) -> Work:
        x, weight, recurrent = call.dims(0), call.dims(1), call.dims(2)
        if not len(x) == len(weight) == len(recurrent) == 3:
            raise ValueError("X, W and R have three dims")
        steps, batch = (x[1], x[0]) if call.number("layout") else (x[0], x[1])
        defaults, gates, rest = _CELLS[cell]
        units = call.size(2) // max(_hidden(call), 1) // gates  # directions · hidden
        listed = [name.decode("utf-8", "replace") for name in call.attr("activations", [])]
        names = [listed[i] for i in _LISTED[cell]] if listed else list(defaults)
        flops = rest + sum(map(activation_flops, names)) + (gates if call.has(3) else 0)
        if cell == "LSTM" and call.has(7):
            flops += 6  # peepholes: a product and a sum for three gates
        if cell == "GRU" and call.has(3) and call.number("linear_before_reset"):
            flops += 1
        macs = steps * batch * (call.size(1) + call.size(2))
        return Work(macs, steps * batch * units * flops, reads={2: call.size(2) * steps})

    return cost


def _hidden(call: Call) -> int:
    """The hidden size: R is (directions, gates·hidden, hidden), transposed in DynamicQuantizeLSTM."""
    return call.number("hidden_size") or min(call.dims(2)[1:])


for _cell in _CELLS:
    costs(_cell)(recurrence(_cell))
costs("DynamicQuantizeLSTM", domain=CONTRIB)(recurrence("LSTM"))


@costs("AttnLSTM", domain=CONTRIB)
def attention_lstm(call: Call) -> Work:
    """LSTM with Bahdanau attention over a memory.

    Inputs 8 to 13: query layer QW, memory layer MW (directions, memory, depth), V, memory M (batch, length, memory),
    its lengths, attention layer AW. The memory is projected once; each step scores and sums all of it.
    """
    plain = recurrence("LSTM")(call)
    steps, batch = call.dims(0)[:2]
    directions, width, depth = call.dims(9)
    length = call.dims(11)[1]
    per_step = call.size(8) + directions * length * (depth + width) + (call.size(13) if call.has(13) else 0)
    scores = steps * batch * directions * length * (depth * (1 + activation_flops("Tanh")) + EXP + 4)
    return Work(
        plain.macs + batch * length * call.size(9) + steps * batch * per_step,
        plain.other_flops + scores,
        reads=plain.reads,
    )


@costs("LinearAttention")
@costs("LinearAttention", domain=CONTRIB)
def linear_attention(call: Call) -> Work:
    """Query, key, value (B, T, heads·d), past state (B, heads, d_k, d_v), decay, beta.

    Per head and token the update, the read-out and, with a delta rule, the look-up are one contraction each over the
    state of d_k·d_v elements; a decay multiplies the state (one FLOP per element).
    """
    rule = call.text("update_rule", "gated_delta")
    batch, steps, q_width = call.dims(0)
    k_heads, q_heads = call.number("kv_num_heads", 1), call.number("q_num_heads", 1)
    state = (q_width // q_heads) * (call.dims(2)[-1] // k_heads)
    per_token = state * (k_heads * (2 if "delta" in rule else 1) + max(q_heads, k_heads))
    decay = batch * steps * k_heads * state if "gated" in rule else 0
    gates = EXP * call.size(4) if call.has(4) else 0
    return Work(batch * steps * per_token, decay + gates + call.out_size())


@costs("GatedDeltaNet", domain=CONTRIB)
def gated_delta_net(call: Call) -> Work:
    """Tokens first: output (tokens, heads, d_v), final state (B, heads, d_v, d_k): look-up, update and read-out."""
    tokens, heads, value = call.out_dims()
    state = value * call.out_dims(1)[-1] * heads
    return Work(3 * tokens * state, tokens * state + (EXP * call.size(4) if call.has(4) else 0))
