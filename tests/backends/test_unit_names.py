"""Names of units: those of jobs, and those of the program itself (X251, B232)."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.backends.unit_names import base_name, is_of_the_program


@pytest.mark.parametrize("unit", ["upstart-compat.service", "upstart-host-bridge.service", "upstart-shutdown.service",
                                  "upstart-before@ssh.service.service", "upstart-after@getty@tty1.service.service"])
def test_b232_x251_the_program_s_own_units_are_no_strays(unit: str) -> None:
    assert is_of_the_program(unit)


@given(st.text(min_size=1), st.text(), st.sampled_from(("main", "pre-start", "post-stop")))
def test_b232_x251_no_unit_of_a_job_is_taken_for_one_of_the_program(job: str, instance: str, process: str) -> None:
    assert not is_of_the_program(base_name(job, instance, process) + ".service")
