"""Definitions and inputs in, actions out: the event and state engine (chapter 2 of the specification)."""
from .engine import Engine

__all__ = ["Engine"]
