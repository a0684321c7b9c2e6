"""Who may call what (C33-C37).

The bus and libdbus's authentication keep strangers out: of the private socket everybody but root
and the daemon's own user, of the bus name what the policy file says. The check here is a second
fence, for a policy that lets everybody in. It covers Start, Stop, Restart and Reload too (C36
BEYOND).

A caller on the private socket is known from its socket. One on a bus is asked for there, without
waiting: the call and every later one of the same sender are put aside until the bus has answered.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ..engine.view import Refused
from .calls import Call
from .services import DaemonServices
from .wire import BUS_INTERFACE, BUS_NAME, BUS_PATH, MethodCall, MethodReturn

#: What ``Callers.uid`` gives for somebody who cannot be identified.
NOBODY = -1
_CACHE_SIZE = 512


class Permissions:
    """The check of C35. ``needed`` is False where everybody who gets through may do everything."""

    def __init__(self, services: DaemonServices) -> None:
        self._uid = services.uid
        self.needed = not (services.user_mode or (services.uid != 0 and not services.pid1))

    def check(self, call: Call, denial: str) -> None:
        """Raise Refused with the text ``denial`` unless the caller has the daemon's uid."""
        if self.needed and call.uid != self._uid:
            raise Refused("PermissionDenied", denial)


class Callers:
    """The uids of the callers on one bus connection.

    A unique name belongs to one peer for the life of the bus, so an answer holds for ever; the
    oldest are forgotten to keep the table small.
    """

    def __init__(self, connection: Any, again: Callable[[Any, int], None]) -> None:
        """``again(message, uid)`` serves a call that was put aside."""
        self._connection = connection
        self._again = again
        self._uids: Dict[str, int] = {}
        self._aside: Dict[str, List[Any]] = {}

    def must_wait(self, sender: Optional[str], message: Any) -> bool:
        """Put the message aside if an earlier one of its sender is; a sender's calls keep their order."""
        waiting = self._aside.get(sender or "")
        if waiting is None:
            return False
        waiting.append(message)
        return True

    def uid(self, sender: Optional[str]) -> Optional[int]:
        """The sender's uid if it is known."""
        return NOBODY if sender is None else self._uids.get(sender)

    def ask(self, sender: str, message: Any) -> None:
        """Ask the bus, and put the message aside until it answers."""
        self._aside[sender] = [message]
        question = MethodCall(destination=BUS_NAME, path=BUS_PATH, interface=BUS_INTERFACE, method="GetConnectionUnixUser")
        question.append(sender, signature="s")
        self._connection.send_message_with_reply(question, lambda reply: self._answered(sender, reply))

    def _answered(self, sender: str, reply: Any) -> None:
        uid = NOBODY
        if isinstance(reply, MethodReturn) and reply.get_signature() == "u":
            uid = int(reply.get_args_list()[0])
            self._uids[sender] = uid
            if len(self._uids) > _CACHE_SIZE:
                del self._uids[next(iter(self._uids))]
        for message in self._aside.pop(sender, ()):
            self._again(message, uid)
