"""Strongly connected components: which nodes of a graph are on a cycle together.

Source: Tarjan 1972, "Depth-first search and linear graph algorithms", without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush


def components(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Strongly connected components in topological order, each sorted by name.

    Sources come before what they feed; where the edges leave a choice, the component whose first name sorts first
    comes first, so that the order of the arguments does not show.  A node without a cycle is a component of one
    (see the edges for one that feeds itself).  Edges to or from unknown nodes count for nothing.
    """
    names = sorted(set(nodes))
    known = set(names)
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in sorted(set(edges)):
        if source in known and target in known:
            after[source].append(target)
    return _sorted_topologically(_tarjan(names, after), after)


def unfed_cycles(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The cycles, as components in topological order, into which no edge leads from outside."""
    edges = list(edges)
    groups = components(nodes, edges)
    home = {name: index for index, members in enumerate(groups) for name in members}
    entered = {home[target] for source, target in edges if home[source] != home[target]}
    cyclic = {home[source] for source, target in edges if home[source] == home[target]}
    return [groups[index] for index in sorted(cyclic - entered)]


def _tarjan(names: list[str], after: dict[str, list[str]]) -> list[list[str]]:
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    waiting: set[str] = set()
    found: list[list[str]] = []
    for root in names:
        if root in number:
            continue
        path = [(root, iter(after[root]))]
        number[root] = low[root] = len(number)
        stack.append(root)
        waiting.add(root)
        while path:
            name, following = path[-1]
            for target in following:
                if target not in number:
                    number[target] = low[target] = len(number)
                    stack.append(target)
                    waiting.add(target)
                    path.append((target, iter(after[target])))
                    break
                if target in waiting:
                    low[name] = min(low[name], number[target])
            else:
                path.pop()
                if path:
                    parent = path[-1][0]
                    low[parent] = min(low[parent], low[name])
                if low[name] == number[name]:
                    members: list[str] = []
                    while not members or members[-1] != name:
                        members.append(stack.pop())
                    waiting.difference_update(members)
                    found.append(sorted(members))
    return found


def _sorted_topologically(found: list[list[str]], after: dict[str, list[str]]) -> list[list[str]]:
    member_of = {name: index for index, members in enumerate(found) for name in members}
    feeds: list[set[int]] = [set() for _ in found]
    unfed = [0] * len(found)
    for source, targets in after.items():
        for target in targets:
            here, there = member_of[source], member_of[target]
            if here != there and there not in feeds[here]:
                feeds[here].add(there)
                unfed[there] += 1
    ready = [(members[0], index) for index, members in enumerate(found) if not unfed[index]]
    heapify(ready)
    ordered = []
    while ready:
        _, index = heappop(ready)
        ordered.append(found[index])
        for following in feeds[index]:
            unfed[following] -= 1
            if not unfed[following]:
                heappush(ready, (found[following][0], following))
    return ordered
