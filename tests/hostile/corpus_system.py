"""Hostile surroundings: full disks, links, pipes, rule folders, profiles that swell, files that change while read.

`raw` cases are whole command lines; `before` runs in the linting process first, `after` looks at the folder behind it.
"""

# ruff: noqa: E501
from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import onnx
from hostile.corpus import ANY, ERROR, INCOMPLETE, LINTED, add, body, model, node, written
from modelfiles import conv, model_of, relu, weights
from onnx import TensorProto, helper

_FEW_BYTES = 300
_LONGEST_RACE_S = 20.0
_MEANWHILE = "meanwhile"
"""A file beside the folder of a case: the number of the process that changes files in it."""
Made = Callable[[Path], list[str]]


# --- full disks --------------------------------------------------------------------------------------------------------


def small_files() -> None:
    """No file may grow beyond a few hundred bytes: as on a full disk, a write fails in the middle."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FEW_BYTES, _FEW_BYTES))


def full_output() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    os.close(full)


def short_calibration() -> None:
    """A calibration of three benchmarks and one network."""
    from onnxlint.calibrate import benchmarks, networks, runner

    chosen = [one for one in benchmarks.benchmarks() if one.name in ("conv1x1_64_64_7", "add_64_7", "launch_1")]
    network = [entry for entry in networks.networks() if entry[0] == "inverted"]
    runner.benchmarks = lambda: chosen
    networks.networks = lambda: iter(network)


def nothing_new(folder: Path) -> list[str]:
    """The old file is whole, and nothing is left beside it."""
    found = [] if (folder / "old").read_text() == "old" else ["the old file is torn"]
    left = sorted(path.name for path in folder.iterdir() if path.name not in ("old", "model.onnx", "t4.toml"))
    return [*found, *([f"leaves {left}"] if left else [])]


def partial_kept(folder: Path) -> list[str]:
    """A calibration may leave its results so far."""
    (folder / ".old.partial").unlink(missing_ok=True)
    return nothing_new(folder)


def writers() -> dict[str, tuple[str, ...]]:
    """Every command that writes a file, as its words with the file for OUT."""
    lint = {"lint as json": ("model.onnx", "--output-format", "json"), "lint": ("model.onnx", "-v")}
    tables = {
        f"profile as {kind}": ("profile", "model.onnx", "--output-format", kind) for kind in ("json", "csv", "table")
    }
    others = {
        "structures": ("profile", "model.onnx", "--structure", "--output-format", "json"),
        "measure": ("measure", "model.onnx", "-d", "generic", "--seconds", "0.1", "--output-format", "json"),
    }  # fmt: skip
    return {name: (*words, "-o", "OUT") for name, words in {**lint, **tables, **others}.items()}


def prepared(folder: Path, *words: str) -> list[str]:
    written(folder, data=conv().SerializeToString())
    (folder / "old").write_text("old")
    return list(words)


def disks() -> None:
    for name, words in writers().items():
        own = [word if word != "OUT" else "old" for word in words]
        if name not in ("structures", "profile as csv"):  # these are shorter
            add(f"disk: {name}, a file that may not grow", ERROR, lambda f, w=own: prepared(f, *w),
                raw=True, before=small_files, after=nothing_new)  # fmt: skip
        onto = [word if word != "OUT" else "/dev/full" for word in words]
        add(f"disk: {name} to /dev/full", ERROR, lambda f, w=onto: prepared(f, *w), raw=True, after=nothing_new)
        add(f"disk: {name} to a full output", ERROR, lambda f, w=words[:-2]: prepared(f, *w),
            raw=True, before=full_output, after=nothing_new)  # fmt: skip
    for words in (
        ["rule"],
        ["rule", "OPS002"],
        ["device"],
        ["device", "t4"],
        ["--help"],
        ["profile", "--help"],
        ["--version"],
    ):
        add(f"disk: {' '.join(words)} to a full output", ERROR, lambda f, w=words: prepared(f, *w),
            raw=True, before=full_output, after=nothing_new)  # fmt: skip

    def new_rule() -> None:
        small_files()

    def no_rule(folder: Path) -> list[str]:
        left = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
        return [f"leaves {left}"] if left else []

    add("disk: rule --new, a file that may not grow", ERROR, lambda f: ["rule", "--new", "operators/slow-one"],
        raw=True, before=new_rule, after=no_rule)  # fmt: skip

    def small_calibration() -> None:
        short_calibration()
        small_files()

    def calibrated(folder: Path, *words: str) -> list[str]:
        (folder / "old").write_text("old")
        return ["calibrate", "--budget", "0.1", "--quiet", "-o", "old", *words]

    add("disk: calibrate, files that may not grow", ERROR, lambda f: calibrated(f, "--force"),
        raw=True, before=small_calibration, spawns=False, after=partial_kept)  # fmt: skip
    add(
        "disk: calibrate over a file",
        ERROR,
        calibrated,
        raw=True,
        before=short_calibration,
        spawns=False,
        after=nothing_new,
    )
    for target in ("/dev/full", "/dev/null", "/proc/self/x", "."):
        add(f"disk: calibrate to {target}", ERROR, lambda f, t=target: ["calibrate", "--budget", "0.1", "--quiet", "--force", "-o", t],
            raw=True, before=short_calibration, spawns=False)  # fmt: skip


# --- links ---------------------------------------------------------------------------------------------------------------


def links() -> None:
    def linked(folder: Path, words: tuple[str, ...], target: str) -> list[str]:
        made = prepared(folder, *(word if word != "OUT" else "link" for word in words))
        (folder / "link").symlink_to(target)
        return made

    def untouched(folder: Path) -> list[str]:
        (folder / "link").unlink()
        return nothing_new(folder)

    for name, words in writers().items():
        for target in ("old", "nowhere", "/dev/null"):
            add(f"link: {name} to a link to {target}", ERROR, lambda f, w=words, t=target: linked(f, w, t),
                raw=True, after=untouched)  # fmt: skip
    words = ("calibrate", "--budget", "0.1", "--quiet", "--force", "-o", "OUT")
    for target in ("old", "nowhere"):
        add(f"link: calibrate to a link to {target}", ERROR, lambda f, t=target: linked(f, words, t),
            raw=True, before=short_calibration, spawns=False, after=untouched)  # fmt: skip
    add("link: rule --new to a dead link", ERROR, lambda f: (
        (f / "operators").mkdir(), (f / "operators" / "slow_one.py").symlink_to(f / "nowhere"),
        ["rule", "--new", "operators/slow-one"])[2], raw=True, after=lambda f: ["written through"] * (f / "nowhere").exists())  # fmt: skip
    add("link: two that lead to their own folder, as a glob", LINTED, lambda f: _circle(f, "**/*.onnx"))
    add("link: two that lead to their own folder, below a glob", LINTED, lambda f: _circle(f, "*/**/*.onnx"))
    add("link: two that lead to their own folder, up and down", ERROR, lambda f: _circle(f, "*/../**/*.onnx"))
    add("link: two that lead to their own folder, as a folder", LINTED, lambda f: _circle(f, "."))


def _circle(folder: Path, word: str) -> list[str]:
    (folder / "a").symlink_to(".")
    (folder / "b").symlink_to(".")
    (folder / "root").symlink_to("/")
    (folder / "d").mkdir()
    written(folder / "d")
    written(folder)
    return [word]


# --- rule folders ----------------------------------------------------------------------------------------------------------

_RULE = '''"""Hello: finds something.

