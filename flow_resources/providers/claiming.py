"""What already stands where something new should: ours to take over, ours to clear away, or a stranger's.

A create that was cut off (a lost answer, a killed plugin, a killed engine) leaves something that no state records; the
mark in its name says whose it is. The rules, for bids and volumes alike:

* what a state records is never taken: neither the thing that a replacement is about to delete (`recorded`) ...
* a leftover of ours with the same specification is taken over, the oldest of several;
* any other leftover of ours is cleared away before something new is made;
* the next name has the next generation: a name is never used twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from flow_resources.core.naming import Mark, compose, take_apart
from flow_resources.providers import session
from flow_resources.providers.base import NOT_KNOWN, Named

T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Claim(Generic[T]):
    """What a create finds before it makes anything."""

    take: T | None
    """A leftover with the same specification."""
    clear: tuple[T, ...]
    """Leftovers to clear away first."""
    generation: int
    """The generation of the next name."""


def claim(live: Iterable[T], mark: Mark, spec: str) -> Claim[T]:
    """Judge the live things of a project for one resource."""
    ours = [(parts, one) for one in live if (parts := take_apart(one.name)) and parts.mark == mark]
    generation = 1 + max((parts.generation for parts, _ in ours if parts.spec == spec), default=0)
    recorded = session.current().recorded.get(str(mark))
    if recorded == NOT_KNOWN:
        return Claim(None, (), generation)  # taking over what may be about to be deleted would be worse than a surplus
    left = sorted(
        ((p, one) for p, one in ours if one.id != recorded), key=lambda pair: (pair[1].created_at, pair[1].id)
    )
    same = [one for parts, one in left if parts.spec == spec]
    take = same[0] if same else None
    return Claim(take, tuple(one for _, one in left if one is not take), generation)


def next_name(prefix: str, mark: Mark, spec: str, generation: int, used: Iterable[str]) -> str:
    """Return the first name from a generation on that is not used."""
    taken = set(used)
    while (name := compose(prefix, mark, spec, generation)) in taken:
        generation += 1
    return name
