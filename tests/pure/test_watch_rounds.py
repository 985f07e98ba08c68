"""Rounds of the watch without an engine: what it tells, what takes the stack's lock, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from support.watched import (
    AT,
    HANDLED,
    FakeWatched,
    Told,
    a_cluster,
    a_fleet_status,
    a_raise,
    a_replacement,
    urn_of,
)

from flow_resources.cli.watch.look import Outcome, Step
from flow_resources.cli.watch.pace import heal_message
from flow_resources.cli.watch.round import Watch, Wishes
from flow_resources.cli.watch.stack import StackUnreachableError
from flow_resources.clock import Clock
from flow_resources.core.hidden import PREEMPTION

C0, C1 = urn_of("c0"), urn_of("c1")
EDIT = Step(urn_of("bucket", "aws:Bucket"), "aws:Bucket", frozenset({"delete"}))


class StillClock(Clock):
    """A clock that moves when somebody sleeps, and notes for how long."""

    def __init__(self) -> None:
        self.seconds, self.slept = 0.0, list[float]()

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.slept.append(seconds)

    def utc(self) -> datetime:
        return datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


def a_watch(*stacks: FakeWatched, stopping=lambda: False, **wishes):
    told, clock = Told(), StillClock()
    return Watch(stacks, Wishes(**wishes), told, clock, stopping), told, clock


def preempted(*names: str, policy: str = "raise_bid", **more) -> FakeWatched:
    """Make a stack whose clusters were preempted, and whose state says so."""
    make = a_replacement if policy == "replace" else a_raise
    return FakeWatched([a_cluster(name, "preempted", policy) for name in names], [make(name) for name in names], **more)


def test_a_quiet_round_takes_no_lock_and_tells_nothing():
    stack = FakeWatched([a_cluster()])
    watch, told, _ = a_watch(stack, heal=True)
    for _ in range(20):
        watch.round()
    assert (stack.done, told.words, watch.code, stack.looks) == ([], [], 0, 20)


def test_what_has_changed_is_told_and_recorded_once():
    """Only the clusters that differ are refreshed; a look without --heal heals nothing."""
    lost = replace(a_cluster("c0", "preempted"), recorded=a_cluster().live, is_recorded=False)
    stack = FakeWatched([lost, a_cluster("c1")], [a_raise("c0")])
    watch, told, _ = a_watch(stack)
    watch.round()
    watch.round()
    assert told.words == ["preempted c0"]
    assert stack.done == [("refresh", C0)]
    assert watch.code == 3


def test_two_of_three_are_healed_in_one_operation_and_the_third_is_untouched():
    stack = preempted("c0", "c1")
    stack.clusters.append(a_cluster("c2"))
    watch, told, _ = a_watch(stack, heal=True, once=True)
    watch.round()
    assert stack.done == [("up", C0, C1)]
    assert told.words == ["healed c0", "healed c1"]
    assert stack.history[0][0] == heal_message(["c0", "c1"])
    assert watch.code == 0
    watch.round()
    assert (len(stack.done), told.words, watch.code) == (1, [], 0), "and not again"


def test_pending_edits_are_named_once_and_left_alone():
    """The bucket that a person has removed from the program stays; the cluster is healed beside it."""
    stack = preempted("c0")
    stack.steps.append(EDIT)
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    watch.round()
    assert stack.done == [("up", C0)]
    assert told.words == ["left_alone", "healed c0"]
    stack.steps.clear()
    watch.round()
    stack.steps.append(EDIT)
    watch.round()
    assert told.words == ["left_alone"], "what went away and came back is news"
    assert stack.done == [("up", C0)]


def test_a_cluster_with_an_edit_is_left_alone_and_the_others_are_healed():
    stack = preempted("c0", "c1")
    stack.steps[0] = a_raise("c0", changed=frozenset({"env", "max_price_per_hour"}))
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    watch.round()
    assert stack.done == [("up", C1)]
    assert told.words == ["left_alone c0", "healed c1"]
    assert watch.code == 3, "c0 waits, and nothing was done for it"


def test_apply_all_does_what_an_up_would():
    stack = preempted("c0")
    stack.steps.append(EDIT)
    watch, told, _ = a_watch(stack, heal=True, apply_all=True)
    watch.round()
    assert stack.done == [("up",)]
    assert told.words == ["healed c0"]
    assert stack.steps == []
    watch.round()
    assert stack.done == [("up",)]


def test_apply_all_heals_within_the_limit_of_the_hour_what_it_may():
    """An `up` of everything would heal more: the edits wait, and so does what is over the limit."""
    stack = preempted("c0", "c1")
    stack.steps.append(EDIT)
    watch, told, _ = a_watch(stack, heal=True, apply_all=True, max_heals_per_hour=1)
    watch.round()
    assert stack.done == [("up", C0)]
    assert told.words == ["left_alone c1", "left_alone", "healed c0"]
    assert watch.code == 1


def test_a_policy_that_does_nothing_waits():
    """That is keep and fail; and a bid at its limit, which the preview leaves as it is."""
    stack = FakeWatched([a_cluster("c0", "preempted", "keep"), a_cluster("c1", "preempted")], [])
    watch, told, _ = a_watch(stack, heal=True, once=True)
    watch.round()
    assert (stack.done, told.words, watch.code) == ([], [], 3)


def test_one_that_was_acted_for_in_an_earlier_run_does_not_fail_a_cron_job():
    """The state says so."""
    acted = a_cluster("c0", "preempted")
    acted = replace(acted, inputs={**acted.inputs, **a_raise().news})
    watch, _, _ = a_watch(FakeWatched([acted]), heal=True, once=True)
    watch.round()
    assert watch.code == 0
    text = HANDLED.replace(f"seen=bid_1@{AT}", f"seen=bid_1@{AT.replace('Z', '+00:00')}")
    other_spelling = replace(acted, inputs={**acted.inputs, PREEMPTION: text})
    watch, _, _ = a_watch(FakeWatched([other_spelling]), heal=True, once=True)
    watch.round()
    assert watch.code == 0, "the same moment, as the service writes it now"
    plain, _, _ = a_watch(FakeWatched([acted]), once=True)
    plain.round()
    assert plain.code == 3, "without --heal no policy acts"


def test_a_locked_stack_is_waited_for_and_told_once():
    """A later round tries again; `--once` waits within its round, and gives up in the end."""
    stack = preempted("c0", busy=2)
    watch, told, clock = a_watch(stack, heal=True)
    for _ in range(3):
        watch.round()
    assert told.words == ["waiting_for_stack", "healed c0"]
    assert clock.slept == []
    once = preempted("c0", busy=3)
    watch, told, clock = a_watch(once, heal=True, once=True)
    watch.round()
    assert (told.words, watch.code) == (["waiting_for_stack", "healed c0"], 0)
    assert clock.slept == [2.0, 4.0, 8.0]
    dead = preempted("c0", busy=10**6)
    watch, told, clock = a_watch(dead, heal=True, once=True)
    watch.round()
    assert (told.words, watch.code, dead.done) == (["waiting_for_stack"], 1, [])
    assert 300 <= clock.seconds < 400


def test_an_outage_is_told_once_backed_off_and_its_end_is_told():
    stack = FakeWatched([a_cluster()], looking=StackUnreachableError("no answer"))
    watch, told, clock = a_watch(stack, interval=60.0)
    for _ in range(30):
        watch.round()
        clock.sleep(60)
    assert stack.looks == 5, "after 0, 1, 3, 7 and 15 minutes"
    assert (told.words, watch.code) == (["unreachable"], 1)
    stack.looking = None
    watch.round()
    assert (told.words, watch.code) == (["reachable"], 0)


def test_what_is_not_known_of_one_cluster_heals_nothing_of_it_and_is_no_event_of_it():
    stack = preempted("c0")
    stack.clusters[0] = replace(stack.clusters[0], problem="no answer")
    watch, told, _ = a_watch(stack, heal=True, once=True)
    watch.round()
    assert stack.done == []
    assert told.words == ["unreachable"]
    assert watch.code == 1


def test_a_heal_that_fails_is_told_backed_off_and_tried_again():
    stack = preempted("c0")
    stack.on_up = lambda _stack, _targets: Outcome(failed={C0: "no capacity"}, problem="update failed")
    watch, told, clock = a_watch(stack, heal=True, interval=60.0)
    watch.round()
    watch.round()
    assert (len(stack.done), told.words, watch.code) == (1, ["heal_failed c0"], 3)
    clock.sleep(61)
    stack.on_up = None
    watch.round()
    assert told.words == ["healed c0"]


def test_a_world_that_changes_between_preview_and_up_is_planned_anew():
    """The plan refused it. One that never holds still is left to the next round."""
    stack = preempted("c0")
    answers = [
        Outcome(failed={C0: "violates plan"}, problem="violates plan", is_outdated=True),
        Outcome(frozenset({C0})),
    ]
    stack.on_up = lambda _stack, _targets: answers.pop(0)
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    assert (told.words, len(stack.done)) == (["healed c0"], 2)
    restless = preempted("c0")
    restless.on_up = lambda _stack, _targets: Outcome(is_outdated=True)
    watch, told, _ = a_watch(restless, heal=True)
    watch.round()
    assert (told.words, len(restless.done), watch.code) == (["heal_failed c0"], 3, 1)


def test_what_another_has_done_meanwhile_is_no_failure():
    """Another watch, or a person: the `up` did nothing, and the next preview shows nothing."""
    stack = preempted("c0")

    def by_another(stack, _targets):
        stack.steps.clear()
        return Outcome()

    stack.on_up = by_another
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    assert (told.words, len(stack.done), watch.code) == ([], 1, 3)
    early = preempted("c0")
    early.on_preview = lambda stack: stack.steps.clear()
    watch, told, _ = a_watch(early, heal=True)
    watch.round()
    assert (told.words, early.done) == ([], [])


def test_one_that_cannot_be_previewed_does_not_keep_the_others_from_it():
    """Each is tried alone then."""
    stack = preempted("c0", "c1", problem="the check of c9 fails")
    stack.steps.clear()
    watch, told, _ = a_watch(stack, heal=True)

    def only_c1(stack):
        stack.problem = "" if stack.asked == [C1] else "the check of c0 fails"
        stack.steps = [a_raise("c1")] if stack.asked == [C1] else []

    ask = stack.preview

    def preview(targets, plan):
        stack.asked = list(targets)
        return ask(targets, plan)

    stack.preview, stack.on_preview = preview, only_c1
    watch.round()
    assert told.words == ["left_alone", "heal_failed c0", "healed c1"]
    assert stack.done == [("up", C1)]


def test_no_more_is_healed_within_an_hour_than_the_limit():
    """By the stack's history: what another watch has healed counts."""
    stack = preempted("c0", "c1", "c2", history=[(heal_message(["x"]), None)])
    watch, told, _ = a_watch(stack, heal=True, max_heals_per_hour=2)
    watch.round()
    watch.round()
    assert stack.done == [("up", C0)]
    assert told.words == ["left_alone c1", "left_alone c2", "healed c0"]
    assert watch.code == 1
    stack.history.clear()
    watch.round()
    assert stack.done[1:] == [("up", C1, urn_of("c2"))]


