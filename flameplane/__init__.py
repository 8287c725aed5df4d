"""Flameplane: continuous profiling that services declare, policies review and one command provisions."""

__version__ = "0.1.0"
