"""The kernel's sources, each opened when some condition needs it and closed when none does any more (B196).

Mounts and swaps, links and addresses, devices. What a source cannot get from this kernel or container is said once, and the others
go on.
"""
from __future__ import annotations

import os
from typing import Callable, Optional, Sequence

from ...loop import MainLoop
from .device_source import DeviceSource
from .devices import Devices
from .fact import Fact, Known
from .mount_source import MountSource
from .mounts import Mounts
from .network import Network
from .network_source import NetworkSource, device_path
from .wanted import Wanted

Tell = Callable[[Sequence[Fact]], None]
#: There while udev runs.
_UDEV = "/run/udev/control"


class HostSources:
    """``known`` is the daemon's table at the beginning of the session; ``booting``: the first pass of a boot.

    ``network_heard`` is called when the kernel has told something of links or addresses.
    """

    def __init__(self, wanted: Wanted, known: Known, booting: bool, loop: MainLoop, tell: Tell, log: Callable[[str], None],
                 network_heard: Callable[[], None] = lambda: None) -> None:
        self._wanted = wanted
        self._known = known
        self._booting = booting
        self._loop = loop
        self._tell = tell
        self._log = log
        self._udev = os.path.exists(_UDEV)
        self._mounts: Optional[Mounts] = None
        self._mount_source: Optional[MountSource] = None
        self._network: Optional[NetworkSource] = None
        self._network_model: Optional[Network] = None
        self._network_heard = network_heard
        self._network_needed = False
        self._devices: Optional[DeviceSource] = None

    @property
    def mounts(self) -> Optional[Mounts]:
        """The mounts, while they are watched."""
        return self._mounts

    def open_mounts(self) -> None:
        """Watch mounts if somebody wants to know, and tell those that are there."""
        if self._mount_source is None and Mounts.asked_for(self._wanted):
            mounts = Mounts(self._wanted, self._known, self._booting)
            try:
                self._mount_source = MountSource(mounts, self._loop, self._tell)
                self._mounts = mounts
            except OSError as error:
                self._log(f"Mounts cannot be watched: {error.strerror}")

    def need_network(self, needed: bool) -> None:
        """Watch it also if no condition asks for more than whether it is up; or do not any more."""
        self._network_needed = needed
        if not self._network_asked_for():
            self._close_network()

    def network_is_up(self) -> bool:
        """As far as it is watched (B244)."""
        return self._network_model is not None and self._network_model.is_up()

    def open_network(self, told: Callable[[], None] = lambda: None) -> None:
        """Watch links and addresses if somebody wants to know; ``told`` is called when those that are there have been told."""
        if self._network is None and self._network_asked_for():
            network = Network(self._wanted, self._known, self._booting, self._udev, device_path)
            try:
                self._network = NetworkSource(network, self._loop, self._tell, told)
                self._network_model = network
                self._loop.add_reader(self._network.fileno(), self._hear_network)
                return
            except OSError as error:
                self._log(f"The network cannot be watched: {error.strerror}")
        told()

    def open_devices(self) -> None:
        """Watch devices if somebody wants to know, and tell those that are there; after the network.

        With udev the network needs it too: an interface counts when udev is done with it (B256).
        """
        if self._devices is None and self._devices_asked_for():
            devices = Devices(self._wanted, self._known, self._booting, self._udev)
            try:
                self._devices = DeviceSource(devices, self._udev, self._tell, self._settled)
                self._loop.add_reader(self._devices.fileno(), self._devices.dispatch)
            except OSError as error:
                self._log(f"Devices cannot be watched: {error.strerror}")

    def catch_up(self) -> None:
        """Tell at once what the kernel has by now; what follows from it may be told next (B269)."""
        if self._mount_source is not None:
            self._mount_source.dispatch()
        if self._network is not None:
            self._network.dispatch()
        if self._devices is not None:
            self._devices.dispatch()

    def reconsider(self) -> None:
        """Conditions came or went."""
        # What is only watched from now on was not watched before, whatever the table has of earlier times.
        self._booting, self._known = False, {}
        if self._mounts is not None and self._mount_source is not None:
            if Mounts.asked_for(self._wanted):
                self._tell(self._mounts.reconsider())
            else:
                self._tell(self._mounts.stop())
                self._mount_source.close()
                self._mounts = self._mount_source = None
        else:
            self.open_mounts()
        if self._network is not None:
            self._network.reconsider()
            if not self._network_asked_for():
                self._close_network()
        else:
            self.open_network()
        if self._devices is not None:
            self._devices.reconsider()
            if not self._devices_asked_for():
                self._close_devices()
        else:
            self.open_devices()

    def close(self) -> None:
        """Watch nothing any more."""
        if self._mount_source is not None:
            self._mount_source.close()
            self._mounts = self._mount_source = None
        self._close_network()
        self._close_devices()

    def _hear_network(self) -> None:
        if self._network is not None:
            self._network.dispatch()
            self._network_heard()

    def _network_asked_for(self) -> bool:
        return self._network_needed or Network.asked_for(self._wanted, self._udev)

    def _devices_asked_for(self) -> bool:
        return Devices.asked_for(self._wanted, self._udev) or (self._udev and Network.asked_for(self._wanted, self._udev))

    def _settled(self, index: int) -> None:
        if self._network is not None:
            self._network.settled(index)

    def _close_devices(self) -> None:
        if self._devices is not None:
            self._loop.remove_reader(self._devices.fileno())
            self._devices.close()
            self._devices = None

    def _close_network(self) -> None:
        if self._network is not None:
            self._loop.remove_reader(self._network.fileno())
            self._network.close()
            self._network = self._network_model = None
