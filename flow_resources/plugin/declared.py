"""What the program passes along about a resource in the dynamic host, found out here: a plugin sees no program.

=========================  ============================================================================================
fact                       where a plugin has it from
=========================  ============================================================================================
the owner                  the setting `owner`, else organization/project/stack, by the list of the backend's stacks
the URN                    the engine
what the state records     the stored state, by the ledger, as for a program that could not read it
`ignore_changes`           the engine, for diff and update; in a check it is not known
the time limit             the engine, for create, update and delete; in a check it is not known
that it is a preview       the engine, for create and update; in a check where the provider itself is new
`retain_on_delete`,        a program in Python, which passes them along; else not known: Pulumi tells them neither to a
`deleted_with`,            plugin nor in a state that it has stored before
`replace_with`
=========================  ============================================================================================

The stored state of a stack is that of this operation where it holds the id of this process's provider resource, which
the engine makes up at random and tells (`Configure`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.hidden import (
    DELETED_WITH,
    MARK,
    OWNER,
    REPLACED_WITH,
    RETAINED,
    URN,
    read_identity,
    visible,
)
from flow_resources.lifecycle.operation import Operation

OWNER_NOT_KNOWN = (
    "whose resource this is is not known, because the backend does not tell this stack's whole name: set flow:owner, "
    "or `owner` of the provider, or let `pulumi stack ls` and `pulumi stack export` work where the program runs"
)


def with_facts(op: Operation, urn: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new inputs of a check with the facts that are known.

    With `ignore_changes=["*"]` the engine passes the recorded inputs, which have the mark, and they stay as they are.
    """
    if MARK in news:
        return dict(news)
    owner = owner_of(op, urn, olds)
    options = {name: news[name] for name in (DELETED_WITH, REPLACED_WITH, RETAINED) if name in news}
    return {**visible(news), **options, URN: urn, **({OWNER: owner} if owner else {})}


def owner_of(op: Operation, urn: str, olds: Mapping[str, Any]) -> str | None:
    """Return the owner of a resource, which the backend is asked for only where no state has it; None: not known."""
    owner = op.deployment.config("flow:owner")
    if not owner and read_identity(olds) is None:
        owner = op.ledger.own_stack(urn, op.report)
    return str(owner) if owner else None
