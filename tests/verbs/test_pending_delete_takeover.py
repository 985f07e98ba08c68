"""What waits for its end, and is found by its name first: kept, recorded once, and never two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.stack import Declared, FakeClock, Stack, VerbError, cluster, settings_of, volume

from flow_resources.testing import MANUAL, FakeMithril

Program = dict[str, Declared]
Make = Callable[..., Program]


def trainer(word: int, **more: Any) -> Program:
    return {"it": cluster(create_first=True, command=f"echo {word}", **more)}


def data(word: int, **more: Any) -> Program:
    return {"it": volume(size_gb=100 * word, allow_replace=True, **more)}


def live(cloud: FakeMithril) -> list[str]:
    return sorted(item["fid"] for item in [*cloud.live_bids, *cloud.volumes])


def end(cloud: FakeMithril, id_: str) -> None:
    """End something behind the stack's back."""
    (cloud.terminate if id_.startswith("bid") else cloud.delete_volume)(id_)


def leave_one_waiting(stack: Stack, cloud: FakeMithril, make: Make) -> tuple[str, str]:
    """Replace the first by the second, the first of which cannot be ended: the state keeps it, hidden."""
    stack.up(make(1))
    first = stack.state["it"].id
    cloud.faults.add(method="DELETE", status=403, times=None)
    with pytest.raises(VerbError):
        stack.up(make(2))
    cloud.faults.clear()
    assert [saved.id for _, saved in stack.pending_deletes] == [first]
    return first, stack.state["it"].id


each_kind = pytest.mark.parametrize("make", [trainer, data])


@each_kind
@pytest.mark.parametrize("refreshes", ["none", "before", "with it"])
def test_what_waits_for_its_end_and_is_taken_over_is_kept(
    stack: Stack, cloud: FakeMithril, make: Make, refreshes: str
) -> None:
    """The second one is gone, the program says again what the first one is: that goes on, and the state says so."""
    first, second = leave_one_waiting(stack, cloud, make)
    end(cloud, second)
    if refreshes == "before":
        stack.refresh()
    if refreshes == "none":
        del stack.state["it"]
    stack.up(make(1), refresh=refreshes == "with it")
    assert live(cloud) == [first] == [stack.state["it"].id]
    assert not stack.pending_deletes
    cloud.clear_requests()
    stack.up(make(1), refresh=True)
    assert not cloud.mutations
    stack.destroy()
    assert live(cloud) == []


def test_it_is_kept_also_where_the_one_that_took_it_over_was_not_ready(cloud: FakeMithril, clock: FakeClock) -> None:
    """The next `up` goes on with it, and then meets the deletion that is still to be done."""
    stack = Stack(settings_of(cloud), clock=clock)
    first, second = leave_one_waiting(stack, cloud, trainer)
    end(cloud, second)
    stack.refresh()
    cloud.set_options(boot_seconds=MANUAL)
    cloud.preempt(first)
    doomed, stack.pending_deletes = stack.pending_deletes, []  # the engine, which has failed, deletes nothing any more
    with pytest.raises(VerbError, match="run `pulumi up` again to go on"):
        stack.up(trainer(1, timeout=60))
    stack.pending_deletes = doomed
    assert stack.state["it"].id == first
    cloud.release(first)
    cloud.finish("boot", first)
    stack.up(trainer(1))
    assert live(cloud) == [first] == [stack.state["it"].id]
    assert not stack.pending_deletes


@each_kind
def test_what_was_taken_over_and_is_given_up_later_ends(stack: Stack, cloud: FakeMithril, make: Make) -> None:
    """Each way of giving up: taken out, replaced, destroyed; also while the older deletion is still to be done."""
    for give_up in (lambda: stack.up({}), lambda: stack.up(make(3)), stack.destroy):
        first, second = leave_one_waiting(stack, cloud, make)
        end(cloud, second)
        stack.refresh()
        waiting = list(stack.pending_deletes)
        stack.up(make(1))
        stack.pending_deletes = waiting
        give_up()
        assert first not in live(cloud)
        assert live(cloud) == [saved.id for saved in stack.state.values()]
        assert not stack.pending_deletes
        stack.destroy()
        assert live(cloud) == []


def test_a_cluster_moves_to_another_name_by_adoption(stack: Stack, cloud: FakeMithril) -> None:
    """The old resource leaves the program in the same `up`: its deletion does not end what the new one adopted."""
    stack.up({"old": cluster()})
    kept = stack.state["old"].id
    stack.up({"new": cluster(adopt_task_id=kept)})
    assert live(cloud) == [kept] == [stack.state["new"].id]
    assert list(stack.state) == ["new"]
    stack.destroy()
    assert live(cloud) == []


@pytest.mark.parametrize(
    ("make", "change"),
    [(trainer, {"max_price_per_hour": 60.0}), (data, {"volume_name": "corpus"})],
    ids=["bid", "volume"],
)
def test_a_record_keeps_its_word_through_an_update_and_a_refresh(stack: Stack, make: Make, change: Program) -> None:
    """Only a create chooses another."""
    stack.up(make(1))
    first = stack.state["it"].outputs["__create_id"]
    stack.up(make(1, **change))
    stack.refresh()
    assert stack.state["it"].outputs["__create_id"] == first
    stack.up(make(2))
    assert stack.state["it"].outputs["__create_id"] != first