## What it does
{page}
"""
from onnxlint.finding import Finding, Fix, Remove
from onnxlint.rule import Rule
RULE = Rule(code={code!r}, name={name!r}, severity={severity!r})
def check(ctx):
    {check}
'''


def rule_text(check: str = 'yield Finding("m", "s", ())', code: str = "MY001", name: str = "mine",
              severity: str = "warning", page: str = "Finds.") -> str:  # fmt: skip
    return _RULE.format(check=check, code=code, name=name, severity=severity, page=page)


def rule_folders() -> None:
    def folder_of(files: dict[str, str], *words: str) -> Made:
        def make(folder: Path) -> list[str]:
            (folder / "r").mkdir()
            for name, text in files.items():
                (folder / "r" / name).write_text(text, encoding="utf-8")
            return [written(folder), "--rules", "r", *words]

        return make

    bad = {
        "import that loops": "while True: pass", "import that recurses": "def f(): f()\nf()",
        "BaseException": "raise BaseException('\\x1b[31m::error::x')", "GeneratorExit": "raise GeneratorExit", "exit": "import sys; sys.exit(0)",
        "NUL": "x = 1\0", "indentation": "if 1:\nx", "null bytes alone": "\0" * 100, "nested brackets": "(" * 10_000, "long sum": "x = " + "1+" * 100_000 + "1",
        "code of a built-in rule": rule_text(code="OPS002"), "no check": "from onnxlint.rule import Rule\nRULE = Rule('A1', 'a', 'error')",
        "no docstring": "raise ImportError", "prints": "print('::error::x')\nraise OSError(5, 'x')",
    }  # fmt: skip
    for name, text in bad.items():
        expected = ANY if name == "prints" else ERROR
        add(f"rules: {name}", expected, folder_of({"x.py": text}, "--timeout", "1"))
    add("rules: two of one code", ERROR, folder_of({"x.py": rule_text(), "y.py": rule_text(name="other")}))
    add("rules: no files", ERROR, folder_of({}))
    add("rules: none but a note", ERROR, folder_of({"README.md": "x", "_private.py": "raise ValueError"}))
    add(
        "rules: a pipe",
        ERROR,
        lambda f: ((f / "r").mkdir(), os.mkfifo(f / "r" / "x.py"), [written(f), "--rules", "r"])[2],
    )
    for target in ("/dev/zero", "/dev/full", "nowhere", "x.py", "/proc/self/mem", "/"):
        add(f"rules: a link to {target}", ANY if target == "/" else ERROR, lambda f, t=target: (
            (f / "r").mkdir(), (f / "r" / "x.py").symlink_to(t), [written(f), "--rules", "r"])[2])  # fmt: skip
    add(
        "rules: a folder named x.py",
        ERROR,
        lambda f: ((f / "r" / "x.py").mkdir(parents=True), [written(f), "--rules", "r"])[1],
    )
    add("rules: a circle of links", LINTED, lambda f: (
        (f / "r").mkdir(), (f / "r" / "again").symlink_to("."), (f / "r" / "x.py").write_text(rule_text()), [written(f), "--rules", "r"])[3])  # fmt: skip
    add("rules: no utf-8 in a name", ANY, lambda f: (
        (f / "r").mkdir(), Path(os.fsdecode(os.fsencode(f / "r") + b"/\xff\x1b[31m.py")).write_text(rule_text()), [written(f), "--rules", "r"])[2])  # fmt: skip
    add(
        "rules: 2000 files",
        ANY,
        folder_of({f"x{n}.py": rule_text(code=f"MY{n}", name=f"mine-{n}") for n in range(2000)}),
    )
    escapes = "\\x1b[31m\\n::error::x\\u202e"
    odd = {
        "escapes": f'yield Finding("{escapes}", "{escapes}", (), details=("{escapes}",))', "nothing": "return", "None": "return None; yield",
        "numbers": "yield 5", "no strings": "yield Finding(5, None, 7)", "unknown nodes": 'yield Finding("m", "s", ("nowhere", "\\x1b"), places=-5)',
        "raises": "raise ValueError('\\x1b[31m')\n    yield", "exits": "raise SystemExit(0)\n    yield",
        "without end": 'while True: yield Finding("m", "s", ())', "loops": "while True: pass\n    yield",
        "bytes": 'yield Finding(b"m", b"s", ())', "long": 'yield Finding("m" * 10**7, "s" * 10**7, ())', "recursion": "yield from check(ctx)",
        "a fix that fits nothing": 'yield Finding("m", "s", (), fixes=(Fix("t", "exact", (Remove("nowhere"),)),))',
        "a fix of nothing": 'yield Finding("m", "s", (), fixes=(Fix("\\x1b[31m", "bogus", ()),))', "the fix of the whole": 'yield Finding("m", "s", (), fixes=(Fix("t", "exact", tuple(Remove(n.key) for n in ctx.graph.nodes)),))',
        "changes the graph": "ctx.graph.inputs = ()\n    yield", "surrogates": 'yield Finding("\\ud800", "\\udfff", ())',
    }  # fmt: skip
    for name, check in odd.items():
        expected = ANY if name in ("without end", "long") else LINTED if name != "escapes" else ANY
        if name in ("no strings", "bytes", "numbers", "surrogates"):
            expected = ANY
        add(f"rules: check, {name}", expected, folder_of({"x.py": rule_text(check)}, "--timeout", "2"))
    for name, given in {
        "code": {"code": "\x1b[31m"}, "name": {"name": "::error::x\n"}, "severity": {"severity": "fatal"}, "page": {"page": "\x1b[31m ::error::x::"},
        "empty code": {"code": ""},
    }.items():  # fmt: skip
        add(f"rules: odd {name}", ANY, folder_of({"x.py": rule_text(**given)}))


# --- profiles ----------------------------------------------------------------------------------------------------------------


def profiles() -> None:
    deep, most = 100_000, 1_000_000
    bombs = {
        "arrays": "a = " + "[" * deep, "closed arrays": "a = " + "[" * deep + "]" * deep, "inline tables": "a = " + "{a = " * deep, "tables in arrays": "a = " + "[{a = " * deep,
        "dotted keys": ".".join("a" * deep) + " = 1", "dotted table": "[" + ".".join("a" * deep) + "]", "dotted tables": "\n".join(f"[{'.'.join('a' * n)}]" for n in range(1, 1000)),
        "tables of tables": "[[a]]\n" * deep, "nested tables of tables": "[[" + ".".join("a" * 50_000) + "]]", "empty keys": '"" = 1\n' * deep,
        "quotes": "a = " + '"' * most, "open string": "a = '''" + "x" * most, "escapes": 'a = "' + "\\u0041" * 100_000 + '"', "hex": "a = 0x" + "f" * most,
        "digits": "a = " + "9" * 900_000, "digits of a float": "a = 0." + "9" * 900_000, "exponent": "a = 1e" + "9" * 900_000, "underscores": "a = 1" + "_1" * 400_000,
        "dates": "a = [" + "1979-05-27T07:32:00Z, " * 40_000 + "]", "odd date": "a = 9999-99-99", "time": "a = 99:99:99", "comments": "#" * most, "newlines": "\n" * most,
        "a 100 MB string": "a = '" + "x" * 100_000_000 + "'", "surrogate": 'a = "\\ud800"', "control": "a = '\x01'", "bom": "\ufeffname = 'a'", "crlf": "a = 1\r\n\rb",
    }  # fmt: skip
    for name, text in bombs.items():
        add(f"profile: bomb of {name}", ERROR, lambda f, t=text: [written(f), "-d", _profile(f, t)])
    for name, text in {**{k: bombs[k] for k in ("arrays", "dotted keys", "hex")}, "itself": 'inherits = "p"', "a path": 'inherits = "../p.toml"',
                       "a number": "inherits = 5", "escapes": 'inherits = "\\u001b[31m"', "rtx4090, which inherits": 'name = "a"\nchip = "c"\ninherits = "rtx4090"'}.items():  # fmt: skip
        add(f"profile: shown, {name}", ERROR, lambda f, t=text: ["device", _profile(f, t)], raw=True)
    for name, change in {
        "name of escapes": ('name = "t4"', 'name = "\\u001b[31m"'), "chip of escapes": ('chip = "', 'chip = "\\u001b[31m::error::x::\\u202e\\n'),
        "chip of 900 kB": ('chip = "', 'chip = "' + "x" * 900_000), "source of markup": ('source = "', 'source = "[red]x[/] ::error::x::'),
        "host of itself": ('name = "t4"', 'name = "mine"\nhost = "mine"'), "host of escapes": ('name = "t4"', 'name = "mine"\nhost = "\\u001b"'),
    }.items():  # fmt: skip
        for words in (("-d", "p.toml"), ("SHOWN",)):
            what = "shown" if words == ("SHOWN",) else "used"
            add(f"profile: {name}, {what}", ANY, lambda f, c=change, shown=what == "shown": _altered(f, c, shown),
                raw=what == "shown")  # fmt: skip
    for kind in ("pipe", "link to itself", "link to /dev/zero", "folder"):
        for where in ("lint", "device", "measure"):

            def make(folder: Path, kind: str = kind, where: str = where) -> list[str]:
                at = folder / "p.toml"
                {"pipe": lambda: os.mkfifo(at), "link to itself": lambda: at.symlink_to("p.toml"), "folder": at.mkdir,
                 "link to /dev/zero": lambda: at.symlink_to("/dev/zero")}[kind]()  # fmt: skip
                written(folder)
                return {
                    "lint": ["model.onnx", "-d", "p.toml"],
                    "device": ["device", "p.toml"],
                    "measure": ["measure", "model.onnx", "-d", "p.toml"],
                }[where]

            add(f"profile: a {kind}, {where}", ERROR, make, raw=True)


def _profile(folder: Path, text: str) -> str:
    (folder / "p.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    return "p.toml"


def _t4() -> bytes:
    from importlib.resources import files as resources

    return (resources("onnxlint.device_profiles") / "t4.toml").read_bytes()


def _altered(folder: Path, change: tuple[str, str], shown: bool) -> list[str]:
    _profile(folder, _t4().decode().replace(*change))
    return ["device", "p.toml"] if shown else [written(folder), "-d", "p.toml"]


# --- sizes -------------------------------------------------------------------------------------------------------------------


def sizes() -> None:
    def named(count: int) -> onnx.ModelProto:
        made = relu()
        made.graph.node[0].attribute.extend(onnx.AttributeProto(name=f"a{n}", type=2, i=n) for n in range(count))
        return made

    model("size: a node of a million attributes", ERROR, lambda: named(1_000_000))
    model("size: an attribute of a million strings", ANY, lambda: _changed(
        relu(), lambda m: m.graph.node[0].attribute.add(name="a", type=8).strings.extend([b"x"] * 1_000_000)))  # fmt: skip
    model("size: an attribute of five million integers", ANY, lambda: model_of(
        [node("Transpose", ["x"], ["y"], perm=range(5_000_000))], {"x": [1, 3]}, {"y": None}))  # fmt: skip
    for what in ("metadata_props", "opset_import", "functions", "training_info"):
        model(
            f"size: 300,000 {what}",
            ANY,
            lambda w=what: _changed(relu(), lambda m: [getattr(m, w).add() for _ in range(300_000)]),
        )
    for what in ("value_info", "input", "output", "sparse_initializer", "quantization_annotation"):
        model(
            f"size: 300,000 {what}",
            ANY,
            lambda w=what: _changed(relu(), lambda m: [getattr(m.graph, w).add() for _ in range(300_000)]),
        )
    model("size: 100,000 named value_info", LINTED, lambda: _changed(relu(), lambda m: m.graph.value_info.extend(
        helper.make_tensor_value_info(f"v{n}", 1, [1, n]) for n in range(100_000))))  # fmt: skip
    for op in ("Loop", "Scan", "If", "SequenceMap"):
        for depth in (20, 30):
            model(f"size: {op} {depth} deep", ANY, lambda o=op, d=depth: _nested(o, d))
    for depth in (8, 12, 16, 20):
        model(f"size: 2^{depth} branches", ANY, lambda d=depth: _branches(d))
    for count in (50, 200):

        def many(folder: Path, count: int = count) -> list[str]:
            data = conv().SerializeToString()
            return [written(folder, f"m{n}.onnx", data) for n in range(count)]

        add(f"size: {count} models", LINTED, many)
        add(
            f"size: {count} models that are none",
            ERROR,
            lambda f, c=count: [written(f, f"m{n}.onnx", b"x") for n in range(c)],
        )
    add("size: a folder 200 deep", LINTED, lambda f: _deep_folder(f, 200))
    add(
        "size: 20,000 other files",
        LINTED,
        lambda f: ([(f / f"{n}.txt").touch() for n in range(20_000)], written(f), ["."])[2],
    )


def _changed(made: onnx.ModelProto, change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    change(made)
    return made


def _deep_folder(folder: Path, depth: int) -> list[str]:
    place = folder.joinpath(*["d"] * depth)
    place.mkdir(parents=True)
    written(place)
    return ["."]


def _nested(op: str, depth: int) -> onnx.ModelProto:
    """Bodies of one operator inside each other."""
    info = helper.make_tensor_value_info

    def around(inner: list[onnx.NodeProto]) -> onnx.GraphProto:
        if op == "Loop":
            return helper.make_graph([*inner, node("Identity", ["c"], ["d"])], "g", [info("i", 7, []), info("c", 9, []), info("v", 1, [1, 3])],
                                     [info("d", 9, []), info("r", 1, None)])  # fmt: skip
        inputs = [] if op == "If" else [info("v", 1, None)]
        return helper.make_graph(inner, "g", inputs, [info("r", 1, None)])

    nodes = [node("Relu", ["x" if op == "If" else "v"], ["r"])]
    for level in range(depth):
        outer = "x" if level == depth - 1 or op == "If" else "v"
        bodies = (
            {"then_branch": around(nodes), "else_branch": around(nodes[:0] or [node("Relu", ["x"], ["r"])])}
            if op == "If"
            else {"body": around(nodes)}
        )
        inputs = {"If": ["b"], "Loop": ["t", "b", outer], "Scan": [outer], "SequenceMap": [outer]}[op]
        more = {"num_scan_inputs": 1} if op == "Scan" else {}
        nodes = [node(op, inputs, ["r"], **bodies, **more)]
    made = model_of(nodes, {"x": [1, 3]}, {"r": None})
    made.graph.input.extend([info("t", TensorProto.INT64, []), info("b", TensorProto.BOOL, [])])
    return made


def _branches(depth: int) -> onnx.ModelProto:
    """Each branch holds two Ifs in a row, so that a walk of every way through takes 2^depth steps."""
    inner = body(node("Relu", ["x"], ["r"]))
    for _ in range(min(depth, 20)):
        call = {"then_branch": inner, "else_branch": body(node("Relu", ["x"], ["r"]))}
        inner = body(node("If", ["c"], ["a"], **call), node("If", ["c"], ["b"], **call), node("Add", ["a", "b"], ["r"])) if depth <= 12 else body(
            node("If", ["c"], ["a"], **call), node("Relu", ["a"], ["r"]))  # fmt: skip
    made = model_of(list(inner.node), {"x": [1, 3]}, {"r": None})
    made.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    return made


# --- files that change while they are read ------------------------------------------------------------------------------------


def races() -> None:
    large = conv(weights("w", 64, 3, 3, 3), doc_string="d" * 3_000_000).SerializeToString()
    small = relu().SerializeToString()

    def put(folder: Path, name: str, data: bytes) -> None:
        (folder / "next").write_bytes(data)
        os.replace(folder / "next", folder / name)

    def fifo(folder: Path, name: str) -> None:
        (folder / "next").unlink(missing_ok=True)
        os.mkfifo(folder / "next")
        os.replace(folder / "next", folder / name)

    def link(folder: Path, name: str, target: str) -> None:
        (folder / "next").unlink(missing_ok=True)
        (folder / "next").symlink_to(target)
        os.replace(folder / "next", folder / name)

    kinds: dict[str, Callable[[Path, random.Random], None]] = {
        "grows": lambda f, r: (put(f, "model.onnx", large), _append(f / "model.onnx", bytes(r.randrange(100_000))))[0],
        "shrinks": lambda f, r: (put(f, "model.onnx", large), os.truncate(f / "model.onnx", r.randrange(len(large))))[0],
        "is rewritten in its place": lambda f, r: ((f / "model.onnx").write_bytes(r.choice((small, large, b"", large[: r.randrange(len(large))]))), None)[1],
        "is replaced": lambda f, r: put(f, "model.onnx", r.choice((small, large))),
        "is replaced by a pipe": lambda f, r: r.choice((lambda: put(f, "model.onnx", large), lambda: fifo(f, "model.onnx")))(),
        "is replaced by a link": lambda f, r: link(f, "model.onnx", r.choice(("kept.onnx", "/dev/zero", "/etc/passwd", "nowhere"))),
        "comes and goes": lambda f, r: ((f / "model.onnx").unlink(missing_ok=True), put(f, "model.onnx", large) if r.random() < 0.7 else None)[1],
    }  # fmt: skip
    for name, step in kinds.items():
        for words in ((), ("--weights", "always")):
            add(f"race: a file that {name}{' with weights' if words else ''}", ANY,
                lambda f, s=step, w=words: (put(f, "kept.onnx", large), put(f, "model.onnx", large), _meanwhile(f, s), ["model.onnx", *w])[3])  # fmt: skip

    external = conv(weights("w", 64, 3, 3, 3, external="w.bin")).SerializeToString()
    steps: dict[str, Callable[[Path, random.Random], None]] = {
        "shrink": lambda f, r: ((f / "w.bin").write_bytes(bytes(r.randrange(7000))), None)[1],
        "become links": lambda f, r: r.choice(
            (lambda: link(f, "w.bin", "/etc/passwd"), lambda: put(f, "w.bin", bytes(6912)))
        )(),
        "become pipes": lambda f, r: r.choice((lambda: fifo(f, "w.bin"), lambda: put(f, "w.bin", bytes(6912))))(),
    }
    for name, step in steps.items():
        add(f"race: weights that {name}", ANY, lambda f, s=step: (
            put(f, "w.bin", bytes(6912)), put(f, "model.onnx", external), _meanwhile(f, s), ["model.onnx", "--weights", "always"])[3])  # fmt: skip
    swaps: dict[str, Callable[[Path, random.Random], None]] = {
        "shrinks": lambda f, r: ((f / "p.toml").write_bytes(_t4()[: r.randrange(len(_t4()))]), None)[1],
        "is replaced by a pipe": lambda f, r: r.choice((lambda: fifo(f, "p.toml"), lambda: put(f, "p.toml", _t4())))(),
        "is replaced by a link": lambda f, r: link(f, "p.toml", r.choice(("/dev/zero", "nowhere", "kept.toml"))),
    }
    for name, step in swaps.items():
        add(f"race: a profile that {name}", ANY, lambda f, s=step: (
            put(f, "kept.toml", _t4()), put(f, "p.toml", _t4()), _meanwhile(f, s), [written(f), "-d", "p.toml"])[3])  # fmt: skip


def stop_meanwhile(folder: Path) -> None:
    """End the process that changes the case's files, if there is one."""
    at = folder.parent / _MEANWHILE
    if at.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(at.read_text()), signal.SIGKILL)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _meanwhile(folder: Path, step: Callable[[Path, random.Random], None]) -> None:
    """Take the step again and again in a process of its own, as long as the folder is there."""
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    second = os.fork()
    if second:
        (folder.parent / _MEANWHILE).write_text(str(second))
        os._exit(0)
    signal.alarm(int(_LONGEST_RACE_S))
    rng = random.Random(1)
    until = time.monotonic() + _LONGEST_RACE_S
    while time.monotonic() < until and folder.is_dir():
        try:
            step(folder, rng)
        except OSError:
            if not folder.is_dir():
                break
        time.sleep(rng.random() * 0.003)
    os._exit(0)


