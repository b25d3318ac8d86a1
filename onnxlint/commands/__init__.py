"""One module a command: its options, as typer reads them; what it does is imported once it is called."""
