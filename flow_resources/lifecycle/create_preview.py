"""What a preview tells of a create: what it would end or take over, what it would lose, and what would stop it.

A check of something that is to be made, or made anew, comes here. A replacement ends the old one before it places the
new one, so what would stop the new one must be told before. The service is asked once per operation, whatever number
is made; the states of stacks only where something live carries the resource's mark.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Identity, write_identity
from flow_resources.core.inputs import Checked, has_unknown
from flow_resources.core.models import Quota
from flow_resources.core.naming import Mark, take_apart
from flow_resources.core.takeover import Decision
from flow_resources.errors import FlowResourcesError
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation
from flow_resources.lifecycle.quota import excess
from flow_resources.lifecycle.resource import Resource
from flow_resources.lifecycle.takeover import judge, may_adopt, refusal, refuse_what_another_stack_has

AnyResource = Resource[Any, Any, Any]
REPLACEMENT = "a replacement"


def preview_create(op: Operation, resource: AnyResource, found: Checked, identity: Identity) -> None:
    """Tell on the row what a create would do besides making one; add what would stop it to the failures."""
    is_replacement = op.own_record.exists is Answer.YES
    if is_replacement:  # of one that an input forces the diff has warned, and says why
        loss = resource.words.lost_by_replacement
        op.warn_once(f"replaced because Pulumi is asked for it: {loss}", kind=REPLACEMENT)
    with op.collecting_failures(found):
        live = op.deployment.once(resource.name, lambda: _list(op, resource))
        if any(map(has_unknown, found.inputs.values())):
            if not (is_replacement and _is_own_live(op, live)):
                _name_undecided(op, resource, live, identity.mark)
            return
        spec = resource.parse({**found.inputs, **write_identity(identity)})
        adopted = resource.adopted_id(spec)
        if adopted and may_adopt(op, adopted, spec.mark):
            for thing in live.things:
                if thing.id == adopted:
                    refuse_what_another_stack_has(op, thing)
            return
        if resource.find_usable(op, spec, live.things):
            return
        # Beside a live one, what happens depends on the order of the replacement, of which the engine tells nothing.
        decision = None if is_replacement and _is_own_live(op, live) else _tell_decision(op, resource, live, spec)
        if decision and decision.take_over:
            return
        released = decision.cancel if decision else [thing for thing in live.things if thing.id == op.own_record.id]
        _check_quota(op, resource, found, spec, released)


@dataclass(frozen=True)
class _Live:
    """What is live in the project, once for all resources of a kind."""

    things: Sequence[Any]
    by_mark: Mapping[Mark, Sequence[Any]]


def _list(op: Operation, resource: AnyResource) -> _Live:
    things = resource.list_live(op, op.clock.now() - LISTING_SECONDS)
    by_mark: dict[Mark, list[Any]] = defaultdict(list)
    for thing in things:
        if name := take_apart(thing.name):
            by_mark[name.mark].append(thing)
    return _Live(things, dict(by_mark))


def _is_own_live(op: Operation, live: _Live) -> bool:
    """Whether what the state records is live, or may be: an interrupted replacement has ended it before."""
    id_ = op.own_record.id
    return id_ is None or any(thing.id == id_ for thing in live.things)


def _tell_decision(op: Operation, resource: AnyResource, live: _Live, spec: Any) -> Decision[Any] | None:
    """Tell what a create would take over, end, or refuse because of; None where nothing carries the mark."""
    if spec.mark not in live.by_mark and all(thing.name_is_known for thing in live.things):
        return None
    decision = judge(op, resource, spec, live.things)
    if decision.refuse:
        op.warn_once(f"an `up` stops here: {refusal(resource, decision.refuse)}")
        return decision
    for thing in decision.cancel:
        op.warn_once(
            f"an `up` ends {_describe(resource, thing)} first: it carries this resource's mark, no state records it, "
            f"and it is not what the program says{resource.words.way_to_adopt(';')}"
        )
    if decision.take_over:
        op.report.progress(
            f"an `up` takes over {_describe(resource, decision.take_over)}, which no state records, as it is", keep=True
        )
    return decision


def _name_undecided(op: Operation, resource: AnyResource, live: _Live, mark: Mark) -> None:
    for thing in live.by_mark.get(mark, ()):
        op.warn_once(
            f"{_describe(resource, thing)} carries this resource's mark: whether an `up` takes it over, ends it or "
            "leaves it depends on inputs that are not known yet"
        )


def _describe(resource: AnyResource, thing: Any) -> str:
    return f"{thing.name} ({thing.id}, {resource.describe_cost(thing)})"


def _read_quotas(op: Operation) -> Mapping[str, Quota]:
    """Read the quotas, or warn: where they are not known, the service alone refuses."""
    try:
        return op.cloud.quotas()
    except FlowResourcesError as error:
        op.warn_once(f"the quotas are not checked: {error.message}", about="the quotas")
        return {}


def _check_quota(op: Operation, resource: AnyResource, found: Checked, spec: Any, released: Sequence[Any]) -> None:
    """Fail what the project may not hold. What the create itself gives back before does not count."""
    claim = resource.claim(op, spec)
    if claim is None:
        return
    quotas = op.deployment.once("quotas", lambda: _read_quotas(op))
    holdings = map(resource.holding, released)  # of a product that is not said, it can be this one
    held = [amount if product else None for product, amount in holdings if product in ("", claim.product)]
    given_back = sum(amount or 0 for amount in held)
    claimed = op.deployment.claims.add(op.urn or str(spec.mark), claim.product, claim.amount - given_back)
    quota = quotas.get(claim.product)
    if quota and quota.free is None:
        op.warn_once(
            f"the quotas are not checked: the service does not say how much {claim.name} is left", about="the quotas"
        )
    problem = excess(claim, claimed, quota)
    record = op.own_record
    if problem and None not in held and (record.exists is Answer.NO or record.id):
        remedy = "lower it, release something, or ask the service for a higher quota"
        found.fail(claim.input, problem, claim.amount, remedy)
    elif problem:
        op.warn_once(f"{claim.input} {problem}, unless what it gives back is enough, which could not be found out")
