"""Finds or places the one thing of a resource: adopted, of use as it is, taken over from a cut-off create, or new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Identity
from flow_resources.core.models import Named
from flow_resources.core.moments import age_of
from flow_resources.core.naming import Mark, take_apart
from flow_resources.core.spec import Spec
from flow_resources.core.takeover import Decision, Finding, Reason, decide, marked_with
from flow_resources.errors import OwnershipError, RejectedError
from flow_resources.lifecycle.ledger import ResourceView
from flow_resources.lifecycle.operation import CHECK, Operation
from flow_resources.lifecycle.resource import Resource, S, T

ADOPTION_REMEDY = "make the program say the same, or remove it"


def find_adopted(op: Operation, resource: Resource[S, T, Any], spec: S) -> T | None:
    """Return what the program wants adopted; the first create alone asks for it."""
    id_ = resource.adopted_id(spec)
    if not id_ or not may_adopt(op, id_, spec.mark):
        return None
    thing = resource.find_adoptable(op, spec, id_)
    refuse_what_another_stack_has(op, thing)
    name = take_apart(thing.name)
    if name and name.mark.owner != spec.mark.owner:
        op.warn_once(
            f"{thing.name} ({thing.id}) was made by another stack: while both declare it, either can delete it"
        )
    op.report.progress(f"adopting {thing.name} ({thing.id})")
    return thing


def may_adopt(op: Operation, id_: str, mark: Mark) -> bool:
    """Whether this create adopts what the program names: the resource's first create alone does.

    Raises RejectedError where two resources name the same, and OwnershipError where it is not known which create it is.
    """
    is_first = op.ledger.is_first_create(id_, mark, op.urn, op.report, is_preview=op.verb == CHECK)
    if is_first is Answer.NOT_KNOWN:
        raise OwnershipError(
            f"{id_} is not adopted: whether this stack's state records it already could not be found out",
            "let `pulumi stack export` work where `pulumi` runs",
        )
    if is_first is Answer.YES and not op.ledger.adopt(id_, mark):
        raise RejectedError(f"two resources adopt {id_}", "remove it from one of them")
    if is_first is not Answer.YES:
        return False
    of_another = (
        op.ledger.is_of_another_provider(id_, op.urn, op.report, is_preview=True)
        if op.verb == CHECK
        else op.ledger.is_of_another_provider_by_now(id_, op.urn, op.report)
    )
    if of_another is Answer.NOT_KNOWN:
        raise OwnershipError(
            f"{id_} is not adopted: whether a resource of another provider of this stack has it could not be found out",
            "let `pulumi stack export` work where `pulumi` runs",
        )
    if of_another is Answer.YES:
        raise RejectedError(
            f"{id_} is not adopted: a resource of another provider of this stack has it, and either could end it",
            "remove it from one of them",
        )
    return True


def refuse_what_another_stack_has(op: Operation, thing: Named) -> None:
    """Raise OwnershipError where the state of another stack records what is to be adopted: either could end it.

    Where that is not known, the word of the person counts who named the id, and a warning says so.
    """
    answer, stack = op.ledger.find_other_stack(thing, op.urn, op.report, is_preview=op.verb == CHECK)
    if answer is Answer.YES:
        raise OwnershipError(
            f"{thing.id} is not adopted: the state of the stack {stack} records it, and either stack could end it",
            "remove it there first, with `pulumi state delete`, which ends nothing",
        )
    if answer is Answer.NOT_KNOWN:
        op.warn_once(
            f"whether the state of another stack records {thing.id} could not be found out: while two stacks declare "
            "it, either can delete it (`pulumi stack export` has to work for every stack of the backend)"
        )


def take_over_or_place(op: Operation, resource: Resource[S, T, Any], spec: S) -> T:
    """Return the one thing of a resource: what an earlier create of ours left, or a new one."""
    with op.ledger.turn(spec.mark):
        listed = resource.list_before_create(op, spec)
        live = [thing for thing in listed if resource.is_live(thing)]
        if usable := resource.find_usable(op, spec, live):
            return usable
        decision = judge(op, resource, spec, live)
        for finding in decision.leave:
            _name(op, resource, finding, spec)
        if decision.refuse:
            raise refusal(resource, decision.refuse)
        if decision.cancel and not decision.take_over:
            resource.require_placeable(op, spec)
        for thing in decision.cancel:
            op.report.progress(
                f"ending {thing.name} ({thing.id}), which an earlier, interrupted `up` left running", keep=True
            )
            resource.cancel(op, thing)
        if decision.take_over:
            op.report.progress(_taking_over(decision.take_over, spec.identity), keep=True)
            return decision.take_over
        placed = resource.place(op, spec, decision.generation, listed)
        op.ledger.add_placed(placed.id)
        return placed


def judge(op: Operation, resource: Resource[S, T, Any], spec: S, live: Sequence[T]) -> Decision[T]:
    """Judge what is live for a resource that is about to be made."""
    return decide(live, resource.want(op, spec), view_of(op, resource, spec))


def warn_of_surplus(
    op: Operation, resource: Resource[Any, T, Any], things: Iterable[T], identity: Identity, own_id: str
) -> None:
    """Warn of what carries a resource's mark and is not what the state records for it.

    Nothing is done about it: the state may still have to delete it, or another resource had this name before.
    """
    for _, thing in marked_with(things, identity.mark):
        if thing.id != own_id:
            _warn_of_one(op, resource, thing, identity)


def view_of(op: Operation, resource: Resource[S, T, Any], spec: S) -> ResourceView:
    """Return what is known of who records what, as seen from a resource."""
    return ResourceView(
        op.ledger,
        spec.identity or Identity(spec.mark),
        op.urn,
        op.report,
        lambda thing: resource.is_of_another_user(op, thing),
        lambda thing: age_of(thing.created_at, op.cloud.service_now()),
        is_preview=op.verb == CHECK,
    )


def _name(op: Operation, resource: Resource[S, T, Any], finding: Finding[T], spec: Spec) -> None:
    """Report what a create leaves alone, and why."""
    thing, words = finding.thing, resource.words
    if finding.reason is Reason.OTHER_STACK:
        _, stack = op.ledger.find_other_stack(thing, op.urn, op.report)
        op.report.progress(
            f"{thing.name} ({thing.id}) carries this resource's mark and is of the stack {stack}: it is left alone",
            keep=True,
        )
    elif finding.reason is Reason.OTHER_PROVIDER:
        op.report.progress(
            f"{thing.name} ({thing.id}, {resource.describe_cost(thing)}) waits for its deletion by another provider of "
            "this stack: it is left to that one",
            keep=True,
        )
    elif finding.reason is Reason.OTHER_SPECIFICATION:
        op.warn_once(
            f"{thing.name} ({thing.id}) is an older {words.noun} of this resource that no state records; "
            f"it is left as it is: `{words.end_command} {thing.id}` {words.ends} it{words.way_to_adopt(',')}"
        )
    elif spec.identity:
        _warn_of_one(op, resource, thing, spec.identity)


def _warn_of_one(op: Operation, resource: Resource[Any, T, Any], thing: T, identity: Identity) -> None:
    shared = identity.owner_is_shared is not Answer.NO
    way_out = "how to end it; with flow:owner an `up` takes such a one over" if shared else "ends it"
    op.warn_once(
        f"{thing.name} ({thing.id}, {resource.describe_cost(thing)}) is live as well, with this resource's mark: "
        "an interrupted replacement may have left it; "
        f"`flow-resources sweep` tells whether any state records it, and {way_out}"
    )


def refusal(resource: Resource[Any, T, Any], finding: Finding[T]) -> OwnershipError:
    """Return the error of a create that refuses because of something."""
    thing, words = finding.thing, resource.words
    remedy = words.conflict_remedy.format(id=thing.id)
    if finding.reason is Reason.DIFFERS:
        return OwnershipError(
            f"the {words.noun} {thing.id} has our name {thing.name!r} but is not what the program says", remedy
        )
    if finding.reason is Reason.NAME_NOT_KNOWN:
        return OwnershipError(
            f"a {words.noun} is live, {thing.id}, and {finding.reason.value}: nothing was touched",
            "run the same command again",
        )
    return OwnershipError(
        f"the {words.noun} {thing.id} ({thing.name}, of {thing.created_at or 'an unknown time'}) carries this "
        f"resource's mark, but this stack's state does not record it, and {finding.reason.value}: nothing was touched"
        if finding.reason is not Reason.STATE_NOT_KNOWN
        else f"the {words.noun} {thing.id} ({thing.name}) carries this resource's mark, and {finding.reason.value}: "
        "nothing was touched",
        f"{_way_to_know(finding.reason)}{remedy}",
    )


_NOT_READ = (Reason.STATE_NOT_KNOWN, Reason.OTHER_STATES_NOT_KNOWN)


def _way_to_know(reason: Reason) -> str:
    """Return how what was not known can be found out, where there is a way."""
    return "let `pulumi stack export` work for every stack of the backend; else " if reason in _NOT_READ else ""


def _taking_over(thing: Named, identity: Identity | None) -> str:
    """Return the message of a take-over, with what to do where other people's stacks can have the same owner."""
    text = f"taking over {thing.name} ({thing.id}), which an earlier, interrupted `up` left"
    if identity is None or identity.owner_is_shared is Answer.NO:
        return text
    owner = f"{identity.owner!r}, as on every self-managed backend" if identity.owner else "not known"
    return (
        f"{text} (or another person's stack of the same names has it, and `pulumi destroy` here would end it for both: "
        f"its owner is {owner}; set flow:owner where people share an account)"
    )
