"""Names of units (X251)."""
from __future__ import annotations

import os
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.backends.unit_names import base_name, escape, is_in_unit, is_of_the_program

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)


@pytest.mark.parametrize("text, escaped", [
    ("web", "web"), ("hadoop-yarn", r"hadoop\x2dyarn"), ("a/b", r"a\x2fb"), (".hidden", r"\x2ehidden"), ("a.b:c_d", "a.b:c_d"),
    ("é", r"\xc3\xa9"), (" @\\", r"\x20\x40\x5c"), ("", ""), ("\udcff", r"\xff")])
def test_x251_escaping_is_that_of_systemd(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_x251_names_have_two_or_three_parts() -> None:
    assert base_name("web", "", "main") == "upstart-web-main"
    assert base_name("web", "1", "pre-start") == r"upstart-web-1-pre\x2dstart"
    assert base_name("a-b", "c", "main") != base_name("a", "b-c", "main")


@given(_TEXT, st.text(max_size=60), st.sampled_from(["main", "pre-start"]))
def test_x251_every_name_is_one_that_systemd_takes(job: str, instance: str, process: str) -> None:
    name = base_name(job, instance.encode("utf-8", "replace").decode(), process)
    assert re.fullmatch(r"[A-Za-z0-9:_.\\-]+", name) and len(name + "-999.service") <= 255


@given(st.tuples(_TEXT, _TEXT), st.tuples(_TEXT, _TEXT))
def test_x251_names_of_different_jobs_differ(one: "tuple[str, str]", other: "tuple[str, str]") -> None:
    assert (base_name(*one, "main") == base_name(*other, "main")) == (one == other)


@given(st.integers(150, 400), st.sampled_from(["a", "-", "é", "/x"]))
def test_x251_a_long_name_keeps_its_head_and_whole_escapes(length: int, text: str) -> None:
    name = base_name("job", text * length, "main")
    assert len(name) <= 220 and name.startswith("upstart-job-" + escape(text))
    assert re.fullmatch(r"(?:[A-Za-z0-9:_.-]|\\x[0-9a-f]{2})+", name), name
    assert name != base_name("job", text * (length + 1), "main")


def test_escape_is_the_identity_on_plain_names() -> None:
    plain = string.ascii_letters + string.digits + ":_."
    assert escape(plain) == plain


def test_x80_who_is_in_a_unit() -> None:

    with open("/proc/self/cgroup", encoding="utf-8") as file:
        parts = [part for line in file for part in line.rstrip("\n").split("/")[1:] if part]
    assert not is_in_unit(os.getpid(), "upstart-nothing-main.service") and not is_in_unit(0, "x")
    assert all(is_in_unit(os.getpid(), part) for part in parts)


@pytest.mark.parametrize("unit", ["upstart-compat.service", "upstart-host-bridge.service", "upstart-shutdown.service",
                                  "upstart-before@ssh.service.service", "upstart-after@getty@tty1.service.service"])
def test_b232_x251_the_program_s_own_units_are_no_strays(unit: str) -> None:
    assert is_of_the_program(unit)


@given(st.text(min_size=1), st.text(), st.sampled_from(("main", "pre-start", "post-stop")))
def test_b232_x251_no_unit_of_a_job_is_taken_for_one_of_the_program(job: str, instance: str, process: str) -> None:
    assert not is_of_the_program(base_name(job, instance, process) + ".service")
