"""Structures that several rules look for, found by dataflow."""
