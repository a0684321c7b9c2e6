"""What is said about the conditions of jobs, in the log and by --explain."""
from __future__ import annotations

from typing import Tuple

import pytest

from compat.bridges.host.event_sources import EventSources, Host
from compat.bridges.host.explanation import Complaints, JobText, explanation
from compat.bridges.host.loaded_jobs import LoadedJobs
from compat.parser.job_file import parse_job


def job(text: str, name: str = "web") -> JobText:
    definition = parse_job(text.encode())
    return JobText(name, definition.start_on, definition.stop_on)


def sources() -> Tuple[EventSources, LoadedJobs]:
    jobs = LoadedJobs()
    return EventSources(Host(unit_exists=frozenset(("nginx.service", "rsyslog.service")).__contains__), jobs), jobs


def test_b199_only_what_nobody_emits_is_complained_about() -> None:
    text = job("start on runlevel 2 and (local-filesystem or odd A=b)\nstop on stopping nginx or [!12345]")
    assert Complaints().about(text, sources()[0]) == [
        "web: start on local-filesystem: nothing on this host emits this event (did you mean local-filesystems?)",
        "web: start on odd A=b: nothing on this host emits this event",
        "web: stop on [!12345]: nothing on this host emits this event "
        "(the name of an event is no pattern, and an argument stands apart from it)"]


def test_b199_each_complaint_is_made_once() -> None:
    complaints, found = Complaints(), sources()[0]
    assert len(complaints.about(job("start on odd or even"), found)) == 2
    assert complaints.about(job("start on odd or even"), found) == []
    assert complaints.about(job("start on odd or odd"), found) == []
    assert len(complaints.about(job("start on odd or even"), found)) == 1
    assert len(complaints.about(job("start on odd", "other"), found)) == 1


def test_b199_what_became_possible_may_be_complained_about_again() -> None:
    found, jobs = sources()
    complaints = Complaints()
    assert complaints.about(job("start on ready"), found) != []
    jobs.define("helper", ("ready",))
    assert complaints.about(job("start on ready"), found) == []
    jobs.forget("helper")
    assert complaints.about(job("start on ready"), found) != []


def test_b199_every_operand_is_explained() -> None:
    found, jobs = sources()
    jobs.define("db", ("db-ready",))
    lines, status = explanation([
        job("start on started syslog and (started db or db-ready or net-device-up IFACE!=lo)\nstop on starting udev or runlevel [06]"),
        job("start on mounted MOUNTPOINT=/srv or odd", "other")], found)
    assert lines == [
        "web: start on started syslog: systemd rsyslog.service",
        "web: start on started db: job db",
        "web: start on db-ready: emits of db",
        "web: start on net-device-up IFACE!=lo: netlink",
        "web: stop on starting udev: none (there is no job or unit udev)",
        "web: stop on runlevel [06]: boot",
        "other: start on mounted MOUNTPOINT=/srv: mountinfo",
        "other: start on odd: none"]
    assert status == 0


@pytest.mark.parametrize("text, expected", [
    ("start on odd", 1), ("start on odd or filesystem", 0), ("start on odd and filesystem", 1), ("stop on odd", 1), ("", 0),
    ("start on filesystem\nstop on runlevel [06] or odd", 0)])
def test_b199_a_condition_that_can_never_be_met_is_a_failure(text: str, expected: int) -> None:
    assert explanation([job(text)], sources()[0])[1] == expected
