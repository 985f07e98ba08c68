"""Which record of the state holds a bid or a volume, where two name the same one.

An unfinished replacement leaves in the state, hidden from the program, what is still to be deleted. A create of the
same specification finds that by its name and takes it over, or the program adopts it; then the engine comes to delete
it. So every create writes a word of its own into what it records, and a delete ends nothing that another record holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from flow_resources import engine
from flow_resources.providers import session

RECORD = "__record"  # in the state: the word of the create that recorded it


def new_record() -> dict[str, str]:
    """Return the hidden output of a create."""
    return {RECORD: secrets.token_hex(4)}


def record_of(props: Mapping[str, Any]) -> dict[str, str]:
    """Return the hidden output as the state holds it; none in a state of before there was one."""
    return {RECORD: str(props[RECORD])} if props.get(RECORD) else {}


def holds(id_: str, props: Mapping[str, Any]) -> None:
    """Remember that a record of a resource that the program declares holds the id."""
    session.current().held[id_] = record_of(props)


def is_held_by_another(id_: str, props: Mapping[str, Any]) -> bool:
    """Whether another record than the one to be deleted holds the id, and so keeps it from its end."""
    held = session.current().held.get(id_)
    if held is None or held == record_of(props):
        return False
    engine.info(f"{id_} is kept: it has been taken over, and another record of the stack holds it now")
    return True
