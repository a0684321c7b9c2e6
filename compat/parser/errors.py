"""What is wrong with a job file, and the words in which it is said (P22-P24, P30)."""
from __future__ import annotations

from typing import Optional

EXPECTED_TOKEN = "Expected token"
UNEXPECTED_TOKEN = "Unexpected token"
UNKNOWN_STANZA = "Unknown stanza"
TRAILING_SLASH = "Trailing slash in file"
UNTERMINATED_QUOTE = "Unterminated quoted string"
UNTERMINATED_BLOCK = "Unterminated block"
ILLEGAL_INTERVAL = "Illegal interval, expected number of seconds"
ILLEGAL_EXIT = "Illegal exit status, expected integer"
ILLEGAL_SIGNAL = "Illegal signal status, expected integer"
ILLEGAL_UMASK = "Illegal file creation mask, expected octal integer"
ILLEGAL_NICE = "Illegal nice value, expected -20 to 19"
ILLEGAL_OOM = "Illegal oom adjustment, expected -16 to 15 or 'never'"
ILLEGAL_OOM_SCORE = "Illegal oom score adjustment, expected -999 to 1000 or 'never'"
ILLEGAL_LIMIT = "Illegal limit, expected 'unlimited' or integer"
EXPECTED_EVENT = "Expected event"
EXPECTED_OPERATOR = "Expected operator"
EXPECTED_VARIABLE = "Expected variable name before value"
MISMATCHED_PARENTHESES = "Mismatched parentheses"
#: Not one of upstream's: a tree this deep could not be compared, copied or saved without running out of stack.
NESTED_TOO_DEEPLY = "Condition nested too deeply"


class ParseError(Exception):
    """The first error of a file; nothing after it was looked at (P22).

    ``message`` is one of the texts above. ``line`` counts from 1; it is None for the one error that upstream
    reports without a line, a bad signal (the "hard" form, P24).
    """

    def __init__(self, message: str, line: Optional[int] = None) -> None:
        super().__init__(message, line)
        self.message = message
        self.line = line

    def describe(self, path: str) -> str:
        """The whole text that is logged for the file at ``path`` (P23, P24)."""
        if self.line is None:
            return f"{path}: Error while loading configuration file: {self.message}"
        return f"{path}:{self.line}: {self.message}"

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"
