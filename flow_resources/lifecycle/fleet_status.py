"""FleetStatus: what the members of a ResilientCluster do, and the wait for as many of them as the program asks for.

It stands for nothing in the service, rents nothing and ends nothing. It is a resource of its own because members are
waited for only when all are placed: it depends on all of them, so the engine creates it after the last one.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flow_resources.core import fleet_fields
from flow_resources.core.answer import Answer
from flow_resources.core.fleet import Fleet, Member, read_members, unlucky_shrink
from flow_resources.core.hidden import Identity, Record, recorded_inputs
from flow_resources.core.inputs import Checked, has_unknown
from flow_resources.core.spec import FleetSpec
from flow_resources.errors import FlowResourcesError, NotReadyError, RejectedError, TerminatedError
from flow_resources.lifecycle.operation import LISTING_SECONDS, Operation
from flow_resources.lifecycle.resource import Resource, Update, Words


class FleetStatus(Resource[FleetSpec, Fleet, Fleet]):
    """The kind; `FLEET_STATUS` is its one instance."""

    name = "FleetStatus"
    id_prefix = "fleet_"
    fields = fleet_fields.FIELDS
    words = Words(
        noun="fleet status",
        managed="fleet status",
        end_command="",
        ends="",
        adopt_input="",
        conflict_remedy="",
        lost_by_replacement="nothing is lost, it only tells what the members do",
    )

    def check(self, op: Operation, found: Checked, olds: Mapping[str, Any], identity: Identity) -> None:  # noqa: ARG002
        """Refuse to lose the volumes of members; warn where one that runs goes, and one that waits stays."""
        if fleet_fields.guard_data(found, olds) is Answer.NOT_KNOWN and found.inputs.get("allow_data_loss") is not True:
            op.warn_once(
                "whether the state holds volumes of members that the program does not declare could not be found out, "
                "beside those of the last `up`: look at what the preview deletes"
            )
        going = fleet_fields.left_out("task_ids", found, olds)
        if not going:
            return
        declared = {
            index: (olds["task_ids"].get(index) or "") if has_unknown(id_) else id_
            for index, id_ in found.inputs["task_ids"].items()
        }
        with op.collecting_failures(found):
            seen = op.cloud.observe_all([*going.values(), *declared.values()], op.clock.now() - LISTING_SECONDS)
            if problem := unlucky_shrink(read_members(going, seen), read_members(declared, seen)):
                op.warn_once(problem)

    def parse(self, props: Mapping[str, Any]) -> FleetSpec:
        """Parse the inputs."""
        return FleetSpec.parse(props)

    # -- what is there ------------------------------------------------------------------------------------------------

    def list_live(self, op: Operation, begun_after: float) -> Sequence[Fleet]:  # noqa: ARG002
        """Return nothing: none of it is in the service."""
        return ()

    def place(self, op: Operation, spec: FleetSpec, generation: int, listed: Sequence[Fleet]) -> Fleet:  # noqa: ARG002
        """Return one with an id of its own; no request is sent."""
        return Fleet(f"{self.id_prefix}{secrets.token_hex(8)}", read_members(spec.task_ids))

    def absence(self, op: Operation, id_: str) -> FlowResourcesError:  # noqa: ARG002
        """Return that it cannot be imported."""
        return RejectedError(
            f"{id_} is not imported: a FleetStatus stands for nothing in the service",
            "import the members, which are GpuClusters",
        )

    def describe_cost(self, thing: Fleet) -> str:  # noqa: ARG002
        """Return that it costs nothing."""
        return "no cost"

    def snapshot(self, thing: Fleet) -> Fleet:
        """Return it as it is."""
        return thing

    def observe(self, op: Operation, id_: str, record: Record) -> Fleet:
        """Return what the members do now, from the listings that a refresh of the members reads."""
        task_ids = recorded_inputs(record.outputs or {}).get("task_ids") or {}
        return self._observe(op, Fleet(id_, read_members(task_ids)), op.fresh_since)

    def observe_for_update(self, op: Operation, id_: str, record: Record) -> Fleet:  # noqa: ARG002
        """Return it without its members, which `converge` observes."""
        return Fleet(id_, ())

    def observe_unready(self, op: Operation, seen: Fleet) -> Fleet:
        """Return what the members do now, as far as that can be had."""
        try:
            return self._observe(op, seen, op.clock.now() - LISTING_SECONDS)
        except Exception:  # noqa: BLE001 - it must be recorded, whatever else goes wrong
            return seen

    def _observe(self, op: Operation, fleet: Fleet, begun_after: float) -> Fleet:
        return fleet.with_seen(op.cloud.observe_all(fleet.task_ids, begun_after))

    # -- waiting ------------------------------------------------------------------------------------------------------

    def converge(self, op: Operation, seen: Fleet, spec: FleetSpec, record: Record, update: Update | None) -> Fleet:  # noqa: ARG002
        """Wait until `min_running` members run, where that is asked for; then return what all of them do."""
        fleet = Fleet(seen.id, read_members(spec.task_ids))
        if spec.paused or (update and not update.inputs & fleet_fields.AWAITED):
            return self._observe(op, fleet, op.clock.now())
        return self._wait(op, fleet, spec)

    def _wait(self, op: Operation, placed: Fleet, spec: FleetSpec) -> Fleet:
        ended = set[str]()

        def poll(moment: float) -> Fleet:
            fleet = placed.with_seen(op.cloud.observe_all_while_waiting(placed.task_ids, moment))
            if len(fleet.running) < spec.min_running:
                ended.update(self._find_ended(op, fleet.members, ended))
            return fleet

        fleet = placed
        for fleet in op.deadline.watch(poll, op.cloud.waiting_for(placed.task_ids)):
            if len(fleet.running) >= spec.min_running:
                op.report.progress(fleet.message)
                return fleet
            if len(fleet.members) - len(ended) < spec.min_running:
                raise TerminatedError(
                    f"{fleet.message}, and min_running is {spec.min_running}, but {', '.join(sorted(ended))} has ended",
                    "`pulumi up --refresh` places a new bid for it",
                )
            op.report.progress(f"{fleet.message}, waiting for {spec.min_running}: {op.deadline.minute()}")
        raise NotReadyError(
            f"{fleet.message}, and min_running is {spec.min_running}",
            "raise the bid, lower min_running or wait; run `pulumi up` again to go on",
        )

    def _find_ended(self, op: Operation, members: Sequence[Member], known: Collection[str]) -> set[str]:
        """Ask about one member that no listing shows, so one per poll however many there are; return it if it ended."""
        missing = next((one for one in members if one.seen is None and one.task_id not in known), None)
        if missing is None:
            return set()
        bid = op.cloud.find_bid(missing.task_id, op.clock.now())
        return {missing.task_id} if bid is None or bid.ended else set()

    def is_ready(self, seen: Fleet, inputs: Mapping[str, Any]) -> bool:
        """Whether as many members run as the program asks for."""
        return inputs.get("paused") is True or len(seen.running) >= int(inputs.get("min_running") or 0)

    # -- outputs ------------------------------------------------------------------------------------------------------

    def outputs(self, seen: Fleet, inputs: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return what the members do, and the addresses of those that run."""
        addresses = [member.as_output()["public_ip"] for member in seen.running]
        return {
            "project": None,  # as it was recorded at first: the account guard compares it
            "members": [member.as_output() for member in seen.members],
            "running": len(seen.running),
            "public_ips": [address for address in addresses if address],
        }

    def report_drift(self, op: Operation, seen: Fleet, record: Record) -> None:  # noqa: ARG002
        """Tell on the row what the members do."""
        op.report.progress(seen.message)

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Do nothing: the members end by themselves."""


FLEET_STATUS = FleetStatus()
