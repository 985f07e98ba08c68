"""What the watch does unattended: what a policy alone does. Everything else is left to a person."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.watched import (
    AT,
    HANDLED,
    SEEN,
    a_cluster,
    a_fleet_status,
    a_move,
    a_raise,
    a_replacement,
    urn_of,
)

from flow_resources.cli.watch.heal import candidates, fleets_of, judge, pending, refusals
from flow_resources.cli.watch.look import CLUSTER, FLEET_STATUS, JOB, Look, Preview, Step
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import PREEMPTION
from flow_resources.core.naming import dynamic_type, plugin_type
from flow_resources.core.preemption import is_policy_alone


def yes(_olds, _news) -> Answer:
    return Answer.YES


@pytest.mark.parametrize("step", [a_raise(), a_replacement(), a_move()])
def test_what_a_policy_alone_does_is_done(step):
    """By the same judgement that the check's record carries."""
    assert judge(step, is_policy_alone) is None


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (a_raise(changed=None), "not_known"),
        (a_raise(changed=frozenset({"max_price_per_hour", PREEMPTION, "env"})), "pending_edits"),
        (a_raise(ops=frozenset({"replace"})), "pending_edits"),
        (a_raise(ops=frozenset({"delete"})), "pending_edits"),
        (a_raise(ops=frozenset({"create"})), "pending_edits"),
        (a_raise(type=dynamic_type(JOB)), "pending_edits"),
        (a_raise(olds={"on_preemption": "keep"}), "pending_edits"),
        (a_raise(olds={}), "pending_edits"),
        (a_replacement(reasons=frozenset({"on_preemption", "command"})), "pending_edits"),
        (a_replacement(reasons=frozenset({"env"})), "pending_edits"),
        (a_replacement(changed=frozenset({PREEMPTION, "max_price_per_hour"})), "pending_edits"),
        (a_replacement(reasons=frozenset()), "pending_edits"),
        (a_replacement(ops=frozenset({"update"})), "pending_edits"),
        (a_replacement(changed=None), "not_known"),
        (a_replacement(news={"on_preemption": "replace", "max_price_per_hour": 55.0}), "pending_edits"),
        (a_replacement(olds={"on_preemption": "replace", "max_price_per_hour": 50.0}), "not_known"),
        (a_replacement(olds={**a_replacement().olds, PREEMPTION: "what is this"}), "not_known"),
        (a_replacement(olds={**a_replacement().olds, PREEMPTION: HANDLED}), "pending_edits"),
    ],
)
def test_what_is_more_than_a_policy_is_left_alone(step, reason):
    """Also where the inputs look as if it were the policy: a masked secret looks the same before and after."""
    refusal = judge(step, yes)
    assert refusal
    assert refusal.reason == reason


@pytest.mark.parametrize(("answer", "reason"), [(Answer.NO, "pending_edits"), (Answer.NOT_KNOWN, "not_known")])
def test_a_no_and_a_not_known_are_both_left_alone(answer, reason):
    refusal = judge(a_raise(), lambda _olds, _news: answer)
    assert refusal
    assert refusal.reason == reason


def test_a_price_that_a_person_has_edited_too_is_not_the_policys():
    """The record of the check says whether it found anything else to change."""
    step = a_raise()
    edited = replace(step, news={**step.news, "max_price_per_hour": 61.0})
    assert judge(edited, is_policy_alone)
    assert judge(
        replace(step, news={**step.news, PREEMPTION: str(step.news[PREEMPTION]).removesuffix(" alone")}),
        is_policy_alone,
    )


MOVE = a_move()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (a_move(news={**MOVE.news, "max_price_per_hour": 61.0}), "pending_edits"),
        (a_move(news={**MOVE.news, "region": "us-east1-a"}), "pending_edits"),
        (a_move(news={**MOVE.news, "placements": MOVE.news["placements"][::-1]}), "pending_edits"),
        (a_move(news={**MOVE.news, "max_wait_minutes": 30}), "pending_edits"),
        (a_move(reasons=frozenset({"max_wait_minutes", "command"})), "pending_edits"),
        (a_move(reasons=frozenset({"region"})), "pending_edits"),
        (a_move(changed=frozenset({PREEMPTION, "region", "env"})), "pending_edits"),
        (a_move(changed=None), "not_known"),
        (a_move(type=dynamic_type(JOB)), "pending_edits"),
        (a_move(olds={**MOVE.olds, PREEMPTION: SEEN}), "pending_edits"),
        (a_move(olds={**MOVE.olds, PREEMPTION: "what is this"}), "not_known"),
    ],
)
def test_what_is_more_than_a_move_is_left_alone(step, reason):
    """A bid that a person has edited, too, and a list."""
    refusal = judge(step, yes)
    assert refusal
    assert refusal.reason == reason


def test_a_replacement_by_policy_may_choose_another_placement_of_the_same_list():
    """It is settled anew with the new bid; nothing else may differ."""
    olds = {**MOVE.olds, "on_preemption": "replace", PREEMPTION: SEEN}
    news = {**MOVE.news, "on_preemption": "replace"}
    step = a_move(olds=olds, news=news, reasons=frozenset({"on_preemption"}))
    assert judge(step, yes) is None
    assert judge(replace(step, news={**news, "max_price_per_hour": 61.0}), yes)


