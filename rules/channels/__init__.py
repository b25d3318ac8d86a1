"""Channel counts that fit the hardware."""
