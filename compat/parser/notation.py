"""The two ways in which conditions leave the program: reverse Polish on D-Bus (P112), infix in show-config (P113).

Nothing here recurses; a condition may be as deep as the parser lets it.
"""
from __future__ import annotations

from typing import List, Optional, Sequence, Union

from .definition import And, Condition, Match, Or

AND, OR = "/AND", "/OR"


def to_postfix(condition: Optional[Condition]) -> List[List[str]]:
    """Operands as ``[EVENT, ARG, …]`` before their operator, ``["/AND"]`` or ``["/OR"]``; ``[]`` for None."""
    out: List[List[str]] = []
    stack: List[Union[Condition, str]] = [condition] if condition is not None else []
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            out.append([node])
        elif isinstance(node, Match):
            out.append([node.event, *node.args])
        else:
            stack += (AND if isinstance(node, And) else OR, node.right, node.left)
    return out


def from_postfix(nodes: Sequence[Sequence[str]]) -> Optional[Condition]:
    """The condition that ``to_postfix`` wrote, None for no nodes; ValueError if they are not one condition."""
    stack: List[Condition] = []
    for node in nodes:
        if not node:
            raise ValueError("a node without an event")
        if node[0] in (AND, OR):
            if len(node) != 1 or len(stack) < 2:
                raise ValueError(f"{node[0]} does not stand after two operands")
            right = stack.pop()
            stack.append((And if node[0] == AND else Or)(stack.pop(), right))
        else:
            stack.append(Match(node[0], tuple(node[1:])))
    if len(stack) > 1:
        raise ValueError("operands without an operator")
    return stack[0] if stack else None


def to_infix(nodes: Sequence[Sequence[str]]) -> str:
    """The text that ``initctl show-config`` prints of postfix nodes: unquoted, each operator in parentheses (P113).

    ValueError if the nodes are not one condition.
    """
    condition = from_postfix(nodes)
    out: List[str] = []
    stack: List[Union[Condition, str]] = [condition] if condition is not None else []
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            out.append(node)
        elif isinstance(node, Match):
            out.append(" ".join((node.event, *node.args)))
        else:
            stack += (")", node.right, " and " if isinstance(node, And) else " or ", node.left, "(")
    return "".join(out)
