"""Built-in device profiles: one TOML file per device, read by `onnxlint.device`."""
