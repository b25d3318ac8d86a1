"""What transformers cost on this device."""
