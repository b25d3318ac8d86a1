"""What the commands do: read models and profiles, lint, write the output; one module a command."""
