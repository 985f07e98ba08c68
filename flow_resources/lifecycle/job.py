"""Job: one bid whose machines end it themselves, when the work has ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any

from flow_resources.cloud import JobEnd, Launch
from flow_resources.core import job_fields, job_status, money
from flow_resources.core.answer import Answer
from flow_resources.core.boots import describe_change
from flow_resources.core.hidden import ENDED, JOB_KEY, Identity, Record, read_not_recorded
from flow_resources.core.imports import Imported
from flow_resources.core.inputs import Checked
from flow_resources.core.job_outcome import Outcome, is_mark, lowest_price, nearest_prices, told
from flow_resources.core.job_status import FINISHED, JobSnapshot, is_finished, is_told, recorded, with_events
from flow_resources.core.models import ENDED as BID_STATUS_ENDED
from flow_resources.core.models import Bid
from flow_resources.core.moments import moment_of
from flow_resources.core.naming import take_apart
from flow_resources.core.placement_fields import is_unchanged
from flow_resources.core.spec import JobSpec
from flow_resources.core.status import ClusterSnapshot
from flow_resources.errors import (
    JobFailedError,
    NotReadyError,
    OwnershipError,
    RejectedError,
    TerminatedError,
    UnavailableError,
)
from flow_resources.lifecycle import bid as bids
from flow_resources.lifecycle import job_keys
from flow_resources.lifecycle.account import require_account
from flow_resources.lifecycle.bid_kind import BidKind
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.imports import import_bid
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.placement_check import check_placement
from flow_resources.lifecycle.resource import Update, Words
from flow_resources.lifecycle.waiting import DEFAULT_SECONDS

_LONG_KEY = "fkey_" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL"
_RUN_AGAIN = "to run it again, change `triggers`"
_UNREAD = "ended, and how could not be read"
_RESUMED = (
    "the job has failed, and its bid was resumed: its machines are billed, and do not run it again; `pulumi destroy` "
    "ends it, and a pause in the console keeps the disks"
)
_CONSENT = (
    "is not set, and flow:allowJobKeys is not true: the machine of a job ends its bid with an API key of the account, "
    "which everybody who can read the project's bids can read until the job has ended, or the key expires after "
    f"{job_keys.KEY_LIFE.days} days and `max_run_time_hours`"
)


class Job(BidKind[JobSpec, JobSnapshot]):
    """The kind; `JOB` is its one instance."""

    name = "Job"
    called = "job"
    has_long_script = True
    fields = job_fields.FIELDS
    words = Words(
        noun="bid",
        managed="job",
        end_command="flow cancel",
        ends="ends",
        adopt_input="",
        conflict_remedy="`flow cancel {id}` ends it",
        lost_by_replacement="the job runs anew, and what is on the machines' own disks is lost",
        list_command="flow status",
    )

    # -- check and diff -----------------------------------------------------------------------------------------------

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
        """Check also that the machines may have a key, and that a new price tells no outcome."""
        job_fields.check_together(found, read_not_recorded(olds))
        check_placement(op, self, found, olds, identity)
        if not is_unchanged(self.fields, found, olds):
            _check_lowest_price(found)
        with op.collecting_failures(found):
            if is_unchanged(self.fields, found, olds):
                self._check_price(op, found, olds)
            elif "machine_api_key" not in found.inputs and not op.settings.allows_job_keys():
                found.fail("machine_api_key", _CONSENT, remedy="`pulumi config set flow:allowJobKeys true`, or set it")
        limit, hours = op.create_timeout or DEFAULT_SECONDS, found.known("max_run_time_hours")
        waits = found.known("wait_for") == "ended" and self.may_cost(op, found, olds)
        if waits and hours and limit < hours * 3600 and op.deployment.tells_options:
            op.warn_once(
                f"wait_for='ended' waits for {limit / 60:g} minutes, and the job may run for {hours:g} hours: an `up` "
                "that ends before leaves it running, and the next one goes on waiting (custom_timeouts sets the limit)"
            )

    def _check_price(self, op: Operation, found: Checked, olds: Mapping[str, Any]) -> None:
        price, id_ = found.known("max_price_per_hour"), op.own_record.id
        if price is None or id_ is None or op.own_record.has_ended or price == olds.get("max_price_per_hour"):
            return
        if problem := _problem_of_price(op.cloud.placed_price(id_), bid := money.price(price)):
            found.fail("max_price_per_hour", problem[0], float(bid), problem[1])

    def needs_whole_record(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether it does, always: a job that has ended costs nothing, and does not run again."""
        return True

    def allowed_price(
        self, op: Operation, found: Checked, olds: Mapping[str, Any], price: Decimal, cap: Decimal | None
    ) -> Decimal:
        """Return the nearest price that does not tell how a job that runs has ended, the higher one first."""
        id_ = op.own_record.id
        if id_ is None or op.own_record.has_ended or not is_unchanged(self.fields, found, olds):
            return price
        placed = op.cloud.placed_price(id_)
        if placed is None or not is_mark(placed, price):
            return price
        return next((one for one in reversed(nearest_prices(placed)) if cap is None or one <= cap), price)

    def may_cost(self, op: Operation, found: Checked, olds: Mapping[str, Any]) -> bool:
        """Whether it has not ended, or is to run anew."""
        return not (is_unchanged(self.fields, found, olds) and op.own_record.has_ended)

    def fitted(self, op: Operation, launch: Launch, spec: JobSpec) -> Launch:
        """Return a launch with what every job has in its script."""
        end = JobEnd(
            key=_LONG_KEY,
            key_id="apikey_0123456789abcdef",
            key_name=f"flow-job-012345-{launch.name}",
            key_expires_at=1e9,
            api_url=op.settings.api_url,
            project=op.cloud.project().id,
            on_failure=spec.on_failure,
            max_run_seconds=spec.max_run_seconds,
            inputs_digest=spec.public_digest,
        )
        return dataclasses.replace(launch, job_end=end)

    def lost_by_replacement(self, record: Record) -> str:
        """Return what a replacement loses: of a job whose bid has ended there is nothing left."""
        return "the job runs anew" if is_finished(record.outputs or {}) else super().lost_by_replacement(record)

    def warn_of_record(self, op: Operation, record: Record) -> None:
        """Warn of a job that has failed."""
        if record.text("status") == Outcome.FAILED.value:
            is_resumed = not (record.outputs or {}).get(ENDED)
            op.warn_once(_RESUMED if is_resumed else f"the job has failed, and is not run again: {_RUN_AGAIN}")

    def parse(self, props: Mapping[str, Any]) -> JobSpec:
        """Parse the inputs."""
        return JobSpec.parse(props)

    # -- create -------------------------------------------------------------------------------------------------------

    def place(self, op: Operation, spec: JobSpec, generation: int, listed: Sequence[Bid]) -> Bid:  # noqa: ARG002
        """Place a bid with a key of its own; or return the bid of a run that has ended and that no state records."""
        begun = op.cloud.service_now()
        free = bids.find_free_name(op, spec, self.words, generation)
        before = [*free.before, *(bid for other in spec.elsewhere for bid in bids.find_last_named(op, other))]
        if earlier := self._find_earlier_run(op, spec, before):
            return earlier
        self._refuse_beside_run_of_another_user(op, spec, {bid.id for bid in before})
        launch = bids.prepare(op, spec, free.name)
        if spec.machine_api_key:
            end = job_keys.end_of_users_key(op, spec, spec.machine_api_key)
            placed = bids.send(op, dataclasses.replace(launch, job_end=end))
        else:
            name = take_apart(free.name)
            if name is None:
                raise ValueError(f"{free.name!r} carries no mark")
            placed = job_keys.place_with_key(
                op, spec, name, lambda end: bids.send(op, dataclasses.replace(launch, job_end=end))
            )
        end_doubles(op, self, spec, placed.doubles, begun)
        return placed.bid

    def _find_earlier_run(self, op: Operation, spec: JobSpec, before: Sequence[Bid]) -> Bid | None:
        """Return the bid of a run that told how it ended, where the state lost it; None where a new run is due.

        An `up` whose answer was lost did not record it. What was recorded and destroyed since is due to run again.
        Raises OwnershipError where it is not known which of the two it is.
        """
        for bid in before:
            if (how := _how_it_ended(op, bid)) is None:
                continue
            answer = self._is_run_due(op, spec, bid)
            if answer is Answer.NOT_KNOWN or (answer is Answer.NO and how == _UNREAD):
                raise _refusal_of_run(bid, how)
            if answer is Answer.NO:
                op.report.progress(
                    f"{bid.name} ({bid.id}) ran already and {how}: an earlier, interrupted `up` placed it. "
                    f"It is recorded, and nothing runs; {_RUN_AGAIN}",
                    keep=True,
                )
                return bid
        return None

    def _refuse_beside_run_of_another_user(self, op: Operation, spec: JobSpec, judged: AbstractSet[str]) -> None:
        """Refuse where a run of this job by another user ended, which no state records, and may be of the same inputs.

        With sensitive inputs the digest in a bid's name is keyed with the API key of who placed it. Of another user's
        bid the inputs that are not sensitive can be compared: other `triggers` say that the job is to run again.
        """
        if not spec.has_keyed_digest:
            return
        specs = [spec, *spec.elsewhere]
        digests, public = {one.digest(op.settings.api_key) for one in specs}, {one.public_digest for one in specs}
        for bid in op.deployment.once("the bids that ended last", op.cloud.bids_ended_last):
            name = take_apart(bid.name)
            if name is None or name.mark != spec.mark or name.spec in digests or bid.id in judged:
                continue
            if self.is_of_another_user(op, bid) is Answer.NO:
                continue
            placed = op.cloud.placed_job(bid.id)
            how = _describe_outcome(bid, placed.price)
            if how is None or placed.inputs_digest not in {*public, None}:
                continue
            if self._is_run_due(op, spec, bid) is not Answer.YES:
                raise _refusal_of_run(bid, how)

    def _is_run_due(self, op: Operation, spec: JobSpec, bid: Bid) -> Answer:
        """Whether a run that has ended was recorded, and destroyed or replaced since."""
        if op.ledger.is_deleted(bid.id):
            return Answer.YES
        known = {op.ledger.is_recorded(bid.id, spec.mark), op.ledger.is_in_own_state(bid.id, op.urn, op.report)}
        if Answer.YES in known:
            return Answer.YES
        elsewhere, _ = op.ledger.find_other_stack(bid, op.urn, op.report)
        if elsewhere is Answer.YES:
            return Answer.YES
        created, now = moment_of(bid.created_at), op.cloud.service_now()
        if Answer.NOT_KNOWN in (*known, elsewhere) or created is None or now is None:
            return Answer.NOT_KNOWN
        answer = op.ledger.is_deleted_since(created, op.urn, now - op.clock.utc(), op.report)
        if answer is Answer.YES:
            return answer  # also where it was another person's run: then this one has not run
        is_shared = spec.identity is None or spec.identity.owner_is_shared is not Answer.NO
        is_own = not is_shared or self.is_of_another_user(op, bid) is Answer.NO
        return answer if is_own else Answer.NOT_KNOWN

    # -- what is there ------------------------------------------------------------------------------------------------

    def describe_import(self, op: Operation, thing: Bid) -> Imported:
        """Return what the bid of a job tells. What it runs is not known."""
        if op.cloud.placed_price(thing.id) is None:
            raise RejectedError(
                f"{thing.id} is not imported: it is not the bid of a Job, because its machines do not end it",
                "import it as a GpuCluster",
            )
        return import_bid(op, thing, self.fields)

    def snapshot(self, thing: Bid) -> JobSnapshot:
        """Return the bid without its instances."""
        return JobSnapshot(thing, ())

    def observe(self, op: Operation, id_: str, record: Record) -> JobSnapshot | None:
        """Return the job, also one that has ended; None only for one that was never the stack's, and is not there."""
        if record.identity and is_told(record.outputs or {}):
            return self._with_key(op, recorded(id_, record, _key(record)))
        seen = op.cloud.observe(id_, op.fresh_since, op.read_since)
        if seen is None and not record.identity:
            return None
        job = self._recalled(op, seen, record) if seen else _gone(id_, record)
        op.ledger.note_end(id_, has_ended=job.has_ended and not job.is_resumed)
        return self._with_key(op, job)

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> JobSnapshot:
        """Return the job, also one that has ended."""
        if is_told(record.outputs or {}):
            return recorded(id_, record, _key(record))
        seen = op.cloud.observe_before_update(id_, op.fresh_since)
        return _gone(id_, record) if seen is None else self._recalled(op, seen, record)

    def observe_unready(self, op: Operation, seen: JobSnapshot) -> JobSnapshot:
        """Return the newest snapshot that can be had."""
        try:
            newest = op.cloud.observe(seen.bid.id, op.clock.now() - bids.UNREADY_SECONDS)
            return self._next(op, seen, newest) if newest and not seen.has_ended else seen
        except Exception:  # noqa: BLE001 - the id must be recorded, whatever else goes wrong
            return seen

    def _recalled(self, op: Operation, seen: ClusterSnapshot, record: Record) -> JobSnapshot:
        """Return a job with what the state records of it, and what can have changed since."""
        known = record.outputs or {}
        status, price = record.text("status"), known.get("max_price_per_hour")
        bid = _named(seen.bid, record)
        job = JobSnapshot(
            dataclasses.replace(bid, status=BID_STATUS_ENDED) if is_finished(known) else bid,
            seen.instances,
            started_at=record.text("started_at"),
            recorded_status=status if status in FINISHED else None,
            key=_key(record),
        )
        job = self._with_placed_price(op, job, None if price is None else money.price(price))
        is_told = {"preemptions", "started_at"} <= set(known) and job.outcome is None
        if is_told and seen.is_same_run_as(known):
            return dataclasses.replace(job, known_preemptions=int(known["preemptions"]))
        return _with_history(op, job)

    def _next(self, op: Operation, before: JobSnapshot, seen: ClusterSnapshot) -> JobSnapshot:
        """Return a job as it is now; its history is asked for where its bid or its machines are others than before."""
        job = dataclasses.replace(before, bid=seen.bid, instances=seen.instances)
        job = self._with_placed_price(op, job, before.bid.price)
        is_same = (seen.bid.status, seen.bid.instances) == (before.bid.status, before.bid.instances)
        return job if is_same else _with_history(op, job)

    def _with_placed_price(self, op: Operation, job: JobSnapshot, expected: Decimal | None) -> JobSnapshot:
        """Add the price at which the bid was placed, where its price can be what its machine told."""
        is_plain = job.bid.status in ("Open", "Allocated") and job.bid.price is not None and job.bid.price == expected
        if is_plain or job.placed_price is not None:
            return job
        return dataclasses.replace(job, placed_price=op.cloud.placed_price(job.bid.id))

    def _with_key(self, op: Operation, job: JobSnapshot) -> JobSnapshot:
        """Look whether a key of a job is live: the machine of one that has ended should have revoked it.

        The machine of one that lives needs it, and renews it only while it runs: a job can wait for longer.
        """
        if job.key is Answer.NO:
            return job
        is_live = job_keys.is_live(op, job.bid)
        if job.has_ended:
            return dataclasses.replace(job, key=is_live)
        if is_live is Answer.NO and (now := op.cloud.bid(job.bid.id)) and not now.ended:  # it ends before its key does
            op.warn_once(
                f"the API key of {now.name} ({now.id}) has expired, or was revoked: its machine cannot end the bid, "
                f"which costs {self.describe_cost(now)} also after the work has ended: `flow cancel {now.id}` ends it; "
                f"{_RUN_AGAIN}"
            )
        return job

    def converge(
        self,
        op: Operation,
        seen: JobSnapshot,
        spec: JobSpec,
        record: Record,  # noqa: ARG002
        update: Update | None,
    ) -> JobSnapshot:
        """Set the price of a job that runs, and wait; revoke the key of one that has ended.

        Raises JobFailedError where its end is waited for, and it failed.
        """
        if update is None:
            # What an earlier `up` placed may have a key that was made for it, whatever the program says now.
            is_earlier = seen.has_ended or not op.ledger.is_placed_here(seen.bid.id)
            seen = dataclasses.replace(seen, key=Answer.of(is_earlier or spec.machine_api_key is None))
            seen = self._with_placed_price(op, seen, spec.max_price_per_hour)
        waits, bid = update is None or update.is_resumed or "wait_for" in update.inputs, seen.bid
        if update is None or "max_price_per_hour" in update.inputs:
            seen = self._set_price(op, seen, spec)
        if waits:
            seen = self._wait(op, seen, spec, is_just_read=update is None and seen.bid is bid)
        if not seen.has_ended:
            return seen
        if seen.key is not Answer.NO:
            seen = dataclasses.replace(seen, key=job_keys.revoke(op, seen.bid))
        if waits and spec.wait_for == "ended" and seen.status == Outcome.FAILED.value:
            raise _failure(seen)
        op.report.progress(f"{seen.message}: nothing runs; {_RUN_AGAIN}" if update else seen.message)
        return seen

    def _set_price(self, op: Operation, seen: JobSnapshot, spec: JobSpec) -> JobSnapshot:
        """Set the program's price, unless the job's machine has told how it ended.

        Raises UnavailableError where that cannot be read: a price that is set takes the word of the machine away.
        """
        price = spec.max_price_per_hour
        if seen.has_ended or seen.bid.price == price:
            return seen
        placed = seen.placed_price or op.cloud.placed_price(seen.bid.id)
        seen = dataclasses.replace(seen, placed_price=placed)
        if seen.has_told_price:
            return seen
        if placed is None or seen.bid.price is None:
            raise UnavailableError(
                f"the price of {seen.bid.id} is not set: whether its machine has told by it how the job ended could "
                "not be read",
                "run `pulumi up` again, or leave max_price_per_hour as it was",
            )
        if problem := _problem_of_price(placed, price):
            raise RejectedError(f"max_price_per_hour {problem[0]}", problem[1])
        op.cloud.set_price(seen.bid.id, price)
        return dataclasses.replace(seen, bid=dataclasses.replace(seen.bid, price=price))

    def _wait(self, op: Operation, seen: JobSnapshot, spec: JobSpec, *, is_just_read: bool) -> JobSnapshot:
        """Wait as `wait_for` asks. Of a bid that was just read, the first poll asks for the instances alone."""
        job, just_read = seen, [seen.bid] if is_just_read else []

        def poll(moment: float) -> JobSnapshot:
            if job.has_ended:
                return job
            if just_read:
                return self._next(op, job, op.cloud.observe_new(just_read.pop()))
            newest = op.cloud.observe_while_waiting(job.bid.id, moment)
            if newest is None:
                raise TerminatedError(
                    f"the bid {job.bid.id} is not there any more", "`pulumi refresh` records how the job ended"
                )
            return self._next(op, job, newest)

        for job in op.deadline.watch(poll, op.cloud.waiting_for([seen.bid.id])):
            if job.reached(spec.wait_for):
                op.report.progress(job.message if job.has_ended else f"{job.message}, max {money.usd(spec.max_cost)}/h")
                return job if job.preemptions is not None else _with_history(op, job)
            op.report.progress(f"{job.progress}: {op.deadline.minute()}")
        raise NotReadyError(
            f"the job is not {spec.wait_for}: {job.progress}, bid {money.usd(spec.max_price_per_hour)}",
            "run `pulumi up` again to go on waiting",
        )

    def is_ready(self, seen: JobSnapshot, inputs: Mapping[str, Any]) -> bool:
        """Whether it is as far as `wait_for` asks; an end that was waited for and failed is for an `up` to tell."""
        goal = str(inputs.get("wait_for") or job_fields.WAIT_FOR[0])
        return seen.reached(goal) and not (goal == "ended" and seen.status == Outcome.FAILED.value)

    def is_unfinished(self, seen: JobSnapshot) -> bool:
        """Whether it has ended and has a key, which the next `up` revokes: a refresh revokes nothing."""
        return seen.has_ended and seen.key is Answer.YES

    def outputs(self, seen: JobSnapshot, inputs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the outputs that the service decides."""
        return job_status.outputs(seen)

    def live_inputs(self, seen: JobSnapshot, inputs: Mapping[str, Any], record: Record) -> dict[str, Any]:  # noqa: ARG002
        """Return the inputs with the price as the service holds it, unless that tells how the job ended."""
        if seen.has_told_price or seen.bid.price is None or seen.placed_price is None:
            return dict(inputs)
        return {**inputs, "max_price_per_hour": float(seen.bid.price)}

    def report_drift(self, op: Operation, seen: JobSnapshot, record: Record) -> None:
        """Tell of a new status, and of detached volumes."""
        if not seen.has_ended:
            bids.warn_of_detached(op, seen, record)
        if seen.is_resumed:
            op.warn_once(_RESUMED)
        if change := describe_change(record.outputs or {}, seen, "the command runs again, unless it has ended"):
            op.report.progress(change, keep=True)

    # -- delete -------------------------------------------------------------------------------------------------------

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Cancel the bid and see it ended; then revoke its key."""
        bid = self._end(op, id_, record)
        if record.name and _key(record) is not Answer.NO:
            job_keys.revoke(op, _named(bid, record) if bid else recorded(id_, record, Answer.YES).bid)


JOB = Job()


def _named(bid: Bid, record: Record) -> Bid:
    """Return a bid under its recorded name, of which its key's is made, where the service does not say it."""
    return bid if bid.name_is_known else dataclasses.replace(bid, name=record.name or "")


def _key(record: Record) -> Answer:
    """Whether a key that was made for a job can be live, as far as the state tells.

    It says so of each job that lives, unless its key is the user's own.
    """
    known = record.outputs or {}
    if known.get(JOB_KEY):
        return Answer.YES
    is_none = record.identity is None or known.get(ENDED) or known.get("machine_api_key")
    return Answer.of(False if is_none else None)


def _how_it_ended(op: Operation, bid: Bid) -> str | None:
    """Return how the run of a bid ended; None where it has not, or its machine did not tell."""
    return _describe_outcome(bid, op.cloud.placed_price(bid.id)) if bid.ended else None


def _describe_outcome(bid: Bid, placed: Decimal | None) -> str | None:
    """Return how the run of a bid that has ended ended, by the price at which it was placed; None as above."""
    if placed is None or bid.price is None:
        return _UNREAD
    outcome = told(placed, bid.price)
    return outcome.value if outcome else None


def _refusal_of_run(bid: Bid, how: str) -> OwnershipError:
    return OwnershipError(
        f"the job ran already and {how} ({bid.name}, {bid.id}); whether it is due to run again, because this stack has "
        "destroyed it since, could not be found out: nothing was placed",
        f"{_RUN_AGAIN} (`pulumi stack export` and `pulumi stack history` have to work where `pulumi` runs, and tell "
        "nothing of a stack of this name that was removed)",
    )


def _gone(id_: str, record: Record) -> JobSnapshot:
    """Return a job whose bid the service has no more: it has ended, and stays recorded."""
    require_account(record, f"the job {id_} is not there")
    return recorded(id_, record, _key(record))


def _with_history(op: Operation, job: JobSnapshot) -> JobSnapshot:
    events = op.cloud.events(job.bid.id)
    return job if events is None else with_events(job, events)


def _problem_of_price(placed: Decimal | None, price: Decimal) -> tuple[str, str] | None:
    """Say that a price would tell an outcome of a job, and what to write; None where it does not."""
    if placed is None or not is_mark(placed, price):
        return None
    rule = (
        f"would say that the job has ended: it was placed at {money.usd(placed)}, and its machine tells the end by one "
        "or two cents less"
    )
    return rule, f"write {' or '.join(map(money.usd, nearest_prices(placed)))}"


def _check_lowest_price(found: Checked) -> None:
    """Refuse to place a job at a price under which there is no price left to tell how it ended."""
    price = found.known("max_price_per_hour")
    if price is not None and money.price(price) < lowest_price():
        rule = "leaves no price under it by which the machine of a job could tell how that ended"
        found.fail("max_price_per_hour", rule, price, f"bid at least {money.usd(lowest_price())}")


def _failure(seen: JobSnapshot) -> JobFailedError:
    kept = "`pulumi destroy` ends the paused bid" if seen.kept else "on_failure='keep' keeps the machines' disks"
    return JobFailedError(
        f"the job {seen.bid.name} ({seen.bid.id}) {seen.message}; the service tells no exit code and no output",
        f"let it write its log to a volume; {kept}; {_RUN_AGAIN}",
        seen,
    )
