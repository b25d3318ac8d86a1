"""What the architecture costs on this device."""
