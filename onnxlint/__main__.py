"""`python -m onnxlint`: the command line, importing nothing from the folder that it is run in."""

import sys

if not sys.flags.safe_path:
    # `-m` puts the working directory first, where a stranger's `typer.py` may lie
    del sys.path[0]

from onnxlint.cli import main

main()
