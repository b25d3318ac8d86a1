"""`python -m onnxlint`: the command line, importing nothing from the folder that it is run in (see `__init__`)."""

from onnxlint.cli import main

main()
