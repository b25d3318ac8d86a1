"""The four guidelines of ShuffleNetV2 (arXiv 1807.11164)."""
