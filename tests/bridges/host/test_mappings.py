"""Events of the administrator's own (B216, B268, B270)."""
from __future__ import annotations

from typing import List

from compat.bridges.host.aliases import Aliases
from compat.bridges.host.fact import Fact, HostEvent, event
from compat.bridges.host.mappings import Mappings
from compat.bridges.host.native_units import NativeUnits, UnitSeen
from compat.bridges.host.wanted import Wanted
from compat.host.configuration import parse_configuration
from compat.parser import parse_job


def mappings(text: str) -> Mappings:
    configuration, warnings = parse_configuration(text)
    assert warnings == []
    return Mappings(configuration.mappings)


def wanted(text: str = "") -> Wanted:
    result = Wanted()
    definition = parse_job(text.encode() + b"\n")
    result.define("job", definition.start_on, definition.stop_on)
    return result


def names(facts: List[Fact]) -> List[str]:
    return [" ".join((each.name, *each.env)) for fact in facts for each in fact.events]


def unit(unit: str, active: str, invocation: str = "i1") -> UnitSeen:
    return UnitSeen(unit, active=active, invocation=invocation)


def test_b270_a_unit_up_and_down() -> None:
    given = mappings("on unit my.mount up emit here UNIT=%u wait\non unit my.mount down emit gone\n")
    asked = wanted()
    given.define(asked)
    model = NativeUnits(asked, Aliases(given.aliases()), {}, True)
    assert model.needed() == {"my.mount"}
    assert given.apply(model.update([unit("my.mount", "inactive", "")], complete=True)) == [Fact("unit:my.mount", "down:")]
    up = given.apply(model.update([unit("my.mount", "active")]))
    assert names(up) == ["here UNIT=my.mount"] and up[-1].events[0].hold
    assert names(given.apply(model.update([unit("my.mount", "inactive")]))) == ["gone"]


def test_b216_b268_what_comes_with_the_host_where_a_job_waits_for_it() -> None:
    given = mappings("")
    asked = wanted("start on power-status-changed or login-session-start")
    given.define(asked)
    model = NativeUnits(asked, Aliases(given.aliases()), {}, True)
    assert model.needed() == {"sigpwr.target", "display-manager.service"}
    model.update([unit("sigpwr.target", "inactive", ""), unit("display-manager.service", "inactive", "")], complete=True)
    assert names(given.apply(model.update([unit("sigpwr.target", "active")]))) == ["power-status-changed"]
    given.define(asked)
    asked.forget("job")
    given.define(asked)
    model.reconsider()
    assert model.needed() == frozenset()


def test_b270_mount_link_and_boot() -> None:
    given = mappings("on mount /srv emit data PLACE=%m\non link eth0 up emit net IFACE=%i\non link eth0 down emit no-net\n"
                     "on boot filesystem emit disks\n")
    asked = wanted()
    given.define(asked)
    assert asked.could_match("mounted", ("MOUNTPOINT=/srv",)) and asked.could_match("net-device-up", ("IFACE=eth0",))
    assert not asked.could_match("mounted", ("MOUNTPOINT=/mnt",))

    def told(object: str, name: str, *env: str) -> List[str]:
        return names(given.apply([Fact(object, "p", (event(name, *env),))]))

    assert told("mount:/srv", "mounted", "DEVICE=d", "MOUNTPOINT=/srv") == ["mounted DEVICE=d MOUNTPOINT=/srv", "data PLACE=/srv"]
    assert told("mount:/x", "mounted", "MOUNTPOINT=/x") == ["mounted MOUNTPOINT=/x"]
    assert told("boot:filesystem", "filesystem") == ["filesystem", "disks"]
    assert told("a:1", "net-device-up", "IFACE=eth0", "ADDRFAM=inet")[1:] == ["net IFACE=eth0"]
    assert told("a:2", "net-device-up", "IFACE=eth0", "ADDRFAM=inet6")[1:] == []
    assert told("a:1", "net-device-down", "IFACE=eth0", "ADDRFAM=inet")[1:] == []
    assert told("a:2", "net-device-down", "IFACE=eth0", "ADDRFAM=inet6")[1:] == ["no-net"]
    assert told("a:3", "net-device-up", "IFACE=eth1", "ADDRFAM=inet")[1:] == []


def test_b270_without_lines_nothing_changes() -> None:
    given = mappings("")
    given.define(wanted())
    facts = [Fact("boot:startup", "done", (HostEvent("startup"),))]
    assert given.apply(facts) == facts
    assert given.events() == ()
