"""What an unattended `up` may do: what a policy does for a preemption, and `max_wait_minutes` for a long wait.

Nothing is done that a person has still to apply.

Pure: previews in, decisions out. What is not known is never done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.cli.watch.look import CLUSTER, FLEET_STATUS, Cluster, Look, Preview, Step, names
from flow_resources.core.answer import Answer
from flow_resources.core.hidden import PREEMPTION, RESOLVED_BID
from flow_resources.core.placements import MAX_WAIT, SETTLED, is_listed
from flow_resources.core.preemption import PolicyRecord

IsPolicyAlone = Callable[[Mapping[str, Any], Mapping[str, Any]], Answer]
ACTING = ("raise_bid", "replace")
"""The policies that an `up` acts by."""
_BY_POLICY = {
    "update": frozenset({"max_price_per_hour", PREEMPTION}),
    "replace": frozenset({PREEMPTION}),
}
"""What differs in the inputs where the policy alone has changed them."""
_REASONS = (frozenset({"on_preemption"}), frozenset({MAX_WAIT}))
"""What the engine tells as the reason of a replacement that the policy makes, or a wait that was too long."""
_FOLLOWED = frozenset({"task_ids", "__provider"})
"""What differs in the inputs of a fleet's status where a member has a new bid."""


@dataclass(frozen=True)
class Refusal:
    """Why a change is left to a person."""

    urn: str
    reason: str
    message: str


def candidates(look: Look) -> list[str]:
    """Return the clusters that may have to be healed, by what is recorded: a preview of them alone decides."""
    previewed = {step.urn: step for step in look.preview.steps}
    found = (one for one in look.clusters if _may_act(one, previewed.get(one.urn), is_whole=not look.preview.problem))
    return [one.urn for one in found]


def _may_act(cluster: Cluster, step: Step | None, *, is_whole: bool) -> bool:
    if cluster.kind != CLUSTER:
        return False
    is_acting = cluster.status == "preempted" and cluster.inputs.get("on_preemption") in ACTING
    may_move = cluster.is_waiting and cluster.inputs.get(MAX_WAIT) is not None
    if step is None:
        return not is_whole and (is_acting or may_move)
    return step.is_change and (is_acting or (may_move and moves_on(step)))


def moves_on(step: Step) -> bool:
    """Whether a bid moves on to another placement, because it has waited too long."""
    return MAX_WAIT in step.reasons


def judge(step: Step, is_policy_alone: IsPolicyAlone) -> Refusal | None:
    """Return why a change of a cluster must be left alone; None where its policy alone makes it."""
    policy = step.olds.get("on_preemption")
    if step.kind != CLUSTER or step.verb not in _BY_POLICY:
        return _pending(step)
    if not moves_on(step) and (policy not in ACTING or (step.verb == "replace") != (policy == "replace")):
        return _pending(step)
    if step.verb == "replace" and step.reasons not in _REASONS:
        return _pending(step, f": {', '.join(sorted(step.reasons - frozenset.union(*_REASONS)))}")
    answer = _is_replacement_alone(step) if step.verb == "replace" else is_policy_alone(step.olds, step.news)
    if answer is Answer.NOT_KNOWN or step.changed is None:
        return Refusal(
            step.urn,
            "not_known",
            "whether its policy alone would change it is not known: look at `pulumi preview --refresh`",
        )
    beyond = step.changed - _BY_POLICY[step.verb] - _settled(step)
    if answer is Answer.NO or beyond:
        return _pending(step, f": {', '.join(sorted(beyond))}" if beyond else "")
    return None


def _is_replacement_alone(step: Step) -> Answer:
    """Whether nothing differs in a replacement but the record of preemptions, which begins anew with the new bid.

    And the placement, where one of the same list was chosen. A replacement is checked as a first create, so that the
    inputs say nothing of what the policy decided; that a preemption or a wait is there for it is in the state.
    """
    record = PolicyRecord.parse(step.olds.get(PREEMPTION))
    if record is None:
        return Answer.NOT_KNOWN
    is_due = record.waits is not None if moves_on(step) else record.is_unhandled
    left_out = dict.fromkeys((PREEMPTION, *_settled(step)))
    olds, news = ({**props, **left_out} for props in (step.olds, step.news))
    return Answer.of(is_due and olds == news)


def _settled(step: Step) -> frozenset[str]:
    """Return the inputs that are those of a placement of the list: the list itself is compared as all else is."""
    is_settled = step.verb == "replace" and is_listed(step.news)
    return SETTLED | {RESOLVED_BID} if is_settled else frozenset()


def follows(step: Step, healed: Sequence[Step]) -> bool:
    """Whether a step is the status of a fleet that takes up what becomes of a healed member, and nothing else."""
    parents = {one.parent for one in healed if one.parent}
    if step.kind != FLEET_STATUS or step.parent not in parents or step.verb != "update":
        return False
    return step.changed is not None and step.changed <= _FOLLOWED


def refusals(preview: Preview, targets: Sequence[str], is_policy_alone: IsPolicyAlone) -> Iterator[Refusal]:
    """Yield what of a preview of targets is more than what their policies do."""
    healed = [step for step in preview.changes if step.urn in targets]
    for step in preview.changes:
        if step.urn in targets:
            if refusal := judge(step, is_policy_alone):
                yield refusal
        elif not follows(step, healed):
            yield _pending(step)


def fleets_of(look: Look, clusters: Sequence[Cluster]) -> list[str]:
    """Return the statuses of the fleets that clusters are members of: they are healed along."""
    parents = {one.parent for one in clusters if one.parent}
    return [step.urn for step in look.preview.steps if step.kind == FLEET_STATUS and step.parent in parents]


def pending(look: Look, targets: Sequence[str]) -> list[Step]:
    """Return what an `up` would do beside healing."""
    healed = {*targets, *fleets_of(look, [one for one in look.clusters if one.urn in targets])}
    return [step for step in look.preview.changes if step.urn not in healed]


def _pending(step: Step, more: str = "") -> Refusal:
    return Refusal(
        step.urn,
        "pending_edits",
        f"the program changes more than the policy does{more}: {names([step])} is left to `pulumi up`",
    )
