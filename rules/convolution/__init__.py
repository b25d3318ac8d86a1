"""Convolutions that cost more than their FLOPs."""
