"""Throws damaged job files at the parser.

``python -m tests.fuzz.fuzz_parser [SECONDS [FILE…]]`` from the top of the checkout (default: 60 seconds). The files, or
a few built-in ones, are what the damage is done to. If atheris is installed it steers by coverage; otherwise bytes are
changed, cut, doubled and exchanged with those of other files at random, from a new seed that is printed at the start.

Whatever comes: the parser raises nothing but ParseError, an error stands on a line that exists, the same bytes
give the same definition, a definition survives pickling, its conditions survive being written and read, the definition
that an override is read over stays as it was, and no input takes longer than a second and another for each 200 bytes.
"""
from __future__ import annotations

import pickle
import random
import sys
import time
from typing import List, Optional, Sequence

from compat.parser import JobDefinition, ParseError, parse_job
from compat.parser.notation import from_postfix, to_postfix

SEEDS: List[bytes] = [
    b"# a comment\ndescription    \"spaces  and \\\"quotes\\\"\"   # trailing\nauthor 'someone'\nstart on ( a\n  or b\n  and c X=1 )\n"
    b"stop on x or \\\n   y\nenv  A=\"two words\"\nnormal   exit 0 1   TERM\nscript\n\t# inner\n    echo \"end script?\"\nend   script\n",
    b"start on (started dbus and (runlevel [2345] or tty-device-added K!=\"a b\"))\nstop on runlevel [!2345]\nrespawn\nrespawn limit 10 5\n"
    b"expect fork\nkill timeout 30\nkill signal SIGINT\nreload signal 1\nconsole output\numask 027\nnice -5\noom score never\n"
    b"limit nofile 1024 unlimited\nexec /usr/sbin/x --a 'b c' \\\n  --d # e\n",
    b"instance $TTY\nusage \"TTY=tty1\"\nexport A B\nemits a b*\nchroot /r\nchdir /d\nsetuid u\nsetgid g\napparmor load /p\n"
    b"apparmor switch s\ncgroup cpu shares 10\ncgroup memory n k v\npre-start script\n  a\n\n  b\nend script\n"
    b"post-stop exec x\\ y\ndebug manual task\n",
    b"task\r\nscript\r\n  a\r\nend script\r\nexec a \\\r\n b\0c\r\ndescription caf\xc3\xa9\xff\r\n",
]
MARKS = [b"\n", b"\\\n", b"\\", b"'", b'"', b"#", b"(", b")", b"\0", b"\r", b" ", b"\t",
         b"end script\n", b"script\n", b" and ", b" or ", b"="]

_BASE = parse_job(SEEDS[1])
_BASE_AS_IT_WAS = pickle.dumps(_BASE)


def _parse(data: bytes, base: Optional[JobDefinition]) -> Optional[JobDefinition]:
    try:
        return parse_job(data, base)
    except ParseError as error:
        if error.line is not None and not 1 <= error.line <= data.count(b"\n") + 1:
            raise AssertionError(f"line {error.line} of {data!r}") from error
        return None


def check(data: bytes) -> None:
    """Everything that the module's docstring promises of these bytes; raises if it does not hold."""
    began = time.perf_counter()
    for base in (None, _BASE):
        definition = _parse(data, base)
        if definition is not None:
            assert pickle.loads(pickle.dumps(definition)) == definition == parse_job(data, base)
            for condition in (definition.start_on, definition.stop_on):
                assert from_postfix(to_postfix(condition)) == condition
    assert pickle.dumps(_BASE) == _BASE_AS_IT_WAS
    assert time.perf_counter() - began < 1 + len(data) / 200, "too slow"


def damaged(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The bytes with one to eight things changed."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        start = chance.randint(0, len(out))
        end = min(len(out), start + chance.choice((0, 1, 1, 2, 8, 40)))
        kind = chance.randrange(5)
        if kind == 0:
            out[start:end] = b""
        elif kind == 1:
            out[start:end] = chance.choice(MARKS)
        elif kind == 2:
            out[start:end] = bytes(chance.randrange(256) for _ in range(end - start))
        elif kind == 3:
            out[start:start] = out[start:end] * chance.randint(1, 4)
        else:
            other = chance.choice(others)
            place = chance.randint(0, len(other))
            out[start:end] = other[place:place + chance.choice((1, 8, 60))]
    return bytes(out)


def fuzz(seconds: float, files: Sequence[bytes], chance: random.Random, most: Optional[int] = None) -> int:
    """Damage and check until the time or the number ``most`` is up; returns how many inputs were checked."""
    deadline = time.monotonic() + seconds
    checked = 0
    while time.monotonic() < deadline and (most is None or checked < most):
        data = chance.choice(files)
        for _ in range(chance.randint(1, 4)):
            data = damaged(data, files, chance)
        try:
            check(data)
        except BaseException:
            print(f"failed on {data!r}", file=sys.stderr)
            raise
        checked += 1
    return checked


def main(arguments: List[str]) -> None:
    seconds = float(arguments[0]) if arguments else 60.0
    files = []
    for path in arguments[1:]:
        with open(path, "rb") as file:
            files.append(file.read())
    try:
        import atheris
    except ImportError:
        seed = random.SystemRandom().randrange(2**32)
        print(f"seed {seed}", flush=True)
        print(f"{fuzz(seconds, files or SEEDS, random.Random(seed))} inputs, nothing found")
    else:
        for data in files or SEEDS:
            check(data)
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}"], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
