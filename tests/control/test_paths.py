from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.control.paths import escape, instance_path, job_path, unescape

NAMES = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("name, element", [
    ("", "_"), ("_", "_5f"), ("foo-bar.baz", "foo_2dbar_2ebaz"), ("net/ifup", "net_2fifup"), ("eth0:1", "eth0_3a1"), ("a b", "a_20b"),
])
def test_c18_escape(name: str, element: str) -> None:
    assert escape(name) == element
    assert unescape(element) == name


def test_c19_bytes_above_0x7f_keep_their_code() -> None:
    assert escape("café") == "caf_c3_a9"
    assert escape("é1") == "_c3_a91"
    assert escape("\udcff") == "_ff"
    assert unescape("_ff") == "\udcff"


def test_c17_paths() -> None:
    assert job_path("net/ifup") == "/com/ubuntu/Upstart/jobs/net_2fifup"
    assert instance_path("a", "") == "/com/ubuntu/Upstart/jobs/a/_"


@given(NAMES)
def test_c18_escape_can_be_undone(name: str) -> None:
    assert unescape(escape(name)) == name


@given(st.text("_0123456789abcdefABCXYZ./-", max_size=8))
def test_c20_only_what_escape_makes_names_something(element: str) -> None:
    name = unescape(element)
    assert name is None or escape(name) == element


@pytest.mark.parametrize("element", ["_41", "_5F", "_2", "a_", "__", "a/b", "é", "_2D"])
def test_c20_other_elements_name_nothing(element: str) -> None:
    assert unescape(element) is None
