"""Two hundred rounds of an auction that takes a fifth of the machines: the state follows, and nothing is rented."""

from __future__ import annotations

import functools
import random
import ssl

import pytest
from support.stack import Stack, cluster

from flow_resources.testing import FakeMithril

ROUNDS, SHARE, SEED = 200, 0.2, 20
PROGRAM = {name: cluster() for name in ("a", "b", "c", "d")}


def test_each_round_is_told_as_it_is_and_rents_nothing(
    stack: Stack, cloud: FakeMithril, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At random a fifth loses its machines and those before win theirs back: one live bid each, under one id."""
    monkeypatch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
    chance = random.Random(SEED)
    stack.up(PROGRAM)
    ids = {name: saved.id for name, saved in stack.state.items()}
    cloud.clear_requests()
    lost: dict[str, int] = dict.fromkeys(PROGRAM, 0)
    out: set[str] = set()
    for number in range(ROUNDS):
        for name in sorted(out):
            cloud.release(ids[name])
        out = {name for name in PROGRAM if chance.random() < SHARE}
        for name in sorted(out):
            cloud.preempt(ids[name])
            lost[name] += 1
        stack.refresh()
        told = {name: saved.outputs["status"] for name, saved in stack.state.items()}
        assert told == {name: "preempted" if name in out else "running" for name in PROGRAM}, (SEED, number)
        assert {name: saved.outputs["preemptions"] for name, saved in stack.state.items()} == lost, (SEED, number)
        stack.up(PROGRAM)
        assert {name: saved.id for name, saved in stack.state.items()} == ids
    assert sum(lost.values()) > ROUNDS * len(PROGRAM) * SHARE / 2
    assert [bid["fid"] for bid in cloud.bids] == list(ids.values())
    assert not cloud.mutations
