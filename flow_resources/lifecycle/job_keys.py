"""The API key with which the machine of a job ends its bid: made before the bid, revoked once it has ended.

A key is found by its name, which is made of the bid's. The service lists the keys of the calling user alone, who alone
can revoke them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flow_resources.cloud import JobEnd, Placed
from flow_resources.core import naming
from flow_resources.core.answer import Answer
from flow_resources.core.models import Bid, JobKey
from flow_resources.core.moments import TIME_GRAIN, age_of
from flow_resources.core.naming import MarkedName
from flow_resources.core.spec import JobSpec
from flow_resources.errors import ApprovalPendingError, FlowResourcesError, UnavailableError
from flow_resources.lifecycle.operation import Operation

KEY_LIFE = timedelta(days=30)
"""How long a key is valid, and as long as the job may run on top; a machine renews it before that."""


def end_of_users_key(op: Operation, spec: JobSpec, key: str) -> JobEnd:
    """Return what a machine needs to end its job with a key of the user's own."""
    return _end(op, spec, key, None)


def place_with_key(op: Operation, spec: JobSpec, name: MarkedName, place: Callable[[JobEnd], Placed]) -> Placed:
    """Make a key, place a bid with it, and leave one live key of its name in every case.

    Where nothing was placed, the key is revoked. Where that is not known, or the bid waits for an approval, it stays:
    the machine of a bid that comes to be needs it. Keys that cut-off creates left are revoked once the bid of this one
    is known.
    """
    key_name = naming.key_name(name.mark, name.spec, name.generation, op.cloud.project().id)
    begun = op.cloud.service_now()
    now = begun or op.clock.utc()
    key = op.cloud.mint_job_key(key_name, now + KEY_LIFE + timedelta(hours=spec.max_run_time_hours or 0))
    try:
        placed = place(_end(op, spec, key.secret or "", key))
    except (ApprovalPendingError, UnavailableError):
        raise
    except FlowResourcesError:
        _revoke(op, key)
        raise
    age = None if begun is None else age_of(placed.bid.created_at, begun)
    if age is not None and age <= TIME_GRAIN and not placed.doubles:
        _revoke_others(op, key)
    elif age is not None and age > TIME_GRAIN:
        _revoke(op, key)  # the service answered with the bid of an earlier request, which has an earlier key
    return placed


def is_live(op: Operation, bid: Bid) -> Answer:
    """Whether a key of a bid is live; not known where another user made it, whose keys no listing has.

    The keys are listed once an operation.
    """
    try:
        keys = op.deployment.once("the keys of jobs", op.cloud.job_keys)
        name = _name_of(op, bid.name)
        if name in {key.name for key in keys}:
            return Answer.YES
        return Answer.of(False if name and _is_own(op, bid) is Answer.YES else None)
    except FlowResourcesError as error:
        op.warn_once(f"the API keys of jobs are not checked: {error.message}", about="the keys of jobs")
        return Answer.NOT_KNOWN


def revoke(op: Operation, bid: Bid) -> Answer:
    """Revoke the keys of a job that has ended; return whether one is live after that.

    What another user made is named: nobody else can revoke it, or tell whether it is live.
    """
    name = _name_of(op, bid.name)
    if name is None:
        return Answer.NOT_KNOWN
    if op.cloud.revoke_job_keys(name):
        return Answer.NO
    is_own = _is_own(op, bid)
    if is_own is not Answer.YES:
        is_others = "is" if is_own is Answer.NO else "may be"
        op.report.progress(
            f"the API key {name!r} of the job {is_others} another user's: if its machine did not revoke it, it is "
            f"valid for {KEY_LIFE.days} days and `max_run_time_hours` after it was made, and only that user can "
            "revoke it",
            keep=True,
        )
    return Answer.of(False if is_own is Answer.YES else None)


def _is_own(op: Operation, bid: Bid) -> Answer:
    """Whether the calling user placed a bid, and made its key."""
    user = op.deployment.once("the user", op.cloud.user) if bid.created_by else None
    return Answer.of(bid.created_by == user if user else None)


def _end(op: Operation, spec: JobSpec, secret: str, key: JobKey | None) -> JobEnd:
    return JobEnd(
        key=secret,
        key_id=key.id if key else None,
        key_name=key.name if key else None,
        key_expires_at=key.expires_at.timestamp() if key and key.expires_at else None,
        api_url=op.settings.api_url,
        project=op.cloud.project().id,
        on_failure=spec.on_failure,
        max_run_seconds=spec.max_run_seconds,
        inputs_digest=spec.public_digest,
    )


def _name_of(op: Operation, bid_name: str) -> str | None:
    return naming.key_name_of(bid_name, op.cloud.project().id)


def _revoke(op: Operation, key: JobKey) -> None:
    """Revoke a key of no bid; where that fails, name it."""
    try:
        op.cloud.revoke_job_key(key.id)
    except FlowResourcesError as error:
        _warn_of_left(op, key.name, error)


def _revoke_others(op: Operation, key: JobKey) -> None:
    try:
        op.cloud.revoke_job_keys(key.name, besides=key.id)
    except FlowResourcesError as error:
        _warn_of_left(op, key.name, error)


def _warn_of_left(op: Operation, name: str, error: FlowResourcesError) -> None:
    op.warn_once(f"an API key {name!r} of no job may be left ({error.message}): `flow-resources sweep` shows it")