# --- types ------------------------------------------------------------------------------------------------------------------------


def lies() -> None:
    """Models that contradict themselves where ONNX's own inference says nothing."""
    info = helper.make_tensor_value_info
    wide, half, whole, flag, text = (
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.INT64,
        TensorProto.BOOL,
        TensorProto.STRING,
    )

    def typed(
        op: str, given: list[int], declared: tuple[int, list[object] | None], **attributes: object
    ) -> onnx.ModelProto:
        names = [f"x{n}" for n in range(len(given))]
        graph = helper.make_graph([node(op, names, ["y"], **attributes)], "g", [info(n, t, [4, 4]) for n, t in zip(names, given, strict=True)],
                                  [info("y", *declared)])  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    for name, (op, given) in {
        "LogSoftmax of int64": ("LogSoftmax", [whole]), "Softmax of int64": ("Softmax", [whole]), "Relu of bool": ("Relu", [flag]), "Exp of int64": ("Exp", [whole]),
        "MatMul of strings": ("MatMul", [text, text]), "And of floats": ("And", [1, 1]), "Not of a float": ("Not", [1]), "Add of float and int64": ("Add", [1, whole]),
        "Concat of float and double": ("Concat", [1, wide]), "Where by a float": ("Where", [1, 1, 1]), "Gather by a float": ("Gather", [1, 1]),
        "MatMul of float and half": ("MatMul", [1, half]), "Sum of float, float, int64": ("Sum", [1, 1, whole]), "Gemm of bools": ("Gemm", [flag, flag]),
        "QuantizeLinear of a string": ("QuantizeLinear", [text, 1]), "Reshape by floats": ("Reshape", [1, 1]), "Conv of int64": ("Conv", [whole, whole]),
        "StringNormalizer of floats": ("StringNormalizer", [1]), "Pow of strings": ("Pow", [text, text]), "BitShift of floats": ("BitShift", [1, 1]),
    }.items():  # fmt: skip
        more: dict[str, object] = {"axis": 0} if op == "Concat" else {"direction": "LEFT"} if op == "BitShift" else {}
        model(f"lie: {name}", INCOMPLETE, lambda o=op, g=given, m=more: typed(o, g, (g[0], [4, 4]), **m))
    for name, (dtype, dims) in {
        "another type": (whole, [4, 4]), "another type, no dims": (whole, None), "other dims": (1, [4, 5]), "another rank": (1, [16]), "no rank": (1, []),
        "one dim wrong": (1, ["N", 5]), "0 for 4": (1, [0, 4]), "a string": (text, [4, 4]),
    }.items():  # fmt: skip
        model(f"lie: output of {name}", INCOMPLETE, lambda t=dtype, d=dims: typed("Relu", [1], (t, d)))
    for name, (dtype, dims) in {
        "no type": (0, [4, 4]),
        "no dims": (1, None),
        "names for dims": (1, ["N", "M"]),
        "a name and a dim": (1, ["N", 4]),
    }.items():
        model(f"lie: none, {name}", LINTED, lambda t=dtype, d=dims: typed("Relu", [1], (t, d)))


for _fill in (disks, links, rule_folders, profiles, sizes, races, lies):
    _fill()
