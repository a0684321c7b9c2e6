"""A service manager's socket: keeps what it is told, and the descriptors that it is given, as systemd's store does."""
from __future__ import annotations

import array
import os
import pathlib
import socket
from typing import Dict, List, Tuple


class ServiceManager:
    """``messages`` are the variables of each, oldest first; ``store`` descriptors by name."""

    def __init__(self, path: pathlib.Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        path.chmod(0o777)
        self.messages: List[Dict[str, str]] = []
        self.store: Dict[str, List[int]] = {}

    def read(self) -> List[Dict[str, str]]:
        """Take in what has come; all messages so far."""
        while True:
            descriptors = array.array("i")
            try:
                data, ancillary, _, _ = self._socket.recvmsg(4096, socket.CMSG_SPACE(64))
            except BlockingIOError:
                return self.messages
            for _, _, part in ancillary:
                descriptors.frombytes(part)
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.messages.append(message)
            if "FDSTORE" in message:
                self.store.setdefault(message["FDNAME"], []).extend(descriptors)
            if "FDSTOREREMOVE" in message:
                for descriptor in self.store.pop(message["FDNAME"], []):
                    os.close(descriptor)

    def states(self) -> List[str]:
        """READY, RELOADING, STOPPING, in the order in which they came."""
        return [key for message in self.read() for key in message if key in ("READY", "RELOADING", "STOPPING")]

    def passed(self) -> Tuple[List[str], List[int]]:
        """Names and copies of all descriptors in the store, for the next start."""
        self.read()
        pairs = [(name, descriptor) for name, descriptors in self.store.items() for descriptor in descriptors]
        return [name for name, _ in pairs], [descriptor for _, descriptor in pairs]

    def close(self) -> None:
        self._socket.close()
        for descriptors in self.store.values():
            for descriptor in descriptors:
                os.close(descriptor)
