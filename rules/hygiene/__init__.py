"""What an export leaves behind."""