def test_a_history_that_cannot_be_read_heals_nothing():
    stack = preempted("c0")

    def unreadable(_since):
        raise StackUnreachableError("no history")

    stack.updates = unreadable
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    assert (stack.done, told.words, watch.code) == ([], ["unreachable"], 1)


def test_a_stack_without_room_for_a_plan_is_told_and_the_next_one_is_healed(monkeypatch, tmp_path):
    """A full or missing folder for temporary files ends no watch."""
    broken, sound = preempted("c0"), preempted("c0", name="acme/training/prod")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    ask = sound.updates

    def updates(since):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        return ask(since)

    sound.updates = updates
    watch, told, _ = a_watch(broken, sound, heal=True)
    watch.round()
    assert (broken.done, sound.done) == ([], [("up", C0)])
    assert told.words == ["unreachable", "healed c0"]
    assert watch.code == 1


def test_a_fleets_status_is_healed_along_and_an_edit_of_the_fleet_is_not():
    fleet = "urn:pulumi:dev::training::flow:index:ResilientCluster::fleet"
    stack = preempted("c0", policy="replace")
    stack.clusters = [replace(stack.clusters[0], parent=fleet)]
    stack.steps = [a_replacement("c0", parent=fleet), a_fleet_status(fleet)]
    edited = replace(
        stack, steps=[stack.steps[0], replace(stack.steps[1], changed=frozenset({"min_running"}))], done=[]
    )
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    assert stack.done == [("up", C0, a_fleet_status(fleet).urn)]
    assert told.words == ["healed c0"]
    watch, told, _ = a_watch(edited, heal=True)
    watch.round()
    assert edited.done == [("up", C0)]


