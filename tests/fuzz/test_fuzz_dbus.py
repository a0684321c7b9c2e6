"""Arbitrary calls at the D-Bus service, some of them in every run."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import pytest

from tests.control.client import MANAGER, U
from tests.fuzz.fuzz_dbus import Target, Thrown, fuzz


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


def test_every_call_gets_one_reply_and_the_service_lives(target: Target) -> None:
    fuzz(target, 150)


@pytest.mark.parametrize("interface", [None, U])
@pytest.mark.parametrize("no_reply", [False, True])
def test_c48_a_call_that_re_executes_gets_none(target: Target, interface: Optional[str], no_reply: bool) -> None:
    target.throw(Thrown(MANAGER, interface, "Restart", "", (), no_reply))
    target.throw(Thrown(MANAGER, interface, "GetAllJobs", "", (), False))
