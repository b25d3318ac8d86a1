"""What the device can run."""
