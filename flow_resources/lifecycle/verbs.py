"""The six verbs, one template for every kind of resource and every host.

The duties of every verb are done here, so that a new kind cannot forget them: sensitive inputs are registered with the
redactor before the first request; the account is guarded before anything is judged or changed; what the program
declares is remembered; what was created is recorded, whatever happens afterwards.

The life of a create: `create` parses the inputs once, `takeover` finds or places the one thing, from then on something
is rented and its id is returned in every case, and the kind's `converge` waits as far as the program asks.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flow_resources.core.answer import Answer
from flow_resources.core.diff import Diff, diff_inputs, fields_to_update
from flow_resources.core.hidden import (
    CREATE_ID,
    DELETED_WITH_REFUSED,
    MARK,
    SERVICE,
    TAKEN_OVER_BY,
    UNREADY,
    Identity,
    Record,
    read_hidden_inputs,
    read_identity,
    read_not_recorded,
    read_record,
    recorded_inputs,
    visible,
    write_identity,
    write_inputs,
    write_not_recorded,
    write_resolved_bid,
)
from flow_resources.core.imports import keep_not_recorded, said_first, said_since
from flow_resources.core.inputs import Change, Failure
from flow_resources.core.inputs import check as check_fields
from flow_resources.core.naming import Mark
from flow_resources.core.spec import Spec, declared_inputs
from flow_resources.errors import (
    FlowResourcesError,
    JobFailedError,
    OwnershipError,
    RejectedError,
    TerminatedError,
    one_line,
)
from flow_resources.lifecycle.account import guard_account, guard_preview, require_account
from flow_resources.lifecycle.create_preview import REPLACEMENT, preview_create
from flow_resources.lifecycle.imports import find_importable
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.resource import Resource, Update
from flow_resources.lifecycle.takeover import find_adopted, take_over_or_place, warn_of_surplus
from flow_resources.lifecycle.waiting import seconds_of

AnyResource = Resource[Any, Any, Any]
Props = Mapping[str, Any]


@dataclass(frozen=True)
class CheckResult:
    """The inputs as they go into the state, and all failures."""

    inputs: dict[str, Any] = field(repr=False)
    failures: list[Failure]
    """One whose property is sensitive has no path: a host prints the value of a property that failed."""


@dataclass(frozen=True)
class Result:
    """What a create or an update made."""

    id: str
    outputs: dict[str, Any] = field(repr=False)
    not_ready: str = ""
    """Why it is not ready: it is recorded all the same, and the next `up` goes on. Empty where it is."""


@dataclass(frozen=True)
class ReadResult:
    """What is true now."""

    id: str
    outputs: dict[str, Any] = field(repr=False)
    inputs: dict[str, Any] = field(repr=False)
    """Empty for a resource that is only read (`get`)."""


def check(op: Operation, resource: AnyResource, olds: Props, news: Props) -> CheckResult:
    """Report every bad input at once, each with its path; rent nothing; resolve and pin what is left to a default.

    A service that cannot be reached costs one warning, never the preview.
    """
    _register_secrets(op, resource, olds, news)
    hidden = read_hidden_inputs(news)
    op.urn = op.urn or hidden.urn  # the program's word, where the host does not tell it
    op.create_timeout = seconds_of(hidden.timeout)
    op.ignore_changes = hidden.ignored
    op.is_preview = hidden.is_preview
    op.deployment.checked_urns.add(op.urn)
    op.deployment.own_records.learn(op.urn, hidden, olds, news)
    # With `ignore_changes=["*"]` the engine passes the recorded inputs instead of the program's, the mark among them.
    pinned = read_identity(olds) or read_identity(news)
    identity = op.ledger.learn(op.urn, hidden, pinned, has_record=bool(olds) or pinned is not None)
    found = check_fields(resource.fields, visible(news))
    keep_not_recorded(found, olds, news, is_pinned=MARK in news)
    olds = {**olds, **said_first(olds, found.inputs)}
    if hidden.is_deleted_with_another:
        found.failures.append(Failure("", DELETED_WITH_REFUSED))
    if hidden.is_replaced_with_another:
        resource.check_replaced_with(found)
    if hidden.is_retained:
        resource.check_retained(found)
    if identity is None:
        found.failures.append(Failure("", op.deployment.owner_not_known))
    else:
        resource.check(op, found, olds, identity)
    if not olds and identity and not found.failures:
        preview_create(op, resource, found, identity)
    if found.row:
        op.report.progress(found.row)  # after all else: the last message is what stays
    inputs = {name: value for name, value in found.inputs.items() if value is not None}
    sensitive = {one.name for one in resource.fields if one.sensitive}
    failures = [Failure("" if one.path in sensitive else one.path, one.text) for one in found.failures]
    return CheckResult({**inputs, **found.hidden, **write_identity(identity)}, failures)


def diff(
    op: Operation, resource: AnyResource, id_: str, olds: Props, news: Props, old_inputs: Props | None = None
) -> Diff:
    """Return what a change does; no request is sent.

    `olds`: the recorded outputs. `old_inputs`: the recorded inputs; None where the host does not tell them.
    """
    _register_secrets(op, resource, olds, news)
    record = read_record(olds)
    if record.taken_over_by and record.taken_over_by != op.ledger.provider:
        _require_sole_record(op, id_, record)
    guard_preview(op.cloud, record)
    op.ledger.declare(id_, record.create_id)
    olds = {**olds, **said_since(olds, old_inputs or {})}
    said = said_first(olds, news)
    compared = {name: value for name, value in news.items() if name not in said}
    change = diff_inputs(resource.fields, olds, resource.comparable(op, olds, compared))
    if said:  # where no recorded input can learn it, an output has to
        learns = change.changes or old_inputs is None
        names = tuple(one.name for one in resource.fields if one.name in said)
        change = replace(change, changes=learns, not_recorded=(*change.not_recorded, *names))
    change = _with_policy(op, resource, id_, olds, news, change)
    if change.not_recorded:
        op.warn_once(
            f"the state does not record {', '.join(change.not_recorded)} of {id_}: it is taken from the program, and "
            "nothing is replaced because of that"
        )
    if record.is_unready and not change.changes:
        return Diff(changes=True)
    if change.replaces:
        require_account(record, f"the {resource.words.managed} {id_} is not replaced")
        op.warn_once(f"{_describe_end(op, change)}: {resource.lost_by_replacement(record)}", kind=REPLACEMENT)
    else:
        resource.warn_of_update(op, _update(op, resource, olds, news, record), news)
        resource.warn_of_record(op, record)
    return change


def _require_sole_record(op: Operation, id_: str, record: Record) -> None:
    """Refuse to move what the provider that it comes from has still to delete by another record, and would end."""
    held = op.ledger.is_held_by_another_process(id_, record.create_id, op.urn, op.report)
    if held is Answer.NOT_KNOWN:
        raise OwnershipError(
            f"{id_} does not move to this provider: whether another one has still to delete it, by a second record of "
            "it, could not be found out",
            "let `pulumi stack export` work where `pulumi` runs",
        )
    if held is Answer.YES:
        raise OwnershipError(
            f"{id_} does not move to this provider: the state has a second record of it, by which the provider that it "
            "comes from has still to delete it, and would end it",
            "let provider and flow:host be as they were, run `pulumi up` once, and change them then",
        )


def _with_policy(op: Operation, resource: AnyResource, id_: str, olds: Props, news: Props, change: Diff) -> Diff:
    """Add what a policy changes beside the program. What the program replaces, no policy does."""
    by_policy = resource.replaced_by_policy(olds, news, change.replaces)
    if op.urn:
        op.ledger.plan_replacement(op.urn, (id_, olds) if by_policy else None)
    elif by_policy and change.replaces:
        raise RejectedError(
            f"it is not replaced by {by_policy}, because the engine does not tell which resource it is",
            f"remove {by_policy}",
        )
    elif by_policy:
        op.warn_once(f"it is not replaced by {by_policy}, because the engine does not tell which resource it is")
        by_policy = ""
    if by_policy:
        return replace(change, changes=True, replaces=(by_policy,))
    return replace(change, changes=change.changes or resource.has_hidden_change(olds, news))


def _describe_end(op: Operation, change: Diff) -> str:
    """Return why it ends. What the program does not declare is compared for what it depends on: both can be destroyed.

    The engine does so for `destroy --target VOLUME --target-dependents`, with an unknown id of the volume.
    """
    inputs = ", ".join(change.replaces)
    is_declared = op.urn in op.deployment.checked_urns
    return f"replaced because of {inputs}" if is_declared else f"ends with what it depends on ({inputs})"


def create(op: Operation, resource: AnyResource, props: Props) -> Result:
    """Place the one thing of a resource, or take over what an interrupted create left.

    Once the service may have accepted a request, this ends in one of three ways: the id is returned; the id is returned
    with the reason why the thing is not ready; or the thing is proven absent and an error is raised.
    """
    _register_secrets(op, resource, props)
    spec = resource.parse(props)
    resource.require_resolved(spec)
    _end_what_a_policy_replaces(op, resource, spec)
    thing = find_adopted(op, resource, spec) or take_over_or_place(op, resource, spec)
    project = {"project": op.cloud.project().id}  # what was asked to make it there
    record = Record(
        identity=spec.identity,
        create_id=secrets.token_hex(4),
        taken_over_by=op.ledger.provider if _has_other_record(op, resource, thing.id) else None,
        outputs=project,
    )
    op.ledger.declare(thing.id, record.create_id)
    return _converge(op, resource, thing.id, resource.snapshot(thing), spec, record, None)


def _has_other_record(op: Operation, resource: AnyResource, id_: str) -> bool:
    """Whether the state may have another record of what a create has found."""
    if resource.is_shared or op.ledger.is_placed_here(id_):
        return False
    return op.ledger.has_record(id_, op.urn, op.report) is not Answer.NO


def _end_what_a_policy_replaces(op: Operation, resource: AnyResource, spec: Spec) -> None:
    """End it before its replacement is placed, also where the engine creates first: the machines are never paid twice.

    Raises an error, and nothing is ended or placed, where it does not wait any more, or its replacement could not be
    placed, or one of these is not known.
    """
    replaced = op.ledger.replaced_by_policy(op.urn)
    if replaced and not op.ledger.is_deleted(replaced[0]):
        resource.require_placeable(op, spec)
        delete(op, resource, *replaced)


def read(
    op: Operation, resource: AnyResource, id_: str, props: Props, old_inputs: Props | None = None
) -> ReadResult | None:
    """Tell what is true now; None where it is proven gone, in the recorded account.

    `props`: the recorded outputs. `old_inputs`: the recorded inputs; None where the host does not tell them.
    Raises TerminatedError where that is only read (`get`), and never was the stack's.
    """
    _register_secrets(op, resource, props, old_inputs or {})
    record = read_record(props)
    guard_account(op.cloud, record)
    seen = resource.observe(op, id_, record)
    if seen is None:
        require_account(record, f"the {resource.words.managed} {id_} is not there")
        _report_gone(op, resource, id_, record)
        return None
    if record.identity:
        live = resource.list_live(op, op.read_since)
        warn_of_surplus(op, resource, live, record.identity, id_)
    resource.report_drift(op, seen, record)
    inputs = declared_inputs(resource.fields, recorded_inputs(props))
    if not inputs:
        return ReadResult(id_, {**_outputs(op, resource, seen, {}, record), **resource.outputs_of_get(seen)}, {})
    inputs = resource.live_inputs(seen, inputs, record)
    is_unready = record.is_unready and not resource.is_ready(seen, inputs)
    unready = {UNREADY: True} if is_unready or resource.is_unfinished(seen) else {}
    outputs = {**_outputs(op, resource, seen, inputs, record), **unready}
    hidden = {
        **resource.hidden_inputs(seen),
        **write_identity(record.identity),
        **write_resolved_bid(record.resolved_bid),
        **write_not_recorded(record.not_recorded if old_inputs is None else read_not_recorded(old_inputs)),
    }
    return ReadResult(id_, outputs, {**said_since(props, old_inputs or {}), **inputs, **hidden})


def read_import(op: Operation, resource: AnyResource, id_: str, owner: str | None) -> ReadResult:
    """Return what a state records of something live that Pulumi did not make; nothing is changed.

    `owner`: whose the resource is; None: not known. What the service does not tell is recorded as not known. Raises an
    error where there is no such thing, it has ended, it is of another project, or a state records it already.
    """
    if owner is None or not op.urn:
        raise RejectedError(f"{id_} is not imported: {op.deployment.owner_not_known}")
    thing = find_importable(op, resource, id_)
    imported = resource.describe_import(op, thing)
    identity = Identity(Mark.of(owner, op.urn), owner)
    record = Record(
        identity,
        create_id=secrets.token_hex(4),
        not_recorded=imported.not_recorded,
        outputs={"project": op.cloud.project().id},
    )
    seen = resource.observe(op, id_, record)
    if seen is None:  # it has ended since
        raise resource.absence(op, id_)
    inputs = {name: value for name, value in imported.inputs.items() if value is not None}
    hidden = {
        **resource.hidden_inputs(seen),
        **write_identity(identity),
        **write_not_recorded(imported.not_recorded),
    }
    return ReadResult(id_, {**_outputs(op, resource, seen, inputs, record), **hidden}, {**inputs, **hidden})


def update(op: Operation, resource: AnyResource, id_: str, olds: Props, news: Props) -> Result:
    """Send what the diff shows and no more; go on with all of it where an earlier `up` had to stop."""
    _register_secrets(op, resource, olds, news)
    record, spec = replace(read_record(olds), not_recorded=read_not_recorded(news)), resource.parse(news)
    guard_account(op.cloud, record)
    require_account(record, f"the {resource.words.managed} {id_} is not updated")
    resource.require_updatable(spec)
    seen = resource.observe_for_update(op, id_, record)
    return _converge(op, resource, id_, seen, spec, record, _update(op, resource, olds, news, record))


def delete(op: Operation, resource: AnyResource, id_: str, props: Props) -> None:
    """End it and see it gone. Absent counts as deleted; a stranger under the recorded id is refused."""
    _register_secrets(op, resource, props)
    record = read_record(props)
    guard_account(op.cloud, record)
    require_account(record, f"the {resource.words.managed} {id_} is not deleted")
    if op.ledger.is_recorded_by_another_create(id_, record.create_id):
        op.report.progress(
            f"{id_} is kept: it has been taken over, and another record of the stack holds it now", keep=True
        )
        return
    resource.delete(op, id_, record)
    op.ledger.add_deleted(id_)


def _register_secrets(op: Operation, resource: AnyResource, *bags: Props) -> None:
    """Register what may be secret, but for the default, which is in every program's documentation."""
    for bag in bags:
        for one in resource.fields:
            if one.sensitive and bag.get(one.name) != one.default:
                op.deployment.redactor.register(bag.get(one.name))


