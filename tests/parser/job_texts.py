"""Random texts that look like job files: the bytes that mean something, words that are known, and whole stanzas."""
from __future__ import annotations

from hypothesis import strategies as st

from compat.parser.stanzas import STANZAS

PIECES = [
    b" ", b"  ", b"\t", b"\r", b"\n", b"\n\n", b"\r\n", b"\\\n", b"\\", b"\\\\", b"\\ ", b"\\$", b"'", b'"', b"#", b"# c\n", b"(", b")",
    b"\0", b"a", b"word", b"K=v", b"K!=v", b"and", b"or", b"=", b"on", b"limit", b"signal", b"timeout", b"exit", b"exec", b"script\n",
    b"end script\n", b"load", b"switch", b"score", b"never", b"unlimited", b"nofile", b"core", b"0", b"-1", b"15", b"TERM", b"daemon",
    b"log", b"\xe9", b"\xc3\xa9",
]
STANZA_NAMES = [name.encode() for name in sorted(STANZAS)]
LINES = st.builds(
    lambda name, words, end: name + b" " + b" ".join(words) + end,
    st.sampled_from(STANZA_NAMES), st.lists(st.sampled_from(PIECES), max_size=6), st.sampled_from([b"\n", b"\n", b"", b" # c\n"]))
JOB_TEXTS = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(PIECES + STANZA_NAMES), max_size=40).map(b"".join),
    st.lists(LINES, max_size=8).map(b"".join))
