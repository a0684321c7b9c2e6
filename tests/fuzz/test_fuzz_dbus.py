from __future__ import annotations

from tests.fuzz.fuzz_dbus import Target, fuzz


def test_every_call_gets_one_reply_and_the_service_lives() -> None:
    target = Target()
    fuzz(target, 150)
    target.close()
