"""The facts that a job decides on, made absent, in the states of the world that jobs alone have (see `doubt`).

Harm to a job is more than to a cluster: a second paid run of what ran already, a key revoked that a machine still
needs, a key left that nothing remembers, an outcome told that no machine told, or one forgotten that a machine told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from faults import doubt
from faults.doubt import FACTS, SHARED, Cell, Fact, LostStack, Outcome, Truth, World
from support.crashes import crash_after_create
from support.jobs import end_job, key_rows

from flow_resources.cloud.machine.wire import unpack
from flow_resources.lifecycle.stored_states import HISTORY_LENGTH
from flow_resources.testing import FakeMithril

COLLEAGUE = "colleague"
KEYS = "/v2/api-keys"
TOLD, FINISHED = ("succeeded", "failed"), ("succeeded", "failed", "ended")
Hide = Callable[[LostStack, FakeMithril], None]

# -- facts -------------------------------------------------------------------------------------------------------------


def _change_history(change: Callable[[dict[str, Any]], Any]) -> Hide:
    def hide(stack: LostStack, _: FakeMithril) -> None:
        stack.backend["history"] = [change(dict(row)) for row in stack.history or ()]

    return hide


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda row: {key: value for key, value in row.items() if key != name}


def _cut_history(stack: LostStack, _: FakeMithril) -> None:
    newer = [past_update(3, same=1) for _ in range(HISTORY_LENGTH)]
    stack.backend["history"] = [*newer, *(stack.history or ())][:HISTORY_LENGTH]


def _cut_keys(path: str, document: Any) -> Any:
    return {"data": [], "next_cursor": "and so on"} if path == KEYS and isinstance(document, list) else None


def _run_as_colleague(stack: LostStack, cloud: FakeMithril) -> None:
    cloud.add_key(COLLEAGUE, [cloud.project])
    stack.config["flow:apiKey"] = COLLEAGUE


def _refuse(**fault: Any) -> Hide:
    return lambda _, cloud: cloud.faults.add(times=None, **fault)


def _no_user(path: str, document: Any) -> None:
    if path == "/v2/me":
        document.clear()


_OF_BOTH = (
    "everything is there", "the state has no __mark", "the state has nothing hidden", "the own stack: no state",
    "another stack: no state", "bids: name is null", "bids: status is null", "bids: limit_price is null",
    "bids: created_at is null", "bids: created_by is null", "no answer has a Date",
)  # fmt: skip
"""The facts of every kind that a job decides on in another way than a cluster."""
_SCRIPT = "launch_specification.startup_script"
_OF_A_JOB = [
    Fact("the state has no __ended", doubt._forget_in_state("__ended")),
    Fact("the state has no __job_key", doubt._forget_in_state("__job_key")),
    Fact("the state has no status", doubt._forget_in_state("status")),
    Fact("the state has no history of a job", doubt._forget_in_state("preemptions", "started_at", "ended_at")),
    Fact("bids: the start-up script is null", doubt._blank(doubt.BIDS, _SCRIPT, None)),
    Fact("the history of a bid cannot be read", _refuse(method="GET", path="/history$", status=403)),
]
_OF_KEYS = [
    Fact("the listing of keys is refused", _refuse(method="GET", path=f"{KEYS}$", status=403)),
    Fact("the listing of keys is cut", lambda stack, _: setattr(stack, "answers", _cut_keys)),
    *(Fact(f"keys: {name} is null", doubt._blank(KEYS, name, None)) for name in ("fid", "name", "expires_at")),
    Fact("keys: deactivated_at is absent", doubt._blank(KEYS, "deactivated_at", None, absent=True)),
    Fact("the key is another user's", _run_as_colleague),
    Fact("the service does not say who asks", lambda stack, _: setattr(stack, "answers", _no_user)),
]
_OF_HISTORIES = [
    Fact("the stack's history cannot be read", lambda stack, _: stack.backend.update(history=None)),
    Fact("the stack's history is nonsense", lambda stack, _: stack.backend.update(history="nonsense")),
    Fact("the stack's history has other rows", _change_history(lambda row: [row])),
    Fact("the stack's history is cut", _cut_history),
    Fact("the stack's history has no times", _change_history(_without("startTime"))),
    Fact("the stack's history has unreadable times", _change_history(lambda row: {**row, "startTime": "yesterday"})),
    Fact("the stack's history has no changes", _change_history(_without("resourceChanges"))),
    Fact("the stack's history has null for changes", _change_history(lambda row: {**row, "resourceChanges": None})),
]
JOB_FACTS = [*_OF_A_JOB, *_OF_KEYS, *_OF_HISTORIES]
ALL_JOB_FACTS = [*(fact for fact in FACTS if fact.name in _OF_BOTH), *JOB_FACTS]

# -- worlds ------------------------------------------------------------------------------------------------------------


@dataclass
class JobTruth(Truth):
    """What is true of a world with a job."""

    run: str = ""
    """The bid of its run."""
    status: str = "running"
    """How its run is."""
    is_due: bool = False
    """Whether the program asks for another run."""


def past_update(minutes: float, **changes: int) -> dict[str, Any]:
    """Return a row of the history of a stack: an update that began so many minutes from now."""
    started = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    ended = started + timedelta(minutes=1 - min(minutes, 0))
    times = {"startTime": _written(started), "endTime": _written(ended)}
    return {**times, "result": "failed", "resourceChanges": changes}


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _ended(
    outcome: str,
    *,
    seen: bool = True,
    revoked: bool = True,
    keep: bool = False,
    forgotten: bool = False,
    **edit: Any,
) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    """Build the world of a recorded job that has ended; `seen`: whether the state says so."""

    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        inputs = {"on_failure": "keep"} if keep else {}
        stack.up({"it": make(**inputs)})
        id_ = stack.state["it"].id
        end_job(cloud, id_, outcome, keep=keep, revoke=revoked)
        if seen:
            stack.refresh()
        if forgotten:
            stack.forgotten.add(id_)
            cloud.faults.add(path=f"/v2/spot/bids/{id_}", status=404, times=None)
        status = "ended" if outcome == "untold" else outcome
        live = {id_} if keep else set[str]()
        return JobTruth({"it": make(**inputs, **edit)}, live, run=id_, status=status, is_due="triggers" in edit)

    return build


def _told_and_live(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    """Build the world of a job whose machine has told its end, and has not ended the bid yet."""
    stack.up({"it": make()})
    id_ = stack.state["it"].id
    cloud.update_bid(id_, limit_price="$49.99")
    return JobTruth({"it": make(max_price_per_hour=60.0)}, {id_}, run=id_, status="succeeded")


def _lost(outcome: str) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    """Build the world of a job that no state records, because the answer to its creation was lost, and that ended."""

    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        id_ = crash_after_create(stack, cloud, {"it": make()})
        end_job(cloud, id_, outcome)
        stack.history = [past_update(-9, create=1)]
        return JobTruth({"it": make()}, run=id_, status=outcome)

    return build


def _destroyed(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    """Build the world of a job that ended, and was destroyed since."""
    stack.up({"it": make()})
    id_ = stack.state["it"].id
    end_job(cloud, id_, "succeeded")
    stack.refresh()
    stack.destroy()
    stack.history = [past_update(1, delete=1), past_update(-9, create=1)]
    return JobTruth({"it": make()}, run=id_, status="succeeded", is_due=True)


def _live(build: Callable[[LostStack, FakeMithril, Any], Truth]) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    def build_job(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        truth = build(stack, cloud, make)
        run = next(iter(truth.ours), "") if not truth.asks_for_end else ""
        return JobTruth(truth.program, truth.ours, truth.orphans, truth.theirs, truth.asks_for_end, run=run)

    return build_job


_OF_ALL_KINDS = (
    "edited in place", "replaced", "an orphan of a crash", "an orphan of a crash, of another specification",
)  # fmt: skip
"""The worlds of every kind in which a job has more to lose than a cluster."""
_GENERAL = [World(one.name, _live(one.build), one.owner) for one in doubt.WORLDS if one.name in _OF_ALL_KINDS]
_ENDED = [
    World("succeeded", _ended("succeeded")),
    World("ended by a person", _ended("untold")),
    World("succeeded, with its key left", _ended("succeeded", revoked=False)),
    World("succeeded since, with its key left", _ended("succeeded", seen=False, revoked=False)),
    World("kept, and edited", _ended("failed", keep=True, max_price_per_hour=60.0)),
    World("succeeded, and forgotten by the service", _ended("succeeded", forgotten=True)),
    World("succeeded since, and forgotten by the service", _ended("succeeded", seen=False, forgotten=True)),
    World("has told its end, and lives", _told_and_live),
]
_PLACING = [
    World("a lost answer, and succeeded", _lost("succeeded")),
    World("a lost answer on a shared owner, and failed", _lost("failed"), SHARED),
    World("destroyed since", _destroyed),
    World("to run again by its triggers", _ended("succeeded", triggers={"data": 2.0})),
]
_WITH_KEYS = [*_GENERAL, *(one for one in _ENDED if "key left" in one.name or "kept" in one.name), _PLACING[0]]
JOB_WORLDS = [*_GENERAL, *_ENDED, *_PLACING]


def _worlds(fact: Fact) -> list[World]:
    """Return the worlds in which a fact can decide."""
    if fact in FACTS:
        return [*_ENDED, *_PLACING]
    if fact in _OF_KEYS:
        return _WITH_KEYS
    return _PLACING if fact in _OF_HISTORIES else JOB_WORLDS


def cells_of_jobs(fact: Fact) -> list[Cell]:
    """Return the cells of a fact for jobs."""
    worlds = _worlds(fact)
    return [Cell(fact, world, "job", verb) for world in worlds for verb in doubt.VERBS]


# -- harm --------------------------------------------------------------------------------------------------------------


def harm_to_jobs(cell: Cell) -> list[str]:
    """Run a cell of jobs; return what went wrong, nothing where nothing did."""
    return doubt.harm(cell, JobOutcome)


class JobOutcome(Outcome):
    """What a command has done to a job."""

    def findings(self) -> Iterator[str]:
        """Yield what went wrong, with what only jobs have."""
        yield from super().findings()
        truth = self.truth
        assert isinstance(truth, JobTruth)
        yield from self._harm_by_runs(truth)
        yield from self._harm_to_the_record(truth)
        yield from self._harm_to_the_word()
        yield from self._harm_by_keys(truth)

    def _harm_by_runs(self, truth: JobTruth) -> Iterator[str]:
        is_asked_for = truth.is_due or truth.asks_for_end or self.cell.verb == "up --replace"
        if truth.run and not is_asked_for and self.has_more:
            yield f"it ran already ({truth.run}), and is paid for a second time"
        if truth.is_due and self.cell.verb.startswith("up") and not self.error and not self.has_more:
            yield "the run that is due was not made, and nothing says so"

    def _harm_to_the_record(self, truth: JobTruth) -> Iterator[str]:
        is_end_asked_for = truth.asks_for_end or truth.is_due or self.cell.verb in doubt._ENDING
        for id_ in sorted(set(self.recorded) - self.now):
            if not is_end_asked_for:
                yield f"{id_} was recorded, and is forgotten"
        outputs = {saved.id: saved.outputs for saved in self.stack.state.values()}
        status, before = (one.get(truth.run, {}).get("status") for one in (outputs, self.recorded))
        is_told = truth.status in TOLD
        if status in TOLD and status != truth.status:
            yield f"the state says {status}, and its machine told {truth.status}"
        if status in FINISHED and truth.status == "running":
            yield f"the state says {status}, and it runs"
        if is_told and before in TOLD and truth.run in outputs and status != before:
            yield f"the state said {before}, and says {status} now"

    def _harm_to_the_word(self) -> Iterator[str]:
        for id_, (name, price, _) in self.before.items():
            if price in ("$49.99", "$49.98") and id_ in self.after and self.after[id_][1] != price:
                yield f"the machine of {name} told its end by {price}, and the price is {self.after[id_][1]} now"

    def _harm_by_keys(self, truth: JobTruth) -> Iterator[str]:
        live = _live_key_ids(self.cloud)
        outputs = {saved.id: saved.outputs for saved in self.stack.state.values()}
        for bid in self.cloud.bids:
            key = _key_id_of(bid)
            is_kept = bid["status"] == "Paused" and bid["limit_price"] == "$49.98"
            has_ended = bid["status"] == "Terminated" or is_kept
            if key and not has_ended and key not in live:
                yield f"the key of {bid['fid']} is revoked, and its machine needs it"
            if not (key and has_ended and key in live and bid["fid"] in {truth.run, *self.recorded}):
                continue
            if self.is_all_known and self.cell.verb in ("up --refresh", "destroy", "up --replace"):
                yield f"the key of {bid['fid']} is left"
            if self.error or self.cell.verb == "preview" or outputs.get(bid["fid"], {}).get("__job_key"):
                continue
            if self._says_that_no_key_is_left(bid["fid"]) or self._says_that_it_lives(outputs.get(bid["fid"])):
                continue
            if not any(name in text for text in self.stack.said for name in (bid["fid"], "key")):
                yield f"the key of {bid['fid']} is left, and nothing remembers it"

    def _says_that_no_key_is_left(self, id_: str) -> bool:
        """Whether the state said so: of a job that has ended, by having no property for a key."""
        recorded = self.recorded.get(id_, {})
        return "__ended" in recorded and "__job_key" not in recorded

    @staticmethod
    def _says_that_it_lives(recorded: dict[str, Any] | None) -> bool:
        """Whether the state holds a job as one that lives: that has a key, whether its property says so or not.

        The next refresh looks for it, and a destroy revokes it (tests/verbs/test_job_lifecycle.py).
        """
        return recorded is not None and "__ended" not in recorded

    @property
    def is_all_known(self) -> bool:
        """Whether no fact is absent."""
        return self.cell.fact is FACTS[0]


def _key_id_of(bid: Any) -> str | None:
    text = unpack(bid["launch_specification"]["startup_script"] or "") or ""
    match = re.search(r'"key_id":"(apikey_\w+)"', text)
    return match[1] if match else None


def _live_key_ids(cloud: FakeMithril) -> set[str]:
    cloud.faults.clear()
    rows = [*key_rows(cloud), *key_rows(cloud, COLLEAGUE)]
    return {row["fid"] for row in rows if not row["deactivated_at"]}
