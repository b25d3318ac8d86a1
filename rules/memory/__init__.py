"""What must be held and moved."""
