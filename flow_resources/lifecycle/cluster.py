"""GpuCluster: one bid, one Flow task, `num_instances` instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flow_resources.core import cluster_fields, money
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import Identity, Record
from flow_resources.core.inputs import Checked
from flow_resources.core.models import Bid
from flow_resources.core.spec import ClusterSpec
from flow_resources.core.status import ClusterSnapshot, outputs
from flow_resources.core.takeover import Wanted
from flow_resources.errors import OwnershipError, RejectedError, TerminatedError
from flow_resources.lifecycle import bid as bids
from flow_resources.lifecycle.cluster_check import check_cluster, find_adoptable
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.quota import Claim
from flow_resources.lifecycle.resource import Resource, Update, Words, require_name

_UNREADY_SECONDS = 10.0  # how old an answer may be that is recorded for a cluster that is not ready


class GpuCluster(Resource[ClusterSpec, Bid, ClusterSnapshot]):
    """The kind; `CLUSTER` is its one instance."""

    name = "GpuCluster"
    id_prefix = "bid_"
    fields = cluster_fields.FIELDS
    words = Words(
        noun="bid",
        managed="task",
        end_command="flow cancel",
        ends="ends",
        adopt_input="adopt_task_id",
        conflict_remedy="`flow cancel {id}` ends it; adopt_task_id='{id}' takes it over",
        lost_by_replacement="what is on the machines' own disks is lost",
    )

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:
        """Check against the market, the account and the budget; resolve and pin the region."""
        check_cluster(op, found, olds, identity)

    def warn_of_update(self, op: Operation, update: Update, news: Mapping[str, Any]) -> None:
        """Warn of a pause."""
        if "paused" in update.inputs and news.get("paused"):
            op.warn_once("pausing loses what is on the machines' own disks")

    def parse(self, props: Mapping[str, Any]) -> ClusterSpec:
        """Parse the inputs."""
        return ClusterSpec.parse(props)

    def require_resolved(self, spec: ClusterSpec) -> None:
        """Refuse a cluster without a region."""
        if not spec.region:
            raise RejectedError(
                "the region could not be resolved while the service was out of reach", "run `pulumi up` again"
            )

    def adopted_id(self, spec: ClusterSpec) -> str | None:
        """Return `adopt_task_id`."""
        return spec.adopt_task_id

    def find_adoptable(self, op: Operation, spec: ClusterSpec, id_: str) -> Bid:
        """Return the task to adopt."""
        return find_adoptable(op, spec, id_)

    def list_live(self, op: Operation, begun_after: float) -> Sequence[Bid]:
        """List the live bids."""
        return list(op.cloud.live_bids(begun_after).values())

    def want(self, op: Operation, spec: ClusterSpec) -> Wanted[Bid]:
        """Return what a create wants: count and region are compared too."""
        return Wanted(
            spec.mark,
            spec.digest(op.settings.api_key),
            may_cancel=True,
            differs=lambda bid: bid.quantity != spec.num_instances or bid.region != spec.region,
        )

    def is_of_another_user(self, op: Operation, thing: Bid) -> Answer:
        """Whether another user's key placed it; not known where the service does not say."""
        return Answer.of(thing.created_by != op.cloud.user() if thing.created_by else None)

    def place(self, op: Operation, spec: ClusterSpec, generation: int, listed: Sequence[Bid]) -> Bid:  # noqa: ARG002
        """Place a bid."""
        begun = op.cloud.service_now()
        placed = bids.place(op, spec, generation)
        end_doubles(op, self, spec, placed.doubles, begun)
        return placed.bid

    def cancel(self, op: Operation, thing: Bid) -> None:
        """Cancel a bid."""
        bids.cancel(op, thing.id)

    def describe_cost(self, thing: Bid) -> str:
        """Return what a bid can cost at most."""
        return "at an unknown price" if thing.max_cost is None else f"up to {money.usd(thing.max_cost)}/h"

    def claim(self, op: Operation, spec: ClusterSpec) -> Claim | None:
        """Return its machines, of the type that it would get."""
        offer = op.cloud.market().offer(spec.instance_type, spec.region or "")
        return Claim(offer.instance_type, spec.num_instances, "num_instances", spec.instance_type) if offer else None

    def holding(self, thing: Bid) -> tuple[str, int | None]:
        """Return its machines, also those that it waits for."""
        return thing.instance_type, thing.quantity

    def list_all(self, op: Operation) -> Sequence[Bid]:
        """List the live bids twice.

        A listing asks for one status after the other, so it misses a bid that goes back to an earlier one meanwhile: it
        lost its instances, and waits in the auction again. The next listing has it.
        """
        first = op.cloud.live_bids(op.clock.now())
        return list({**first, **op.cloud.live_bids(op.clock.now())}.values())

    def find(self, op: Operation, id_: str) -> Bid | None:
        """Return the bid, also one that has ended."""
        return op.cloud.bid(id_)

    def snapshot(self, thing: Bid) -> ClusterSnapshot:
        """Return the bid without its instances."""
        return ClusterSnapshot(thing, ())

    def observe(self, op: Operation, id_: str, record: Record) -> ClusterSnapshot | None:
        """Return the bid, its instances and its history. Only what is proven absent, or terminal, is gone."""
        seen = op.cloud.observe(id_, op.fresh_since)
        return None if seen is None or seen.bid.ended else bids.with_history(op.cloud, seen, record)

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> ClusterSnapshot:  # noqa: ARG002
        """Return the bid and its instances."""
        seen = op.cloud.observe_while_waiting(id_, op.fresh_since)
        if seen is None or seen.bid.ended:
            raise TerminatedError(f"the bid {id_} has ended", "`pulumi up --refresh` places a new one")
        return seen

    def observe_unready(self, op: Operation, seen: ClusterSnapshot) -> ClusterSnapshot:
        """Return the newest snapshot that can be had."""
        try:
            return op.cloud.observe(seen.bid.id, op.clock.now() - _UNREADY_SECONDS) or seen
        except Exception:  # noqa: BLE001 - the id must be recorded, whatever else goes wrong
            return seen

    def converge(
        self, op: Operation, seen: ClusterSnapshot, spec: ClusterSpec, record: Record, update: Update | None
    ) -> ClusterSnapshot:
        """Set price and pause, one PATCH each, and wait."""
        return bids.converge(op, seen, spec, record, update)

    def is_ready(self, seen: ClusterSnapshot, inputs: Mapping[str, Any]) -> bool:
        """Whether it is as far as `wait_for` asks."""
        return seen.reached(str(inputs.get("wait_for") or cluster_fields.WAIT_FOR[-1]))

    def outputs(self, seen: ClusterSnapshot, inputs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the outputs that the service decides."""
        return outputs(seen)

    def live_inputs(self, seen: ClusterSnapshot, inputs: Mapping[str, Any], record: Record) -> dict[str, Any]:  # noqa: ARG002
        """Return the inputs with the price and the pause as the service holds them."""
        live: dict[str, Any] = {"paused": seen.bid.status == "Paused"}
        if seen.bid.price is not None:
            live["max_price_per_hour"] = float(seen.bid.price)
        return {name: live.get(name, value) for name, value in inputs.items()}

    def outputs_of_get(self, seen: ClusterSnapshot) -> dict[str, Any]:
        """Return what a declared cluster has as inputs."""
        return {
            "num_instances": seen.bid.quantity,
            "instance_type": seen.bid.instance_type,
        }

    def report_drift(self, op: Operation, seen: ClusterSnapshot, record: Record) -> None:
        """Tell of detached volumes, which replace nothing by themselves, and of a new status."""
        mounts = (record.outputs or {}).get("volumes") or []
        mounted = {str(mount.get("volume_id")) for mount in mounts}
        attached = mounted if seen.bid.volumes is None else set(seen.bid.volumes)
        for detached in sorted(mounted - attached):
            op.warn_once(
                f"the volume {detached} is not attached to {seen.bid.id} any more; nothing is replaced because of that"
            )
        status = record.text("status")
        if status not in (None, seen.status):
            op.report.progress(f"was {status}, now {seen.message}", keep=True)

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Cancel the bid and see it ended. Only a bid that was seen ended gets no request to end."""
        bid = op.cloud.recently_allocated(id_) or op.cloud.find_bid(id_, op.fresh_since)
        if bid and bid.ended:
            return
        if bid:
            require_name(bid, self.words)
        if bid and bid.name != record.name:
            raise OwnershipError(
                f"the bid {id_} is named {bid.name!r} but the state records {record.name!r}",
                f"it is not ours to cancel: `pulumi state delete` forgets it, `flow cancel {id_}` ends it",
            )
        bids.cancel(op, id_, is_seen=bid is not None)


CLUSTER = GpuCluster()
