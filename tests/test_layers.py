"""Modules import from lower floors only, and only the top floors print."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE, RULES = ROOT / "onnxlint", ROOT / "rules"

# From the ground up; a folder is one entry. A module imports from floors below its own.
FLOORS = (
    {"arguments", "cost", "device_kin", "device_types", "filebytes", "isolated", "options", "ordering", "rows"}
    | {"streams", "tensor", "tensors", "text", "timelimit", "units", "walk", "wire"},
    {"attributes", "device_operators", "device_runtime", "external", "toml"},
    {"device_attainable", "device_tables"},
    {"device", "finding", "load", "values"},
    {"evaluation", "resolved", "stored", "validity"},
    {"signatures"},
    {"budgets", "discover", "operators", "report", "scope"},
    {"binding", "contrib_shapes", "control_flow", "graph", "unused"},
    {"conditions", "edited_graph", "no_ops", "places", "quantization"}
    | {"reading", "run_time_graph", "variants", "weights"},
    {"groups", "inference", "params", "settings", "support"},
    {"layout"},
    {"costs", "kernels", "shapes"},
    {"channels", "graph_builder", "placement"},
    {"patterns"},
    {"grouping", "loads"},
    {"latency", "regrouping"},
    {"target", "transfers"},
    {"kernel_loads"},
    {"analysis"},
    {"formula", "idle", "memory", "partitions", "roofline", "whatif"},
    {"cells", "describe", "gains", "rounding", "rule"},
    {"gate", "output", "pricing", "registry"},
    {"engine"},
    {"calibrate", "new_rule", "rule_examples"},
    {"digest", "measure"},
    {"api", "run"},
    {"commands"},
    {"__init__", "cli"},
    {"__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
PRINTING = {"output", "run", "cli", "streams"}
LAZY = {"networkx", "onnxruntime", "matplotlib"}
MODULES = sorted(PACKAGE.rglob("*.py"))
RULE_FILES = sorted(RULES.rglob("*.py"))


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def floor_name(path: Path) -> str:
    """`graph` for graph.py, `operators` for everything in that folder."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module imported at run time, with whether at the module's top."""
    for_types = {
        id(inner)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for inner in ast.walk(block)
    }
    top = {id(statement) for statement in tree(path).body}
    for statement in ast.walk(tree(path)):
        if id(statement) in for_types:
            continue
        if isinstance(statement, ast.Import):
            yield from ((alias.name, id(statement) in top) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert not statement.level, f"{names(path)}: relative import"
            module = statement.module or ""
            yield module, id(statement) in top
            if module == "onnxlint":
                yield from ((f"onnxlint.{alias.name}", id(statement) in top) for alias in statement.names)


def own_imports(path: Path) -> set[str]:
    """The floor entries of this package that the file imports."""
    found = {module.split(".")[1] for module, _ in imports(path) if module.startswith("onnxlint.")}
    return found - {"__version__"}


def test_every_module_has_a_floor() -> None:
    assert {floor_name(path) for path in MODULES} <= FLOOR.keys(), "FLOORS in tests/test_layers.py lists each module"


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_imports_come_from_lower_floors(path: Path) -> None:
    own = floor_name(path)
    others = own_imports(path) - {own}
    above = {name for name in others if FLOOR.get(name, len(FLOORS)) >= FLOOR[own]}
    assert not above, f"{own} is on floor {FLOOR[own]}"


@pytest.mark.parametrize("path", RULE_FILES, ids=names)
def test_rules_see_no_engine_and_no_screen(path: Path) -> None:
    above = {name for name in own_imports(path) - {"rules"} if FLOOR[name] > FLOOR["rule"]}
    assert not above


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_nothing_imports_the_built_in_rules(path: Path) -> None:
    assert not {module for module, _ in imports(path) if module.startswith("onnxlint.rules")}


@pytest.mark.parametrize("path", MODULES + RULE_FILES, ids=names)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    assert not {module for module, at_top in imports(path) if at_top and module.split(".")[0] in LAZY}


@pytest.mark.parametrize("path", MODULES + RULE_FILES, ids=names)
def test_only_the_top_floors_print(path: Path) -> None:
    if path.is_relative_to(PACKAGE) and (floor_name(path) in PRINTING or path.name == "command.py"):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print"
            assert not called.startswith(("sys.stdout.write", "sys.stderr.write"))
            assert called.split(".")[-1] != "Console"
