"""What was paid for the clusters of a stack, as the watch shows it beside what the engine tells.

The service is asked once a look: one read for each bid that is not known to have ended, and a listing of all bids where
a cluster has another bid than before. What could be read last stays where it cannot be read now: no look fails for it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from flow_resources.cli import target
from flow_resources.cli.watch.look import Cluster
from flow_resources.core.costs import NOT_KNOWN, Spending, spending_of
from flow_resources.core.hidden import MARK
from flow_resources.core.models import Bid
from flow_resources.core.naming import take_apart
from flow_resources.errors import ConfigError, FlowResourcesError
from flow_resources.lifecycle.costs import read_paid
from flow_resources.lifecycle.operation import Operation

_OVER = ("terminated", "succeeded", "ended", "gone")
"""The statuses of a cluster or job whose bid has ended."""


class StackCosts:
    """What was paid for one stack. `config` reads the stack's configuration, secrets in clear."""

    def __init__(self, config: Callable[[], Mapping[str, str]]) -> None:
        self._config = config
        self._open = ExitStack()
        self._op: Operation | None = None
        self._is_off = False
        """Whether there is no API key, and nothing is asked."""
        self._ended: dict[str, bool] = {}
        """Whether each bid that the service tells of has ended, by id."""
        self._listed_for: set[str] = set()
        """The bids of the clusters when all bids were listed last."""
        self._absent: set[str] = set()
        """The bids of clusters that are over of which the service does not tell any more."""
        self._by_mark = defaultdict[str, set[str]](set)
        """The ids of the bids of each mark."""
        self._known: dict[str, Spending] = {}
        """What was read last, by the bid's id."""
        self._final: set[str] = set()
        """The bids of which nothing can change any more."""

    def shown_with(self, clusters: Iterable[Cluster]) -> list[Cluster]:
        """Return clusters with what was paid for them; None where nothing is known."""
        clusters = list(clusters)
        if not self._is_off:
            try:
                self._read(clusters)
            except ConfigError:
                self._is_off = True
            except FlowResourcesError:
                self.close()  # the next look begins anew, with the configuration as it is then
        return [dataclasses.replace(cluster, spending=self._spending(cluster)) for cluster in clusters]

    def close(self) -> None:
        """Close the connection to the service; the next look opens it again."""
        self._open.close()
        self._op = None

    def _read(self, clusters: Sequence[Cluster]) -> None:
        current = {cluster.task_id: cluster for cluster in clusters if cluster.task_id}
        if not current:
            return
        if self._op is None:
            self._op = self._open.enter_context(target.operation(self._config()))
        if current.keys() - self._listed_for:
            self._list(self._op)
            self._listed_for = set(current)
        for id_ in current.keys() - self._ended.keys() - self._absent:
            self._look_up(self._op, current[id_])
        # What nobody lists is not read: of a bid that it does not know, the service says that nothing was paid.
        wanted = ({id_ for cluster in clusters for id_ in self._bids(cluster)} & self._ended.keys()) - self._final
        paid = read_paid(self._op, sorted(wanted))
        now = self._op.cloud.service_now()  # as its answers just told; what ends in the moments between is seen next
        for id_, periods in paid.items():
            self._known[id_] = spending = spending_of(periods, now)
            has_ended = current[id_].status in _OVER if id_ in current else self._ended.get(id_, False)
            if has_ended and spending.is_final and spending.is_complete:
                self._final.add(id_)

    def _list(self, op: Operation) -> None:
        """List what has been placed since the last listing, and what lived then; the first time, all bids."""
        alive = {id_ for id_, has_ended in self._ended.items() if not has_ended}

        def is_enough(bid: Bid) -> bool:
            alive.discard(bid.id)
            return bid.id in self._ended and not alive

        for bid in op.cloud.every_bid(is_enough):
            self._ended[bid.id] = bid.ended
            if name := take_apart(bid.name):
                self._by_mark[str(name.mark)].add(bid.id)

    def _look_up(self, op: Operation, cluster: Cluster) -> None:
        """Read a bid that the listing does not have (yet)."""
        bid = op.cloud.bid(cluster.task_id)
        if bid is not None:
            self._ended[bid.id] = bid.ended
        elif cluster.status in _OVER:
            self._absent.add(cluster.task_id)

    def _bids(self, cluster: Cluster) -> list[str]:
        """Return the ids of the bids that count to a cluster: its own, and the earlier ones of the same mark."""
        mark = str(cluster.shown.get(MARK) or "")
        return sorted({cluster.task_id, *self._by_mark.get(mark, ())} - {""})

    def _spending(self, cluster: Cluster) -> Spending | None:
        parts = [self._known.get(id_, NOT_KNOWN) for id_ in self._bids(cluster)]
        return Spending.total(parts) if any(part is not NOT_KNOWN for part in parts) else None
