"""The texts and the picture that are made from the rules, the profiles and a run of the tool."""

import csv
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import msgspec
from rich.console import Console

from onnxlint.analysis import Analysis
from onnxlint.api import lint
from onnxlint.device import load_device, profile_names
from onnxlint.engine import read_model, report_on
from onnxlint.gate import BUDGET_RULES
from onnxlint.load import load
from onnxlint.output import roofline_page
from onnxlint.output.profile_rows import ProfileView
from onnxlint.output.terminal import View, render
from onnxlint.registry import installed_rules
from onnxlint.roofline import roofline_of
from onnxlint.rule import LoadedRule
from onnxlint.settings import Settings
from onnxlint.target import target_for
from onnxlint.units import operations

ACCURACY_SHARES = ("median_error_in_sample", "median_error_left_out", "within_20_left_out")
ROOT = Path(__file__).resolve().parent.parent
FAMILIES = [
    "shufflenetv2",
    "channels",
    "convolution",
    "operators",
    "structure",
    "transformer",
    "quantization",
    "pruning",
    "hygiene",
    "memory",
    "budget",
]


def rules_readme() -> str:
    """`rules/README.md`: every rule's page, by family."""
    lines = ["# The rules", "", "Made from the rule files (`pytest tests/test_generated.py --refresh-golden`).", ""]
    lines += [*rules_table(lambda rule: f"#{rule.code.lower()}").splitlines(), ""]
    for rule in by_family():
        page = rule.page.replace("\n## ", "\n### ")
        lines += [f'<a id="{rule.code.lower()}"></a>', f"## {rule.code} {rule.name}", "", page, ""]
        for title, examples in (("Fails", rule.invalid), ("Passes", rule.valid)):
            for example in examples[:1]:
                lines += [f"{title} on `{example.device}`:", "", "```", example.text.strip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def rules_table(link: Callable[..., str] = lambda rule: f"rules/README.md#{rule.code.lower()}") -> str:
    rows = (
        f"| [{rule.code}]({link(rule)}) | {rule.name} | {rule.rule.severity} | {rule.title} |" for rule in by_family()
    )
    return "\n".join(["| code | rule | severity | finds |", "| --- | --- | --- | --- |", *rows])


def by_family() -> list[LoadedRule]:
    return sorted((*installed_rules(), *BUDGET_RULES), key=lambda rule: (FAMILIES.index(rule.family), rule.code))


def devices_table() -> str:
    rows = ["| device | chip | native | peak | trust |", "| --- | --- | --- | --- | --- |"]
    for name in profile_names():
        device = load_device(name)
        peak = operations(device.peak_ops_per_s(device.native_precision))
        rows.append(f"| `{name}` | {device.chip} | {device.native_precision} | {peak} | {device.trust} |")
    return "\n".join(rows)


def accuracy_table() -> str:
    """How far the profiles fitted to published tables are off, as the fitting scripts wrote it."""
    rows = [
        "| device | rows | families | median error in sample | left out | within 20 % left out | Spearman left out |"
    ]
    rows[0] += " low–high | measured | table |"
    rows.append("| --- " * 10 + "|")
    with (ROOT / "tests/benchmarks/accuracy_of_profiles.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            shares = [f"{float(line[name]):.0%}" for name in ACCURACY_SHARES]
            spread = load_device(line["device"]).attainable.spread
            tail = [line["spearman_left_out"] or "–", f"× {spread:g}", line["measured"], line["source"]]
            name = f"`{line['device']}`"
            rows.append("| " + " | ".join([name, line["rows"], line["families"], *shares, *tail]) + " |")
    return "\n".join(rows)


def readme() -> str:
    text = (ROOT / "README.md").read_text()
    blocks = {
        "roofline": roofline_example(),
        "rules": rules_table(),
        "devices": devices_table(),
        "accuracy": accuracy_table(),
    }
    for name, content in blocks.items():
        block = f"<!-- {name} -->\n{content}\n<!-- /{name} -->"
        text = re.sub(f"<!-- {name} -->.*?<!-- /{name} -->", lambda _, block=block: block, text, flags=re.DOTALL)
    return text


def roofline_example() -> str:
    """The README's example of a roofline."""
    path = "tests/zoo/shufflenet_v2_x1_0.onnx"
    settings, out = Settings(), io.StringIO()
    read = read_model(load(ROOT / path).proto, settings, path)
    analysis = Analysis(read.graph, target_for(load_device("rk3588")))
    with mock.patch.dict(os.environ, COLUMNS="80"):
        report = report_on(read, analysis, [], settings)
        roofline_page.write(report, roofline_of(analysis), out, ProfileView(top=5))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join(["```", f"$ onnxlint profile {path} --device rk3588 --roofline --top 5", *lines, "```"])


def picture() -> str:
    """The README's picture of the terminal, as SVG."""
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print("$ onnxlint tests/zoo/shufflenet_v2_x1_0.onnx --device hi3519", style="bold green")
    report = lint(ROOT / "tests/zoo/shufflenet_v2_x1_0.onnx", "hi3519")
    shown = msgspec.structs.replace(report.model, path="tests/zoo/shufflenet_v2_x1_0.onnx")
    render(msgspec.structs.replace(report, model=shown), console, View())
    return console.export_svg(title="onnxlint", unique_id="onnxlint")


GENERATED: dict[Path, Callable[[], str]] = {
    ROOT / "rules/README.md": rules_readme,
    ROOT / "README.md": readme,
    ROOT / "tests/golden/report.svg": picture,
}
