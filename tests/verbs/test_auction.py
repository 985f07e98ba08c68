"""Two hundred rounds of an auction that preempts a fifth of the clusters: the state follows, and nothing is created."""

from __future__ import annotations

import random

from support.stack import Stack, cluster

from flow_resources.testing import FakeMithril

ROUNDS, SHARE, SEED = 200, 0.2, 20
PROGRAM = {name: cluster() for name in ("a", "b", "c", "d")}


def test_each_round_is_recorded_and_creates_nothing(stack: Stack, cloud: FakeMithril) -> None:
    """A random fifth is preempted and the previous ones win again: one live bid each, with the same id."""
    rng = random.Random(SEED)
    stack.up(PROGRAM)
    ids = {name: saved.id for name, saved in stack.state.items()}
    cloud.clear_requests()
    preemptions: dict[str, int] = dict.fromkeys(PROGRAM, 0)
    preempted: set[str] = set()
    for number in range(ROUNDS):
        for name in sorted(preempted):
            cloud.release(ids[name])
        preempted = {name for name in PROGRAM if rng.random() < SHARE}
        for name in sorted(preempted):
            cloud.preempt(ids[name])
            preemptions[name] += 1
        stack.refresh()
        statuses = {name: saved.outputs["status"] for name, saved in stack.state.items()}
        assert statuses == {name: "preempted" if name in preempted else "running" for name in PROGRAM}, (SEED, number)
        assert {name: saved.outputs["preemptions"] for name, saved in stack.state.items()} == preemptions, (
            SEED,
            number,
        )
        stack.up(PROGRAM)
        assert {name: saved.id for name, saved in stack.state.items()} == ids
    assert sum(preemptions.values()) > ROUNDS * len(PROGRAM) * SHARE / 2
    assert [bid["fid"] for bid in cloud.bids] == list(ids.values())
    assert not cloud.mutations
