"""From the bytes of a ``.conf`` or ``.override`` to a definition (P12, P22).

A file is taken or refused as a whole. An override is read on top of its job's definition; as that is never
changed, an override with an error leaves nothing behind (P28, B1).
"""
from __future__ import annotations

from typing import Optional

from .definition import JobDefinition
from .errors import UNKNOWN_STANZA
from .stanzas import STANZAS, Draft
from .tokens import Tokens

_NO_STANZAS = JobDefinition()


def parse_job(data: bytes, base: Optional[JobDefinition] = None) -> JobDefinition:
    """The definition in ``data``; with ``base``, that definition with the override ``data`` applied (P13).

    Any bytes are allowed. Raises ParseError, and nothing else, for the first error.
    """
    tokens = Tokens(data.decode("utf-8", "surrogateescape"))
    draft = Draft(_NO_STANZAS if base is None else base)
    while True:
        name = tokens.next_stanza()
        if not name:
            return draft.finish()
        entry = STANZAS.get(name)
        if entry is None:
            tokens.fail(UNKNOWN_STANZA, tokens.start)
        handler, target = entry
        handler(tokens, draft, target)
