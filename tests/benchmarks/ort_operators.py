"""Writes device_profiles/operators/onnxruntime-cpu.toml: the kernels that the installed ONNX Runtime registers.

    python tests/benchmarks/ort_operators.py

The list is the runtime's own (its CPU provider's kernel registry), so its version stands in the file. An operator
without a kernel (or one for its type) counts as run where its schema has a function body: it is expanded. float16
counts wherever float32 does: the runtime puts casts around such a node.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

OUT = Path(__file__).resolve().parents[2] / "device_profiles" / "operators" / "onnxruntime-cpu.toml"
DOMAINS = {"": "", "ai.onnx.ml": "ai.onnx.ml:", "com.microsoft": "com.microsoft:"}
STANDARD = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
EXPANDED = {
    schema.name
    for schema in onnx.defs.get_all_schemas_with_history()
    if schema.domain == "" and (schema.has_function or schema.has_context_dependent_function)
}
NAMES = {"float": "float32", "double": "float64"}
PLAIN = {"float32", "float16", "float64", "bfloat16", "int64", "int32", "int16", "int8"}
PLAIN |= {"uint8", "uint16", "uint32", "uint64", "bool"}
NEVER_RUN = {"Constant", "Loop", "If", "Scan", "SequenceMap"}


def element(kind: str) -> str | None:
    """`tensor(double)` → `float64`; None for sequences, strings and the like."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    name = NAMES.get(inner, inner)
    return name if kind.startswith("tensor(") and name in PLAIN else None


def main() -> None:
    """Write the list."""
    latest = {}
    for schema in runtime.get_all_operator_schema():
        if schema.domain in DOMAINS and (schema.domain or schema.name in STANDARD):
            key = (schema.domain, schema.name)
            if key not in latest or schema.since_version > latest[key].since_version:
                latest[key] = schema
    kernels: dict[tuple[str, str], list[dict[str, list[str]]]] = {}
    for found in runtime.get_all_opkernel_def():
        if found.provider == "CPUExecutionProvider" and found.domain in DOMAINS:
            kernels.setdefault((found.domain, found.op_name), []).append(dict(found.type_constraints))
    supported, unsupported, dtypes = [], [], {}
    for (domain, name), schema in sorted(latest.items()):
        full = DOMAINS[domain] + name
        own = kernels.get((domain, name), [])
        if not own:
            expands = domain == "" and name in EXPANDED
            (supported if expands or name in NEVER_RUN else unsupported).append(full)
            continue
        word = schema.inputs[0].typeStr if schema.inputs else ""
        forms = [c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == word]
        allowed = {e for kinds in forms for t in kinds if (e := element(t))}
        have = {e for kinds in own for t in kinds.get(word, []) if (e := element(t))}
        if any(word not in kinds for kinds in own) or not allowed:
            have = allowed
        if "float32" in have:
            have.add("float16")
        if name in NEVER_RUN or (domain == "" and name in EXPANDED) or allowed <= have | {"bfloat16"}:
            supported.append(full)
        else:
            dtypes[full] = sorted(have & (allowed | {"float16"}))
    version = onnxruntime.__version__
    text = [
        "# written by tests/benchmarks/ort_operators.py",
        f'version = "{version}"',
        f'source = "kernel registry of the CPU provider of onnxruntime {version} (get_all_opkernel_def)"',
        listed("supported", supported),
        listed("unsupported", unsupported),
        "",
        "[dtypes]",
        *(listed(f'"{name}"' if ":" in name else name, kinds) for name, kinds in dtypes.items()),
    ]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"{len(supported)} run, {len(dtypes)} for some types, {len(unsupported)} do not: {OUT.name}")


def listed(name: str, items: list[str]) -> str:
    """A TOML list in lines of at most 120 columns."""
    inner = ", ".join(f'"{item}"' for item in items)
    if len(name) + len(inner) < 112:
        return f"{name} = [{inner}]"
    body = textwrap.fill(inner + ",", 118, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return f"{name} = [\n{body}\n]"


if __name__ == "__main__":
    main()