def test_a_member_is_healed_where_the_preview_of_its_fleets_status_fails():
    """As with a larger size that nobody has applied: the status depends on a member that is no target."""
    fleet = "urn:pulumi:dev::training::flow:index:ResilientCluster::fleet"
    stack = preempted("c0", policy="replace")
    stack.clusters = [replace(stack.clusters[0], parent=fleet)]
    stack.steps = [a_replacement("c0", parent=fleet), a_fleet_status(fleet)]
    ask = stack.preview

    def preview(targets, plan):
        failing = replace(stack, problem="it depends on c5, which is no target")
        return failing.preview(targets, plan) if a_fleet_status(fleet).urn in targets else ask(targets, plan)

    stack.preview = preview
    watch, told, _ = a_watch(stack, heal=True)
    watch.round()
    assert stack.done == [("up", C0)]
    assert told.words == ["healed c0"]


@pytest.mark.parametrize("allowed", range(6))
def test_it_can_be_stopped_between_any_two_operations(allowed):
    """Nothing is begun after that; what was not done is no success."""
    asked = []

    def stopping():
        asked.append(None)
        return len(asked) > allowed

    lost = replace(a_cluster("c0", "preempted"), recorded=a_cluster().live, is_recorded=False)
    stack = FakeWatched([lost], [a_raise("c0")])
    watch, told, _ = a_watch(stack, heal=True, once=True, stopping=stopping)
    watch.round()
    # It is asked before the look, the refresh, the heal, and the `up`.
    done = [("refresh", C0), ("up", C0)]
    assert stack.done == done[: max(0, min(allowed - 1, 1)) + (allowed > 3)]
    assert watch.code == (0 if allowed > 3 else 1)
    assert stack.looks == (0 if not allowed else 1 if allowed < 4 else 2)
    assert ("healed c0" in told.words) == (allowed > 3)


def test_one_stack_in_trouble_does_not_stop_another():
    bad, good = FakeWatched(name="a/b/bad", looking=StackUnreachableError("no answer")), preempted("c0")
    watch, told, _ = a_watch(bad, good, heal=True)
    watch.round()
    assert told.words == ["unreachable", "healed c0"]
    assert watch.code == 1
