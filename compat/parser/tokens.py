"""The tokeniser: how a job file's text falls into words (P31-P46).

Job files are read by the thousand, at boot, so no character is looked at by itself unless it must be. Each kind of
token has a regular expression for its plain form: what holds no backslash, no NUL and no line break inside quotes.
When the plain form ends before something that it cannot judge (a backslash, a quote that it could not close), the
token is read again from its start by ``_exact``, which is the complete rule of P46.

Blanks before an escape are kept as they are. P42 says that upstream turns the first of them into a backslash; the
one file of the corpus where that would show (``… {}' \\;``) has its blank in upstream's own reading too.

Text is ``str`` decoded with surrogateescape; everything that has a meaning here is ASCII.
"""
from __future__ import annotations

import re
from typing import NoReturn, Tuple

from .errors import EXPECTED_TOKEN, TRAILING_SLASH, UNEXPECTED_TOKEN, UNTERMINATED_QUOTE, ParseError

#: Blanks (P31). NUL belongs to every class, so it is a blank as well (P32).
BLANKS = " \t\r\0"

_PLAIN_QUOTES = r"""(?:"[^"\\\n\0]*"|'[^'\\\n\0]*')"""
_QUOTES_WITH_ESCAPES = r"""(?:"[^"\\\n\0]*(?:\\[^\n\0][^"\\\n\0]*)*"|'[^'\\\n\0]*(?:\\[^\n\0][^'\\\n\0]*)*')"""
_SKIP = r"(?:[ \t\r\0]+(?:\\\n[ \t\r\0]*)*)?"

#: Blank lines and comments, then the first word of a stanza and what may be skipped after it.
_STANZA = re.compile(r"""(?:[ \t\r\0]*(?:#[^\n]*)?\n)*[ \t\r\0]*([^ \t\r\0\n#'"\\]*)""" + _SKIP)
_WORD = re.compile(r"""([^ \t\r\0\n#'"\\]*)""" + _SKIP)
_ARGUMENT = re.compile(r"""([^ \t\r\0\n#'"\\]*(?:QUOTES[^ \t\r\0\n#'"\\]*)*)""".replace("QUOTES", _PLAIN_QUOTES) + _SKIP)
_OPERAND = re.compile(r"""([^ \t\r\0\n#'"\\()]*(?:QUOTES[^ \t\r\0\n#'"\\()]*)*)""".replace("QUOTES", _PLAIN_QUOTES) + _SKIP)
_COMMAND = re.compile(r"""[^\n#'"\\\0]*(?:(?:\\[^\n\0]|QUOTES)[^\n#'"\\\0]*)*""".replace("QUOTES", _QUOTES_WITH_ESCAPES))
_END = re.compile(r"(?:#[^\n]*)?(?:\n|\Z)")
_REST_OF_LINE = re.compile(r"[^\n]*\n?")
_BLANKS_AND_CONTINUATIONS = re.compile(r"[ \t\r\0]*(?:\\\n[ \t\r\0]*)*")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_ORDINARY = re.compile(r"""[^ \t\r\0\n#'"\\()]+""")

_WORD_STOPS = BLANKS + "\n#"
_OPERAND_STOPS = _WORD_STOPS + "()"
_COMMAND_STOPS = "\n#\0"


def _unquoted(found: "re.Match[str]") -> str:
    return found[1] or found[2] or ""