def _update(op: Operation, resource: AnyResource, olds: Props, news: Props, record: Record) -> Update:
    inputs = fields_to_update(resource.fields, olds, resource.comparable(op, olds, news))
    if record.is_unready:
        # All of it: what the interrupted verb has sent is not known. What the program ignores may be anybody's by now.
        inputs |= {one.name for one in resource.fields if one.change is Change.UPDATE and not op.ignores(one.name)}
    return Update(frozenset(inputs), record.is_unready)


def _converge(
    op: Operation, resource: AnyResource, id_: str, seen: Any, spec: Spec, record: Record, change: Update | None
) -> Result:
    """Bring what exists to what the program says: from here on its id is recorded, whatever happens."""
    kept = replace(record, identity=spec.identity, resolved_bid=spec.resolved_bid)
    try:
        seen = resource.act_on_policy(op, seen, spec, record, change)
        seen = resource.converge(op, seen, spec, record, change)
    except JobFailedError as error:  # told once: the next `up` has nothing to go on with
        op.report.progress(str(error))
        return Result(id_, _outputs(op, resource, error.snapshot, spec.inputs, kept), str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the thing exists, and its id must be recorded
        reason = _reason(op, error)
        op.report.progress(reason)  # what the engine makes of it on the row is only a count
        outputs = _outputs(op, resource, resource.observe_unready(op, seen), spec.inputs, kept)
        return Result(id_, {**outputs, UNREADY: True}, reason)
    return Result(id_, _outputs(op, resource, seen, spec.inputs, kept))


def _reason(op: Operation, error: Exception) -> str:
    if isinstance(error, FlowResourcesError):
        return str(error)
    return one_line(op.deployment.redactor.redact(f"{type(error).__name__}: {error}"))


def _outputs(op: Operation, resource: AnyResource, seen: Any, inputs: Props, record: Record) -> dict[str, Any]:
    """Return all outputs: the inputs as they are, what the service says, and the hidden ones."""
    told = resource.outputs(seen, inputs)
    create_id = {CREATE_ID: record.create_id} if record.create_id else {}
    taken_over_by = {TAKEN_OVER_BY: record.taken_over_by} if record.taken_over_by else {}
    # What was known stays known where the service does not say it now; an input is what the program says.
    recorded = {name: (record.outputs or {}).get(name) for name, value in told.items() if value is None}
    live = {name: value for name, value in told.items() if value is not None}
    hidden = {
        **write_inputs(inputs, live),
        **write_identity(record.identity),
        **write_resolved_bid(record.resolved_bid),
        **write_not_recorded(record.not_recorded),
        **create_id,
        **taken_over_by,
    }
    return {**recorded, **inputs, **live, **hidden, SERVICE: op.settings.api_url}


def _report_gone(op: Operation, resource: AnyResource, id_: str, record: Record) -> None:
    managed = resource.words.managed
    if record.identity is None:
        raise TerminatedError(f"there is no live {managed} {id_} in the project", "remove the `get` from the program")
    op.ledger.add_missing(id_)
    # The engine's own row says "deleted", as if the refresh had done it.
    op.report.progress(
        f"the {managed} {id_} is gone already and leaves the state: the next `pulumi up` makes a new one", keep=True
    )
