"""Ends what a lost request made beside the one thing of a create.

Where an answer is lost, the request is sent again; a service that ignores the Idempotency-Key has then made two. The
older one counts. The younger is ended only where it is proven to be this create's own, else it is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.moments import TIME_GRAIN, age_of
from flow_resources.core.naming import take_apart
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Resource, S, T


def end_doubles(
    op: Operation, resource: Resource[S, T, Any], spec: S, doubles: Iterable[T], begun: datetime | None
) -> None:
    """End what is proven to be this create's own, and name the rest.

    `begun`: the service's time before the first request; None where it is not known. Raises nothing: the one thing
    exists, and its id must be recorded.
    """
    for double in doubles:
        problem = "it may be another stack's"
        if _is_own(op, resource, spec, double, begun):
            try:
                resource.cancel(op, double)
            except FlowResourcesError as error:
                problem = error.message
            else:
                op.report.progress(
                    f"ended {double.name} ({double.id}), which a request with a lost answer had made as well", keep=True
                )
                continue
        words = resource.words
        op.warn_once(
            f"{double.name} ({double.id}, {resource.describe_cost(double)}) is live as well: two requests for one "
            f"{words.noun} took effect; {problem}; `{words.end_command} {double.id}` {words.ends} it"
        )


def _is_own(op: Operation, resource: Resource[S, T, Any], spec: S, double: T, begun: datetime | None) -> bool:
    """Whether it carries our mark, which nobody shares, was made since, by this user, and no state records it."""
    name = take_apart(double.name)
    if not (name and name.mark == spec.mark and spec.identity and spec.identity.owner_is_shared is Answer.NO):
        return False
    age = None if begun is None else age_of(double.created_at, begun)
    if age is None or age > TIME_GRAIN:
        return False
    try:
        another = resource.is_of_another_user(op, double)
    except FlowResourcesError:
        return False
    return another is Answer.NO and op.ledger.is_recorded(double.id, spec.mark) is Answer.NO
