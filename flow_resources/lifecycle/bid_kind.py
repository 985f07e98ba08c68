"""What every kind of resource that is a bid has in common: how it is listed, placed, judged, cancelled and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from flow_resources.cloud import Launch
from flow_resources.core import money
from flow_resources.core.answer import Answer
from flow_resources.core.config_keys import PROJECT_PLACES
from flow_resources.core.hidden import Record, read_resolved_bid
from flow_resources.core.inputs import Checked
from flow_resources.core.market import Market
from flow_resources.core.models import Bid
from flow_resources.core.naming import Mark
from flow_resources.core.price_lines import Terms
from flow_resources.core.spec import PlacementSpec
from flow_resources.core.status import ClusterSnapshot
from flow_resources.core.takeover import Wanted
from flow_resources.errors import (
    AccountMismatchError,
    FlowResourcesError,
    NotFoundError,
    OwnershipError,
    RejectedError,
    TerminatedError,
)
from flow_resources.lifecycle import bid as bids
from flow_resources.lifecycle.doubles import end_doubles
from flow_resources.lifecycle.operation import Operation
from flow_resources.lifecycle.quota import Claim
from flow_resources.lifecycle.resource import Resource, require_name

P = TypeVar("P", bound=PlacementSpec)
V = TypeVar("V", bound=ClusterSnapshot)


class BidKind(Resource[P, Bid, V]):
    """A kind of resource that is one bid. Its instance holds nothing."""

    id_prefix = "bid_"
    called: ClassVar[str]
    """How messages call one: "cluster"."""
    has_long_script: ClassVar[bool] = False
    """Whether its start-up script is long also where the program's part in it is short."""

    def known_outputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the most that it will cost, where its price and its machines are known."""
        terms = Terms.recorded(inputs)
        return {} if terms is None else {"max_cost_per_hour": float(terms.price * terms.machines)}

    def pin_inputs(self, op: Operation, found: Checked, olds: Mapping[str, Any]) -> None:
        """Put recorded inputs in the place of the program's, where they mean what stands already."""

    def settle_price(
        self, op: Operation, found: Checked, olds: Mapping[str, Any], market: Market | None, budget: Decimal | None
    ) -> None:
        """Put another bid in the place of the program's, where more than the program decides it."""

    def may_cost(self, op: Operation, found: Checked, olds: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether it can cost anything, or has ended for good."""
        return True

    def fitted(self, op: Operation, launch: Launch, spec: P) -> Launch:  # noqa: ARG002
        """Return a launch with all that its start-up script will hold, for its size."""
        return launch

    def check_running(self, op: Operation, found: Checked, mark: Mark, market: Market) -> bool:  # noqa: ARG002
        """Check what the program adopts; return whether its machines run already, so that none have to be on offer."""
        return False

    def allowed_price(
        self,
        op: Operation,  # noqa: ARG002
        found: Checked,  # noqa: ARG002
        olds: Mapping[str, Any],  # noqa: ARG002
        price: Decimal,
        cap: Decimal | None,  # noqa: ARG002
    ) -> Decimal:
        """Return the price next to one that a policy has resolved to which the bid may have, at most the cap."""
        return price

    def has_hidden_change(self, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Whether the outputs record another resolved number than the inputs, or one without a policy."""
        return read_resolved_bid(olds) != read_resolved_bid(news)

    def require_resolved(self, spec: P) -> None:
        """Refuse a bid without machines, a region, or a price."""
        if not spec.instance_type:
            raise RejectedError(
                "the placement could not be resolved while the service was out of reach", "run `pulumi up` again"
            )
        self.require_updatable(spec)
        if not spec.region:
            raise RejectedError(
                "the region could not be resolved while the service was out of reach", "run `pulumi up` again"
            )

    def require_updatable(self, spec: P) -> None:
        """Refuse a bid whose policy could not be resolved."""
        if not spec.max_price_per_hour:
            raise RejectedError(
                "bid_policy could not be resolved while the prices of the market were not known: nothing was sent",
                "run `pulumi up` again, or write a number as max_price_per_hour",
            )

    def list_live(self, op: Operation, begun_after: float) -> Sequence[Bid]:
        """List the live bids."""
        return list(op.cloud.live_bids(begun_after).values())

    def list_before_create(self, op: Operation, spec: P) -> Sequence[Bid]:
        """List the live bids that a create judges: with its mark, or recorded for it, or of a name that is not known.

        The others do not change what is decided, and are not read again.
        """
        # Each of a thousand creates looks at a thousand bids: their names are not taken apart for that.
        digits, recorded = str(spec.mark), op.ledger.recorded_ids(spec.mark)

        def matters(bid: Bid) -> bool:
            return digits in bid.name or not bid.name_is_known or bid.id in recorded

        return op.cloud.live_bids_before_create(matters, op.clock.now())

    def want(self, op: Operation, spec: P) -> Wanted[Bid]:
        """Return what a create wants: count and region are compared too."""
        return Wanted(
            spec.mark,
            spec.digest(op.settings.api_key),
            may_cancel=True,
            differs=lambda bid: bid.quantity != spec.num_instances or bid.region != spec.region,
        )

    def is_of_another_user(self, op: Operation, thing: Bid) -> Answer:
        """Whether another user's key placed it; not known where the service does not say."""
        user = op.cloud.user() if thing.created_by else None
        return Answer.of(thing.created_by != user if user else None)

    def require_placeable(self, op: Operation, spec: P) -> None:
        """Refuse a bid that is not known to be on offer, or whose keys are gone."""
        bids.find_offer(op, spec)
        bids.find_key_ids(op, spec)

    def place(self, op: Operation, spec: P, generation: int, listed: Sequence[Bid]) -> Bid:  # noqa: ARG002
        """Place a bid."""
        begun = op.cloud.service_now()
        placed = bids.place(op, spec, self.words, generation)
        end_doubles(op, self, spec, placed.doubles, begun)
        return placed.bid

    def cancel(self, op: Operation, thing: Bid) -> None:
        """Cancel a bid."""
        bids.cancel(op, thing.id)

    def describe_cost(self, thing: Bid) -> str:
        """Return what a bid can cost at most."""
        return "at an unknown price" if thing.max_cost is None else f"up to {money.usd(thing.max_cost)}/h"

    def claim(self, op: Operation, spec: P) -> Claim | None:
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

    def absence(self, op: Operation, id_: str) -> FlowResourcesError:
        """Return why a task is not among the live ones: the service still tells of one that has ended."""
        bid, project = op.cloud.bid(id_), op.cloud.project()
        if bid is None:
            return NotFoundError(
                f"there is no {self.words.managed} {id_} in project {project.name}", "`flow status` shows them"
            )
        if bid.ended:
            return TerminatedError(f"the bid {id_} has ended", "there is nothing left to adopt: remove the id")
        if bid.project != project.id:
            return AccountMismatchError(
                f"the bid {id_} is in project {bid.project}, but the settings point at {project.name} ({project.id})",
                f"set {PROJECT_PLACES} to its project",
            )
        return RejectedError(f"the service calls the bid {id_} {bid.status!r} and does not list it", "run it again")

    def outputs_of_get(self, seen: V) -> dict[str, Any]:
        """Return what a declared cluster has as inputs."""
        return {
            "num_instances": seen.bid.quantity,
            "instance_type": seen.bid.instance_type,
        }

    def delete(self, op: Operation, id_: str, record: Record) -> None:
        """Cancel the bid and see it ended."""
        self._end(op, id_, record)

    def _end(self, op: Operation, id_: str, record: Record) -> Bid | None:
        """Cancel the bid and see it ended; return it as it was. Only one that was seen ended gets no request to end."""
        bid = op.cloud.recently_allocated(id_) or op.cloud.find_bid(id_, op.fresh_since)
        if bid and bid.ended:
            return bid
        if bid:
            require_name(bid, self.words)
        if bid and bid.name != record.name:
            raise OwnershipError(
                f"the bid {id_} is named {bid.name!r} but the state records {record.name!r}",
                f"it is not ours to cancel: `pulumi state delete` forgets it, `flow cancel {id_}` ends it",
            )
        bids.cancel(op, id_, is_seen=bid is not None)
        return bid
