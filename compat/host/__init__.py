"""The daemon's side of host mode: what it has been told of the host, and what it does when the host goes down.

Imports no other room but the bridges' Fact and the parser's data; mode.py ties it to the engine.
"""
