"""host.conf (B238, B270, B271)."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.host.configuration import HostConfiguration, Mapping, parse_configuration
from tests.daemon.running import ROOT


def test_b271_every_kind_of_line() -> None:
    text = """
# a comment
alias web nginx.service apache2.service
mask foo bar
unmask bar rc
on unit display-manager.service up emit login-prompt-visible
on mount /srv/data emit data-here PLACE=%m X=100%%u wait
on link eth0 down emit lost IFACE=%i
on boot filesystem emit disks-here
runlevel=3
profile=rhel
shutdown-limit=60
emit-control-alt-delete=yes
"""
    configuration, warnings = parse_configuration(text, "/c")
    assert warnings == []
    assert configuration == HostConfiguration(
        path="/c", aliases=(("web", ("nginx.service", "apache2.service")),), mask=frozenset(("foo",)), unmask=frozenset(("bar", "rc")),
        runlevel="3", profile="rhel", shutdown_limit=60, mappings=(
            Mapping(("unit", "display-manager.service", "up"), "login-prompt-visible"),
            Mapping(("mount", "/srv/data"), "data-here", ("PLACE=%m", "X=100%%u"), True),
            Mapping(("link", "eth0", "down"), "lost", ("IFACE=%i",)),
            Mapping(("boot", "filesystem"), "disks-here"),
            Mapping(("unit", "ctrl-alt-del.target", "up"), "control-alt-delete")))
    assert parse_configuration("emit-control-alt-delete=no\n") == (HostConfiguration(), [])


def test_b270_placeholders() -> None:
    mapping = Mapping(("mount", "/m"), "e", ("A=%m", "B=%u-%i", "C=100%%u", "D=x"))
    assert mapping.values(mount="/m%u", unit="u", interface="i") == ("A=/m%u", "B=u-i", "C=100%u", "D=x")


@pytest.mark.parametrize(("line", "text"), [
    ("alias web", "alias needs a name and a unit"),
    ("mask", "mask needs a name"),
    ("frobnicate x", "unknown word: frobnicate"),
    ("colour=red", "unknown setting: colour"),
    ("runlevel=9", "illegal value for runlevel: 9"),
    ("runlevel=", "illegal value for runlevel: "),
    ("profile=suse", "illegal value for profile: suse"),
    ("shutdown-limit=-1", "illegal value for shutdown-limit: -1"),
    ("emit-control-alt-delete=perhaps", "illegal value for emit-control-alt-delete: perhaps"),
    ("shutdown-limit=0", "illegal value for shutdown-limit: 0"),
    ("on unit x.service up", "on needs emit"),
    ("on unit x.service sideways emit e", "unknown source: unit x.service sideways"),
    ("on emit e", "unknown source: "),
    ("on boot filesystem emit", "emit needs an event"),
    ("on boot filesystem emit e X", "not KEY=VALUE: X"),
    ("on boot filesystem emit e X-Y=1", "not KEY=VALUE: X-Y=1"),
])
def test_b271_a_bad_line_is_named_and_the_rest_is_used(line: str, text: str) -> None:
    configuration, warnings = parse_configuration(f"# one\n{line}\nrunlevel=4\n", "/c")
    assert warnings == [f"/c:2: {text}"]
    assert configuration.runlevel == "4"


@given(st.text(alphabet="aliasmkonu=%/ \n#23", max_size=80))
def test_b271_any_text_is_read(text: str) -> None:
    configuration, warnings = parse_configuration(text)
    assert configuration.path and all(": " in warning for warning in warnings)


def test_b271_the_example_of_the_documentation() -> None:
    text = (ROOT / "docs" / "host.md").read_text().partition("## /etc/upstart-compat/host.conf")[2].partition("## Units")[0]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    configuration, warnings = parse_configuration("\n".join(lines))
    assert warnings == [] and len(lines) == 11
    assert configuration.unmask == {"tty1"} and configuration.aliases == (("database", ("mariadb.service",)),)
    assert [mapping.wait for mapping in configuration.mappings] == [False, True, False]