def test_a_waiting_cluster_is_a_candidate_where_it_moves_on_or_that_is_not_known():
    """Whether it was preempted or never won, whatever its policy is; another change of it is a person's."""
    limit = {"max_wait_minutes": 60}
    clusters = tuple(a_cluster(name, name, "keep", inputs=limit) for name in ("pending", "preempted", "running"))
    moves = tuple(a_move(one.name) for one in clusters)
    edits = tuple(replace(one, reasons=frozenset({"command"})) for one in moves)
    waiting = [urn_of("pending"), urn_of("preempted")]
    assert candidates(Look(clusters, Preview(moves))) == waiting
    assert candidates(Look(clusters, Preview(edits))) == []
    assert candidates(Look(clusters, Preview((), "it failed"))) == waiting
    assert candidates(Look(clusters, Preview(()))) == []


def test_only_preempted_clusters_with_an_acting_policy_are_candidates():
    clusters = [
        a_cluster("raises", "preempted"),
        a_cluster("replaces", "preempted", "replace"),
        a_cluster("kept", "preempted", "keep"),
        a_cluster("fails", "preempted", "fail"),
        a_cluster("runs", "running"),
        a_cluster("waits", "pending"),
        a_cluster("unknown", "preempted", problem="no answer"),
        a_cluster("gone", "preempted", live=None),
        replace(a_cluster("job", "preempted"), type=dynamic_type(JOB)),
    ]
    look = Look(tuple(clusters), Preview(tuple(a_raise(one.name) for one in clusters)))
    assert candidates(look) == [urn_of("raises"), urn_of("replaces")]


def test_a_candidate_is_one_that_an_up_would_change_or_whose_preview_failed():
    """At its limit a bid is not raised; where the program fails, a preview of the target tells."""
    clusters = (a_cluster("c0", "preempted"),)
    same = a_raise(ops=frozenset({"same", "refresh"}))
    assert candidates(Look(clusters, Preview((same,)))) == []
    assert candidates(Look(clusters, Preview(()))) == []
    assert candidates(Look(clusters, Preview((), "the program fails"))) == [urn_of("c0")]
    assert candidates(Look(clusters, Preview((same,), "the program fails"))) == []


def test_the_host_of_a_cluster_changes_nothing_that_is_decided():
    """A cluster, a step and a fleet of the plugin."""
    member = a_replacement(type=plugin_type(CLUSTER), parent="the fleet")
    status = a_fleet_status("the fleet", type=plugin_type(FLEET_STATUS))
    cluster = a_cluster("c0", "preempted", "replace", type=plugin_type(CLUSTER), parent="the fleet")
    look = Look((cluster,), Preview((member, status)))
    assert candidates(look) == [urn_of("c0")]
    assert judge(member, is_policy_alone) is None
    assert fleets_of(look, look.clusters) == [status.urn]
    assert list(refusals(look.preview, [member.urn], is_policy_alone)) == []
    assert candidates(Look((replace(cluster, type="another:index:GpuCluster"),), look.preview)) == []


def test_a_preview_of_targets_may_hold_nothing_else():
    preview = Preview((a_raise("c0"), Step(urn_of("c1"), "other:type", frozenset({"delete"}))))
    assert [one.urn for one in refusals(preview, [urn_of("c0")], yes)] == [urn_of("c1")]
    assert list(refusals(Preview((a_raise("c0"),)), [urn_of("c0")], yes)) == []


def test_the_status_of_a_fleet_follows_its_member_and_no_edit_of_the_fleet():
    fleet = "urn:pulumi:dev::training::flow:index:ResilientCluster::fleet"
    member, status = a_replacement(parent=fleet), a_fleet_status(fleet)
    look = Look((a_cluster("c0", "preempted", "replace", parent=fleet),), Preview((member, status)))
    assert fleets_of(look, look.clusters) == [status.urn]
    assert pending(look, [member.urn]) == []
    assert pending(look, []) == [member, status]
    assert list(refusals(look.preview, [member.urn], yes)) == []
    for edited in (
        replace(status, changed=frozenset({"task_ids", "min_running"})),
        replace(status, changed=None),
        replace(status, ops=frozenset({"delete"})),
        replace(status, parent="urn:of:another"),
    ):
        assert [one.urn for one in refusals(Preview((member, edited)), [member.urn], yes)] == [status.urn]


def test_a_member_without_a_parent_brings_no_fleet_along():
    look = Look((a_cluster("c0", "preempted"),), Preview((a_raise(), a_fleet_status(""))))
    assert fleets_of(look, look.clusters) == []


def test_the_examples_are_what_the_policies_write():
    """Else this file would judge what never comes."""
    assert f"seen=bid_1@{AT}" == SEEN
    assert is_policy_alone(a_raise().olds, a_raise().news) is Answer.YES
