"""The built-in rules: one rule, one file, by family."""