def _whole_characters(text: str) -> str:
    """Where dropped quotes joined the bytes of one character, make it that character."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


class Tokens:
    """A job file's text and how far it has been read.

    ``pos`` always stands before the next token, at the end of a line, before a comment or at the end of the text:
    whatever reads a token skips the blanks and continued lines after it. ``start`` is where the last token begins.
    """

    __slots__ = ("pos", "start", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.start = 0

    def fail(self, message: str, pos: int) -> NoReturn:
        """Raise the error with the line of ``pos`` (P29)."""
        raise ParseError(message, self.text.count("\n", 0, pos) + 1)

    def fail_at_end(self, message: str) -> NoReturn:
        """Raise the error with the line of the end of the file (P29)."""
        self.fail(message, len(self.text))

    def at_end_of_line(self) -> bool:
        """Whether nothing follows on this line but perhaps a comment."""
        return self.text[self.pos:self.pos + 1] in "\n#"  # true of the empty string as well

    def finish_stanza(self) -> None:
        """Take the end of the line; ``Unexpected token`` if there is another word (P54)."""
        found = _END.match(self.text, self.pos)
        if found is None:
            self.fail(UNEXPECTED_TOKEN, self.pos)
        self.pos = found.end()

    def next_stanza(self) -> str:
        """The first word of the next stanza, or the empty string at the end of the file (P33).

        An empty word that does not end the file (``\\`` before a line break and nothing after it, P39) is returned
        as a backslash, which is no stanza's name.
        """
        found = _STANZA.match(self.text, self.pos)
        assert found is not None
        self.start, after = found.span(1)
        self.pos = found.end()
        if self.text[after:after + 1] in ("'", '"', "\\"):
            name, self.pos = self._exact(self.start, _WORD_STOPS, raw=True)
            while self.text.startswith("\\\n", self.start):
                self.start += 2
            return name or "\\"
        return found[1]

    def word(self) -> str:
        """A second-level keyword: quotes are kept, so that a quoted one is unknown (P35)."""
        if self.at_end_of_line():
            self.fail(EXPECTED_TOKEN, self.pos)
        found = _WORD.match(self.text, self.pos)
        assert found is not None
        self.start, after = found.span(1)
        self.pos = found.end()
        if self.text[after:after + 1] in ("'", '"', "\\"):
            word, self.pos = self._exact(self.start, _WORD_STOPS, raw=True)
            return word
        return found[1]

    def argument(self) -> str:
        """An argument without its quotes and escapes; ``Expected token`` if there is none or it is empty (P43)."""
        text = self.text
        found = _ARGUMENT.match(text, self.pos)
        assert found is not None
        self.start, after = found.span(1)
        self.pos = found.end()
        if text[after:after + 1] in ("'", '"', "\\"):
            value, self.pos = self._exact(self.start, _WORD_STOPS, raw=False)
        else:
            value = found[1]
            if "'" in value or '"' in value:
                value = _whole_characters(_QUOTED.sub(_unquoted, value))
        if not value:
            self.fail(EXPECTED_TOKEN, self.pos)
        return value.partition("\0")[0] if "\0" in value else value

    def operand(self) -> Tuple[str, bool]:
        """A word of a condition as ``argument`` gives it, and whether it is a bare ``and`` or ``or`` (P94)."""
        found = _OPERAND.match(self.text, self.pos)
        assert found is not None
        self.start, after = found.span(1)
        self.pos = found.end()
        value = source = found[1]
        if self.text[after:after + 1] in ("'", '"', "\\"):
            source, _ = self._exact(self.start, _OPERAND_STOPS, raw=True)
            value, self.pos = self._exact(self.start, _OPERAND_STOPS, raw=False)
        elif "'" in value or '"' in value:
            value = _whole_characters(_QUOTED.sub(_unquoted, value))
        if not value:
            self.fail(EXPECTED_TOKEN, self.pos)
        if "\0" in value:
            value = value.partition("\0")[0]
        return value, source == "and" or source == "or"

    def command(self) -> str:
        """The rest of the line as it stands, without its comment, and the end of the line (P65)."""
        text = self.text
        if self.at_end_of_line():
            self.fail(EXPECTED_TOKEN, self.pos)
        self.start = start = self.pos
        found = _COMMAND.match(text, start)
        assert found is not None
        end = found.end()
        value = found[0].rstrip(BLANKS)
        # The blank that ends a command may be escaped, and then belongs to it.
        if value.endswith("\\") or text[end:end + 1] in ("'", '"', "\\"):
            value, end = self._exact(start, _COMMAND_STOPS, raw=True)
        rest = _REST_OF_LINE.match(text, end)
        assert rest is not None
        self.pos = rest.end()
        return value.partition("\0")[0] if "\0" in value else value

    def _exact(self, pos: int, stops: str, raw: bool) -> Tuple[str, int]:
        """Read one token by the whole of P46, but for P42.

        Returns what is stored, not yet cut at a NUL, and where the next token begins. ``raw`` keeps quotes and
        escapes, as for words and commands.
        """
        text = self.text
        length = len(text)
        stored = []
        blanks = ""
        line_break = False
        quote = ""
        while pos < length:
            char = text[pos]
            pos += 1
            if char == "\\":
                if pos == length:
                    self.fail_at_end(TRAILING_SLASH)
                escaped = text[pos]
                pos += 1
                if escaped == "\n":
                    line_break = True
                    continue
                piece = "\\" + escaped if raw or (escaped != "\\" and escaped not in BLANKS) else escaped
            elif quote and char == quote:
                quote = ""
                piece = char if raw else ""
            elif quote and char == "\n":
                line_break = True
                continue
            elif not quote and char in "'\"":
                quote = char
                piece = char if raw else ""
            elif not quote and char in stops:
                pos -= 1
                break
            elif char in BLANKS:
                blanks += char
                continue
            else:
                run = _ORDINARY.match(text, pos)
                if run is not None:
                    piece = char + run[0]
                    pos = run.end()
                else:
                    piece = char
            if line_break:
                stored.append(" ")
            elif blanks:
                stored.append(blanks)
            blanks = ""
            line_break = False
            stored.append(piece)
        if quote:
            self.fail_at_end(UNTERMINATED_QUOTE)
        if stops is not _COMMAND_STOPS:
            skipped = _BLANKS_AND_CONTINUATIONS.match(text, pos)
            assert skipped is not None
            pos = skipped.end()
        return _whole_characters("".join(stored)), pos
