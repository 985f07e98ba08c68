"""What the program passes along about a resource in the dynamic host, found out here: a plugin sees no program.

=========================  ============================================================================================
fact                       where a plugin has it from
=========================  ============================================================================================
the owner                  the setting `owner`, else organization/project/stack, by the list of the backend's stacks
the URN                    the engine
what the state records     the stored state, as a program reads it, where a check depends on it
`ignore_changes`           the engine, for diff and update; in a check by what stands beside what it excludes
the time limit             the engine, for create, update and delete; in a check it is not known
that it is a preview       the engine, for create and update; in a check where the provider itself is new
`retain_on_delete`,        a program in Python passes them along; else they are not known: Pulumi tells a plugin of none
`deleted_with`,            of them
`replace_with`
=========================  ============================================================================================

The stored state of a stack is that of this operation where it holds the id of this process's provider resource, which
the engine makes up at random and tells (`Configure`). Where it is not, nothing that it says is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.hidden import (
    DELETED_WITH,
    IGNORED,
    MARK,
    OWNER,
    RECORDED,
    REPLACED_WITH,
    RETAINED,
    URN,
    read_identity,
    visible,
    write_recorded,
)
from flow_resources.core.naming import Mark
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Resource

OWNER_NOT_KNOWN = (
    "whose resource this is is not known, because the backend does not tell this stack's whole name: set flow:owner, "
    "or `owner` of the provider, or let `pulumi stack ls` and `pulumi stack export` work where the program runs"
)
_PASSED_ALONG = (DELETED_WITH, REPLACED_WITH, RETAINED)
_EXCLUDED_BY = {"bid_policy": ("max_price_per_hour",), "placements": ("instance_type", "region")}
"""What a program cannot say beside an input, because that decides it."""


def with_facts(
    op: Operation, resource: Resource[Any, Any, Any], urn: str, olds: Mapping[str, Any], news: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the new inputs of a check with the facts that are known.

    With `ignore_changes=["*"]` the engine passes the recorded inputs, which have the mark, and they stay as they are.
    """
    if MARK in news:
        return dict(news)
    owner, pinned = owner_of(op, urn, olds), read_identity(olds)
    mark = pinned.mark if pinned else Mark.of(owner, urn) if owner else None
    is_asked = mark is not None and resource.needs_whole_record(olds, news)  # it takes a second, once per operation
    recorded = op.ledger.recorded_for(mark, urn, op.report) if mark and is_asked else None
    ignored = _ignored(olds, news)
    return {
        **visible(news),
        **{name: news[name] for name in _PASSED_ALONG if name in news},
        URN: urn,
        RECORDED: write_recorded(recorded),
        **({OWNER: owner} if owner else {}),
        **({IGNORED: ignored} if ignored else {}),
    }


def _ignored(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return the inputs whose changes the program ignores, as far as it shows.

    The engine puts the recorded value in the place of the program's. Where the program can say none, it shows.
    """
    return [
        name
        for other, names in _EXCLUDED_BY.items()
        if news.get(other) is not None
        for name in names
        if name in news and news[name] == olds.get(name)
    ]


def owner_of(op: Operation, urn: str, olds: Mapping[str, Any]) -> str | None:
    """Return the owner of a resource, which the backend is asked for only where no state has it; None: not known."""
    owner = op.deployment.config("flow:owner")
    if not owner and read_identity(olds) is None:
        owner = op.ledger.own_stack(urn, op.report)
    return str(owner) if owner else None
