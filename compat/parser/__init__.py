"""Job files: bytes in, definitions out (spec P22-P114). Pure; knows no directories and no other room of the program.

``errors`` what can be wrong · ``tokens`` words and lines · ``blocks`` scripts · ``conditions`` start on and stop on ·
``stanzas`` the table of stanzas · ``job_file`` a whole file · ``notation`` conditions as others see them ·
``signals``, ``numbers`` · ``definition`` the result. ``python -m compat.parser`` checks files.
"""
from __future__ import annotations

from .definition import JobDefinition
from .errors import ParseError
from .job_file import parse_job

__all__ = ["JobDefinition", "ParseError", "parse_job"]
