"""The token rule of P46 read literally, byte for byte, to check the real tokeniser against."""
from __future__ import annotations

from typing import Optional, Tuple

BLANKS = b" \t\r\0"
STOPS = {"argument": BLANKS + b"\n#", "operand": BLANKS + b"\n#()", "command": b"\n#\0"}


def read_token(data: bytes, kind: str) -> Tuple[Optional[bytes], int]:
    """What is stored of the token at the start of ``data``, and where it ends; None for one that the file ends in."""
    raw = kind == "command"
    out = bytearray()
    blanks = bytearray()
    newline = escaped = False
    quote = 0

    def flush() -> None:
        nonlocal newline
        out.extend(b" " if newline else blanks)
        blanks.clear()
        newline = False

    position = 0
    while position < len(data):
        byte = data[position]
        if escaped:
            escaped = False
            if byte == ord("\n"):
                newline = True
            else:
                flush()
                if raw or (byte != ord("\\") and byte not in BLANKS):
                    out.append(ord("\\"))
                out.append(byte)
        elif byte == ord("\\"):
            escaped = True
        elif quote:
            if byte == quote:
                quote = 0
                flush()
                if raw:
                    out.append(byte)
            elif byte == ord("\n"):
                newline = True
            elif byte in BLANKS:
                blanks.append(byte)
            else:
                flush()
                out.append(byte)
        elif byte in b"'\"":
            quote = byte
            flush()
            if raw:
                out.append(byte)
        elif byte in STOPS[kind]:
            break
        elif byte in BLANKS:
            blanks.append(byte)
        else:
            flush()
            out.append(byte)
        position += 1
    if escaped or quote:
        return None, position
    return bytes(out), position
