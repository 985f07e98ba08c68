"""GpuCluster: one bid, one Flow task, `num_instances` instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flow_resources.cloud import has_command_unit
from flow_resources.core import cluster_fields
from flow_resources.core.boots import describe_change, what_runs_again
from flow_resources.core.hidden import Identity, Record
from flow_resources.core.imports import Imported
from flow_resources.core.inputs import Checked
from flow_resources.core.market import Market
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark
from flow_resources.core.placements import MAX_WAIT
from flow_resources.core.preemption import POLICY, read_record, write_record
from flow_resources.core.spec import ClusterSpec
from flow_resources.core.status import ClusterSnapshot, outputs
from flow_resources.errors import RejectedError, TerminatedError
from flow_resources.lifecycle import bid as bids
from flow_resources.lifecycle import policy
from flow_resources.lifecycle.bid_kind import BidKind
from flow_resources.lifecycle.cluster_check import check_adoption, find_adoptable, pin_run_on
from flow_resources.lifecycle.imports import import_bid
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.placement_check import check_placement
from flow_resources.lifecycle.resource import Update, Words


class GpuCluster(BidKind[ClusterSpec, ClusterSnapshot]):
    """The kind; `CLUSTER` is its one instance."""

    name = "GpuCluster"
    called = "cluster"
    fields = cluster_fields.FIELDS
    words = Words(
        noun="bid",
        managed="task",
        end_command="flow cancel",
        ends="ends",
        adopt_input="adopt_task_id",
        conflict_remedy="`flow cancel {id}` ends it; adopt_task_id='{id}' takes it over",
        lost_by_replacement="what is on the machines' own disks is lost",
        list_command="flow status",
    )

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
        """Check also what only a command that runs at every boot can have."""
        cluster_fields.check_boots(found)
        cluster_fields.check_policy(found)
        check_placement(op, self, found, olds, identity)

    def pin_inputs(self, op: Operation, found: Checked, olds: Mapping[str, Any]) -> None:
        """Keep `run_on` as the machines were placed."""
        pin_run_on(op, found, olds)

    def check_retained(self, found: Checked) -> None:
        """Refuse a policy that ends the bid, and a wait after which it moves on."""
        if found.known(POLICY) == "replace":
            found.fail(
                POLICY,
                "cannot be 'replace' with retain_on_delete, by which the old bid is never ended",
                remedy="remove one of the two",
            )
        if MAX_WAIT in found.inputs:
            found.fail(
                MAX_WAIT,
                "cannot be set with retain_on_delete, by which the old bid is never ended",
                remedy="remove one of the two",
            )

    def settle_price(
        self, op: Operation, found: Checked, olds: Mapping[str, Any], market: Market | None, budget: Decimal | None
    ) -> None:
        """Let the policy decide about a preemption that a refresh saw."""
        cluster_fields.check_limit(found)
        policy.apply_policy(op, found, olds, market, budget)

    def comparable(self, op: Operation, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the new inputs without the price of a raise that was not made."""
        return policy.comparable(op, olds, news)

    def has_hidden_change(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Whether the outputs record another raise than the inputs, or another resolved number."""
        return policy.has_hidden_change(olds, news) or super().has_hidden_change(olds, news)

    def replaced_by_policy(self, olds: Mapping[str, Any], news: Mapping[str, Any], replaces: Sequence[str]) -> str:
        """Return on_preemption where it replaces the bid, or max_wait_minutes where the bid moves on."""
        if policy.wants_move(news):
            return MAX_WAIT
        return POLICY if not replaces and policy.wants_replacement(olds, news) else ""

    def check_running(self, op: Operation, found: Checked, mark: Mark, market: Market) -> bool:
        """Check the task that the program adopts; return whether there is one, and it is what the program says."""
        return check_adoption(op, found, mark, market)

    def warn_of_update(self, op: Operation, update: Update, news: Mapping[str, Any]) -> None:
        """Warn of a pause."""
        if "paused" in update.inputs and news.get("paused"):
            op.warn_once("pausing loses what is in memory, and may lose /mnt/local; boot disks and volumes are kept")

    def parse(self, props: Mapping[str, Any]) -> ClusterSpec:
        """Parse the inputs."""
        return ClusterSpec.parse(props)

    def adopted_id(self, spec: ClusterSpec) -> str | None:
        """Return `adopt_task_id`."""
        return spec.adopt_task_id

    def find_adoptable(self, op: Operation, spec: ClusterSpec, id_: str) -> Bid:
        """Return the task to adopt."""
        return find_adoptable(op, spec, id_)

    def describe_import(self, op: Operation, thing: Bid) -> Imported:
        """Return what a task tells. Its command, image, env and ports are not known; `run_on` is, by its script."""
        if op.cloud.placed_price(thing.id) is not None:
            raise RejectedError(
                f"{thing.id} is not imported: it is the bid of a Job, which ends itself", "import it as a Job"
            )
        imported = import_bid(op, thing, self.fields)
        run_on = {"run_on": "every_boot"} if has_command_unit(op.cloud.startup_script(thing.id)) else {}
        paused = {"paused": True} if thing.status == "Paused" else {}
        return replace(imported, inputs={**imported.inputs, **run_on, **paused})

    def snapshot(self, thing: Bid) -> ClusterSnapshot:
        """Return the bid without its instances."""
        return ClusterSnapshot(thing, ())

    def observe(self, op: Operation, id_: str, record: Record) -> ClusterSnapshot | None:
        """Return the bid, its instances and its history. Only what is proven absent, or terminal, is gone."""
        seen = op.cloud.observe(id_, op.fresh_since, op.read_since)
        if seen is None or seen.bid.ended:
            return None
        return policy.with_sighting(bids.with_history(op.cloud, seen, record), record)

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> ClusterSnapshot:
        """Return the bid and its instances."""
        seen = op.cloud.observe_before_update(id_, op.fresh_since)
        if seen is None or seen.bid.ended:
            raise TerminatedError(f"the bid {id_} has ended", "`pulumi up --refresh` places a new one")
        return replace(seen, policy=read_record(record.outputs or {}))

    def observe_unready(self, op: Operation, seen: ClusterSnapshot) -> ClusterSnapshot:
        """Return the newest snapshot that can be had."""
        try:
            newest = op.cloud.observe(seen.bid.id, op.clock.now() - bids.UNREADY_SECONDS) or seen
            return replace(newest, policy=seen.policy)
        except Exception:  # noqa: BLE001 - the id must be recorded, whatever else goes wrong
            return seen

    def act_on_policy(
        self, op: Operation, seen: ClusterSnapshot, spec: ClusterSpec, record: Record, update: Update | None
    ) -> ClusterSnapshot:
        """Raise a bid that still waits after its preemption."""
        return policy.raise_bid(op, seen, spec, record, update)

    def converge(
        self, op: Operation, seen: ClusterSnapshot, spec: ClusterSpec, record: Record, update: Update | None
    ) -> ClusterSnapshot:
        """Set price and pause, one PATCH each, and wait."""
        spec, update = policy.as_decided(op, seen, spec, record, update)
        return replace(bids.converge(op, seen, spec, record, update), policy=seen.policy)

    def is_ready(self, seen: ClusterSnapshot, inputs: Mapping[str, Any]) -> bool:
        """Whether it is as far as `wait_for` asks."""
        return seen.reached(str(inputs.get("wait_for") or cluster_fields.WAIT_FOR[-1]))

    def outputs(self, seen: ClusterSnapshot, inputs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the outputs that the service decides."""
        return {**outputs(seen), **write_record(seen.policy)}

    def hidden_inputs(self, seen: ClusterSnapshot) -> dict[str, Any]:
        """Return what the refresh saw of a preemption."""
        return write_record(seen.policy)

    def live_inputs(self, seen: ClusterSnapshot, inputs: Mapping[str, Any], record: Record) -> dict[str, Any]:  # noqa: ARG002
        """Return the inputs with the price and the pause as the service holds them."""
        live: dict[str, Any] = {"paused": seen.bid.status == "Paused"}
        if seen.bid.price is not None:
            live["max_price_per_hour"] = float(seen.bid.price)
        return {name: live.get(name, value) for name, value in inputs.items()}

    def report_drift(self, op: Operation, seen: ClusterSnapshot, record: Record) -> None:
        """Tell of detached volumes, which replace nothing by themselves, of a new status, and what runs again."""
        bids.warn_of_detached(op, seen, record)
        policy.warn_of_preemption(op, seen, record)
        recorded = record.outputs or {}
        if change := describe_change(recorded, seen, what_runs_again(recorded)):
            op.report.progress(change, keep=True)

    # -- delete -------------------------------------------------------------------------------------------------------

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Cancel the bid and see it ended; one that a policy replaces only where it still waits."""
        replaced = op.ledger.replaced_by_policy(op.urn)
        if replaced and replaced[0] == id_:
            policy.require_waiting(op, id_)
        super().delete(op, id_, record)


CLUSTER = GpuCluster()
