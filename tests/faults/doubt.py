"""Every fact that a decision reads, made absent, in every state of the world, for every command.

A cell builds a world with all facts there, takes one fact away, runs one command, and looks at the service: whatever is
not known, nothing of anybody is ended, taken over, replaced, deleted, forgotten or let through a budget that the facts
alone could allow, and an error is a line that says what it is about. The oracle knows the truth of the world and not
what the code should do, so it also holds for code that has not been written yet.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.crashes import crash_after_create, up_with_retain_on_delete
from support.stack import (
    CheckError,
    Declared,
    ModelBackend,
    SkippingClock,
    Stack,
    VerbError,
    cluster,
    job,
    settings_of,
    volume,
    with_policy,
)

from flow_resources.cloud.machine import wire
from flow_resources.cloud.transport import Transport
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

Program = Mapping[str, Declared]
SHARED, OWNED = "organization/training/dev", "acme/training/dev"
HIDDEN = ("__owner", "__urn", "__recorded")

# -- facts -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """A fact, and how it is made absent for the verbs that follow."""

    name: str
    hide: Callable[[LostStack, FakeMithril], None]


class LostStack(Stack):
    """A stack whose engine, state, backend or network does not tell everything."""

    def __init__(self, config: dict[str, Any], owner: str) -> None:
        super().__init__(config, owner, clock=SkippingClock())
        self.lost_inputs: tuple[str, ...] = ()
        self.has_urn = True
        self.answers: Callable[[str, Any], Any] = lambda path, answer: None
        """Changes an answer of the service in place, or returns another one."""
        self.has_date = True
        self.backend: dict[str, Any] = {}
        """What the backend answers instead: `names`, `own`, `others`, `history`."""
        self.forgotten: set[str] = set()
        """What the service does not list any more, though it was there."""
        self.said: list[str] = []
        """What the verbs have told the engine."""

    def _call(self, type_: str, method: str, urn: str, verb: Any, *more: Any, **options: Any) -> Any:
        def with_losses(provider: Any) -> Any:
            return verb(_Losing(provider, self.lost_inputs))

        return super()._call(type_, method, urn if self.has_urn else "", with_losses, *more, **options)

    def stored_states(self) -> ModelBackend:
        return _LosingBackend(self) if self.backend else super().stored_states()


@dataclass
class _Losing:
    """A provider to which some hidden inputs do not arrive."""

    provider: Any
    lost: tuple[str, ...]

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> Any:
        return self.provider.check(olds, {name: value for name, value in news.items() if name not in self.lost})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)


@dataclass
class _LosingBackend(ModelBackend):
    """A backend that does not tell everything, for both the protocol of today and the one before."""

    stack: LostStack

    def stack_names(self, report: Any) -> Any:
        return self.stack.backend.get("names", super().stack_names(report))

    def state(self, stack: str, report: Any) -> Any:
        own = stack == self.stack.owner
        answers, key = self.stack.backend, "own" if own else "others"
        return answers[key] if key in answers else super().state(stack, report)

    def history(self, stack: str, report: Any) -> Any:
        return self.stack.backend.get("history", super().history(stack, report))

    def own_state(self, urn: str, report: Any) -> Any:
        names = self.stack_names(report)
        return self.state(self.stack.owner, report) if names and self.stack.owner in names else None

    def other_states(self, urn: str, report: Any) -> Iterator[tuple[str, Any]]:
        for name in self.stack_names(report) or ():
            if name != self.stack.owner and (state := self.state(name, report)) is not None:
                yield name, state


def _lose_inputs(*names: str) -> Callable[[LostStack, FakeMithril], None]:
    return lambda stack, _: setattr(stack, "lost_inputs", names)


def _forget_in_state(*names: str) -> Callable[[LostStack, FakeMithril], None]:
    def forget(stack: LostStack, _: FakeMithril) -> None:
        for saved in [*stack.state.values(), *(saved for _, saved in stack.pending_deletes)]:
            for name in names:
                saved.outputs.pop(name, None)
                saved.inputs.pop(name, None)

    return forget


def _lose_backend(**answers: Any) -> Callable[[LostStack, FakeMithril], None]:
    return lambda stack, _: stack.backend.update(answers)


def _blank(prefix: str, name: str, value: Any, *, absent: bool = False) -> Callable[[LostStack, FakeMithril], None]:
    """Blank a field of each row of a kind, in every answer; a dot goes into a part of the row."""

    def blank(row: Any) -> None:
        part, _, key = name.rpartition(".")
        target = row.get(part) if part else row
        if isinstance(target, dict) and key in target:
            target[key] = value
            if absent:
                del target[key]

    def answer(path: str, document: Any) -> None:
        if not path.startswith(prefix):
            return
        for row in _rows(document):
            if isinstance(row, dict) and "fid" in row:
                blank(row)

    return lambda stack, _: setattr(stack, "answers", answer)


def _rows(document: Any) -> list[Any]:
    rows = document if isinstance(document, list) else document.get("data", [document])
    return rows if isinstance(rows, list) else []


def _record(text: str) -> Callable[[LostStack, FakeMithril], None]:
    """Put another text in the place of what the state records of preemptions."""

    def put(stack: LostStack, _: FakeMithril) -> None:
        for saved in stack.state.values():
            for bag in (saved.outputs, saved.inputs):
                if "__preemption" in bag:
                    bag["__preemption"] = text

    return put


def _blank_history(*, timestamps: bool) -> Callable[[LostStack, FakeMithril], None]:
    """Blank the times of the events of a bid's history, or all of it."""

    def answer(path: str, document: Any) -> Any:
        if not path.startswith(BIDS) or not path.endswith("/history"):
            return None
        return {"events": [{**one, "timestamp": None} for one in document["events"]]} if timestamps else {"events": "?"}

    return lambda stack, _: setattr(stack, "answers", answer)


def _cut_listing(path_of: str) -> Callable[[LostStack, FakeMithril], None]:
    def answer(path: str, document: Any) -> None:
        if path != path_of:
            return
        if isinstance(document, dict) and "data" in document:
            document["data"], document["next_cursor"] = document["data"][:0], "and so on"

    return lambda stack, _: setattr(stack, "answers", answer)


_OTHER_SHAPES: dict[str, Any] = {"a damaged state": {"deployment": {"resources": "?"}}, "no state": None}
BIDS, VOLUMES = "/v2/spot/bids", "/v2/volumes"
_BID_FIELDS = (
    "name", "project", "status", "limit_price", "instance_quantity", "instance_type", "region", "instances",
    "created_at", "created_by", "launch_specification", "launch_specification.volumes", "launch_specification.ssh_keys",
)  # fmt: skip
_VOLUME_FIELDS = ("name", "project", "capacity_gb", "interface", "region", "bids", "created_at")
_STATE = (
    "__mark",
    "__owner",
    "__service",
    "__create_id",
    "__preemption",
    "__resolved_bid",
    "project",
    "created_at",
    "region",
    "instance_type",
)
FACTS = [
    Fact("everything is there", lambda stack, cloud: None),
    *(Fact(f"the program's {name} does not arrive", _lose_inputs(name)) for name in HIDDEN),
    Fact("nothing hidden arrives", _lose_inputs(*HIDDEN)),
    Fact("the engine does not tell the URN", lambda stack, _: setattr(stack, "has_urn", False)),
    *(Fact(f"the state has no {name}", _forget_in_state(name)) for name in _STATE),
    Fact("the state has no name of it", _forget_in_state("task_name", "volume_name")),
    Fact("the state has nothing hidden", _forget_in_state("__mark", "__owner", "__service", "__create_id")),
    *(Fact(f"the own stack: {name}", _lose_backend(own=state)) for name, state in _OTHER_SHAPES.items()),
    *(Fact(f"another stack: {name}", _lose_backend(others=state)) for name, state in _OTHER_SHAPES.items()),
    Fact("the stacks cannot be listed", _lose_backend(names=None)),
    Fact("no stack is listed", _lose_backend(names=[])),
    Fact("this stack is not listed", _lose_backend(names=["acme/other/dev"], others={"deployment": {}})),
    Fact("this stack is listed twice", _lose_backend(names=[OWNED, "other/training/dev", SHARED], others=None)),
    Fact("the state is another backend's", _lose_backend(own={"deployment": {"resources": []}})),
    *(Fact(f"bids: {name} is null", _blank(BIDS, name, None)) for name in _BID_FIELDS),
    *(Fact(f"bids: {name} is absent", _blank(BIDS, name, None, absent=True)) for name in _BID_FIELDS),
    Fact("bids: created_at cannot be read", _blank(BIDS, "created_at", "yesterday")),
    *(Fact(f"volumes: {name} is null", _blank(VOLUMES, name, None)) for name in _VOLUME_FIELDS),
    *(Fact(f"volumes: {name} is absent", _blank(VOLUMES, name, None, absent=True)) for name in _VOLUME_FIELDS),
    Fact("volumes: created_at cannot be read", _blank(VOLUMES, "created_at", "yesterday")),
    Fact("the listing of bids is cut", _cut_listing(BIDS)),
    Fact("the listing of volumes is cut", _cut_listing(VOLUMES)),
    Fact("the record of preemptions cannot be read", _record("seen=yes")),
    Fact("the history of the bid cannot be read", _blank_history(timestamps=False)),
    Fact("the history of the bid tells no time", _blank_history(timestamps=True)),
    Fact("the prices are refused", lambda _, cloud: cloud.faults.add(path="/v2/pricing/", status=403, times=None)),
    Fact("no answer has a Date", lambda stack, _: setattr(stack, "has_date", False)),
]


def _is_forgotten(stack: LostStack, row: Any) -> bool:
    return isinstance(row, dict) and row.get("fid") in stack.forgotten


@contextlib.contextmanager
def losing_answers(stack: LostStack) -> Iterator[None]:
    """Let the stack's losses reach the answers of the service."""
    stock = Transport._parse_json

    def parse(transport: Any, response: Any, *details: Any) -> Any:
        if not stack.has_date:
            response.headers.pop("Date", None)
        answer = stock(transport, response, *details)
        if isinstance(answer, (dict, list)):
            listed = _rows(answer)
            listed[:] = [row for row in listed if not _is_forgotten(stack, row)]
            changed = stack.answers(response.request.url.path, answer)
            return answer if changed is None else changed
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "_parse_json", parse)
        patch.setattr(
            "flow_resources.host.EngineLink.log",
            lambda _, __, message, *___, **____: bool(stack.said.append(message)) or True,
        )
        yield


@contextlib.contextmanager
def _without_the_dear() -> Iterator[None]:
    """Do once, or less thoroughly, what takes most of a cell's time: certificates read, start-up scripts compressed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        patch.setattr(wire, "_FILTERS", [{**wire._FILTERS[0], "preset": 1}])
        yield


_NO_SIGHTING = ("the state has no __preemption", "the record of preemptions cannot be read")

# -- worlds ------------------------------------------------------------------------------------------------------------


@dataclass
class Truth:
    """What is true of a world, whoever can find it out."""

    program: Program
    ours: set[str] = field(default_factory=set)
    """What the state records."""
    orphans: set[str] = field(default_factory=set)
    """What a crash of ours left: recorded nowhere, and nobody else's."""
    theirs: set[str] = field(default_factory=set)
    """What somebody else has: another stack, another person, or who retained it on purpose."""
    asks_for_end: bool = False
    """Whether the program asks for the end of what is recorded: a replacement, or a removal."""
    budget: float | None = None
    most: float | None = None
    """The highest price that what the state records may be bid."""
    price: float | None = None
    """The price that it is bid, and goes on to be as long as nothing else is asked for."""


@dataclass(frozen=True)
class World:
    """A state of the world, built with all facts there."""

    name: str
    build: Callable[[LostStack, FakeMithril, Any], Truth]
    owner: str = OWNED


def _cluster(version: int = 1, **inputs: Any) -> Declared:
    return cluster(command=f"echo {version}", **inputs)


def _volume(version: int = 1, **inputs: Any) -> Declared:
    return volume(size_gb=100 * version, allow_replace=version > 1, **inputs)


def _job(version: int = 1, **inputs: Any) -> Declared:
    return job(command=f"echo {version}", **inputs)


MAKES: dict[str, Callable[..., Declared]] = {"cluster": _cluster, "volume": _volume, "job": _job}


def _recorded(stack: LostStack) -> set[str]:
    return {saved.id for saved in stack.state.values()}


def _unchanged(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    stack.up({"it": make()})
    return Truth({"it": make()}, _recorded(stack))


def _edited(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    stack.up({"it": make()})
    edit = {"volume_name": "renamed"} if make is _volume else {"max_price_per_hour": 60.0}
    return Truth({"it": make(**edit)}, _recorded(stack))


def _replaced(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    stack.up({"it": make()})
    return Truth({"it": make(2)}, _recorded(stack), asks_for_end=True)


def _removed(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    stack.up({"it": make(), "other": _cluster(7)})
    (gone, kept) = (stack.state["it"].id, stack.state["other"].id)
    return Truth({"other": _cluster(7)}, {gone, kept}, asks_for_end=True)


def _crashed(version: int) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        stack.other_states["acme/training/prod"] = {"deployment": {"resources": []}}
        return Truth({"it": make(version)}, orphans={crash_after_create(stack, cloud, {"it": make()})})

    return build


def _moved_away(version: int) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        stack.up({"it": make()})
        theirs = _recorded(stack)
        stack.other_states["acme/training/prod"] = stack.export()
        stack.state.clear()
        return Truth({"it": make(version)}, theirs=theirs)

    return build


def _other_persons(version: int) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    """Build the world of a stack of the same names on another person's backend, which nobody here can read."""

    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        stack.up({"it": make()})
        outputs = stack.state["it"].outputs
        stack.destroy()
        if make is not _volume:
            return Truth({"it": make(version)}, theirs={cloud.add_bid(outputs["task_name"])["fid"]})
        data = cloud.add_volume(outputs["volume_name"], region="us-central5-a")["fid"]
        user = cloud.add_bid("theirs", region="us-central5-a", volumes=[data])["fid"]
        return Truth({"it": make(version)}, theirs={data, user})

    return build


def _retained(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    retained = up_with_retain_on_delete(stack, {"it": make()})
    up_with_retain_on_delete(stack, {"it": make(2)})
    return Truth({"it": make(2)}, _recorded(stack), theirs={retained})


def _over_budget(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    stack.config["flow:maxCostPerHour"] = "70"
    return Truth({"one": _cluster(max_price_per_hour=40.0), "two": _cluster(max_price_per_hour=40.0)}, budget=70.0)


_RAISE = {"on_preemption": "raise_bid", "raise_up_to_per_hour": 18.5}
_REPLACE = {"on_preemption": "replace", "wait_for": "placed"}


def _preempted(*, runs_again: bool, **policy: Any) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    """Build the world of a cluster that a refresh saw preempted, and that may run again since."""

    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        program = {"it": make(max_price_per_hour=16.0, **policy)}
        stack.up(program)
        cloud.set_price("8xa100", "us-central5-a", 18.2)
        stack.refresh()
        is_end_asked_for = policy["on_preemption"] == "replace" and not runs_again
        if runs_again:
            cloud.set_price("8xa100", "us-central5-a", 5.0)
        most = 16.0 if runs_again else float(policy.get("raise_up_to_per_hour", 16.0))
        return Truth(program, _recorded(stack), asks_for_end=is_end_asked_for, most=most)

    return build


_PLACEMENTS = [{"instance_type": "8xa100", "region": region} for region in ("us-central5-a", "us-central1-b")]
_PLACED = {"instance_type": None, "region": None, "placements": _PLACEMENTS, "wait_for": "placed"}


def _waited(*, runs_again: bool) -> Callable[[LostStack, FakeMithril, Any], Truth]:
    """Build the world of a cluster that a refresh saw wait for longer than its limit, and that may run since."""

    def build(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
        program = {"it": make(max_price_per_hour=10.0, max_wait_minutes=60, **_PLACED)}
        stack.up(program)
        cloud.clock.advance(minutes=62)
        stack.refresh()
        if runs_again:
            cloud.set_price("8xa100", "us-central5-a", 5.0)
        return Truth(program, _recorded(stack), asks_for_end=not runs_again, most=10.0)

    return build


def _placed(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    """Build the world of a cluster in its second placement, of which the first is under its bid by now."""
    cloud.set_price("8xa100", "us-central5-a", 99.0)
    program = {"it": make(max_price_per_hour=16.0, **_PLACED)}
    stack.up(program)
    cloud.set_price("8xa100", "us-central5-a", 1.0)
    return Truth(program, _recorded(stack), most=16.0)


def _with_policy(stack: LostStack, cloud: FakeMithril, make: Any) -> Truth:
    """Build the world of a bid with a policy that was resolved before the market fell."""
    program = {"it": with_policy(make(), kind="workload", margin=0.1, cap=40.0)}
    stack.up(program)
    cloud.set_price("8xa100", "us-central5-a", 5.0)
    return Truth(program, _recorded(stack), price=13.2)


WORLDS = [
    World("unchanged", _unchanged),
    World("edited in place", _edited),
    World("replaced", _replaced),
    World("removed from the program", _removed),
    World("an orphan of a crash", _crashed(1)),
    World("an orphan of a crash, of another specification", _crashed(2)),
    World("another stack's, after a rename", _moved_away(1)),
    World("another stack's, of another specification", _moved_away(2)),
    World("another person's", _other_persons(1), SHARED),
    World("another person's, of another specification", _other_persons(2), SHARED),
    World("retained", _retained),
    World("over the budget", _over_budget),
    World("preempted, to be raised", _preempted(runs_again=False, **_RAISE)),
    World("preempted, to be replaced", _preempted(runs_again=False, **_REPLACE)),
    World("to be raised, and it runs again", _preempted(runs_again=True, **_RAISE)),
    World("to be replaced, and it runs again", _preempted(runs_again=True, **_REPLACE)),
    World("placed by its price", _placed),
    World("to move on after a wait", _waited(runs_again=False)),
    World("to move on, and it runs again", _waited(runs_again=True)),
    World("with a policy of its bid", _with_policy),
]
_OF_CLUSTERS = ("over the budget", "preempted, ", "to be ", "placed by", "to move on", "with a policy")
"""What the names of the worlds begin with in which only clusters live."""
VERBS: dict[str, Callable[[LostStack, Program], Any]] = {
    "preview": lambda stack, program: stack.preview(program),
    "up": lambda stack, program: stack.up(program),
    "up --refresh": lambda stack, program: stack.up(program, refresh=True),
    "up --replace": lambda stack, program: stack.up(program, force={name for name in program if name in stack.state}),
    "refresh": lambda stack, program: stack.refresh(),
    "destroy": lambda stack, program: stack.destroy(),
}
_ENDING = ("destroy", "up --replace")
_GUARDED = ("task_id", "task_name", "volume_id", "volume_name", "project", "region", "size_gb", "interface")

# -- cells -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One fact, one world, one kind, one verb."""

    fact: Fact
    world: World
    kind: str
    verb: str

    @property
    def name(self) -> str:
        """What it is called in a report."""
        return f"{self.fact.name} | {self.world.name} | {self.kind} | {self.verb}"

    @property
    def is_sample(self) -> bool:
        """Whether it is among the few that every test run goes through."""
        return zlib.crc32(self.name.encode()) % 16 == 0


def cells(fact: Fact) -> list[Cell]:
    """Return the cells of a fact."""
    return [
        Cell(fact, world, kind, verb)
        for world in WORLDS
        for kind in ("cluster", "volume")
        for verb in VERBS
        if kind == "cluster" or not world.name.startswith(_OF_CLUSTERS)
    ]


def harm(cell: Cell, outcome: type[Outcome] | None = None) -> list[str]:
    """Run a cell; return what went wrong by an oracle, nothing where nothing did."""
    with _without_the_dear(), FakeMithril() as cloud:
        stack = LostStack(settings_of(cloud), cell.world.owner)
        truth = cell.world.build(stack, cloud, MAKES[cell.kind])
        before, sent = _live(cloud), len(cloud.mutations)
        cell.fact.hide(stack, cloud)
        recorded = {saved.id: dict(saved.outputs) for saved in stack.state.values()}
        error = ""
        with losing_answers(stack):
            try:
                VERBS[cell.verb](stack, truth.program)
            except (VerbError, CheckError) as failure:
                error = str(failure) or " "
            except Exception as failure:  # noqa: BLE001 - an exception that no host expects is a finding
                return [f"{type(failure).__name__}: {failure}"]
            finally:
                base.current().close()
        mutations = [request for request in cloud.mutations[sent:] if request.effect]
        found = (outcome or Outcome)(cell, truth, stack, cloud, before, _live(cloud), recorded, error, mutations)
        return list(found.findings())


def _live(cloud: FakeMithril) -> dict[str, Any]:
    bids = {bid["fid"]: (bid["name"], bid["limit_price"], bid["status"]) for bid in cloud.live_bids}
    return {**bids, **{one["fid"]: (one["name"], one["capacity_gb"]) for one in cloud.volumes}}


@dataclass(frozen=True)
class Outcome:
    """What a command has done."""

    cell: Cell
    truth: Truth
    stack: LostStack
    cloud: FakeMithril
    before: dict[str, Any]
    """What was live, by id."""
    after: dict[str, Any]
    recorded: dict[str, dict[str, Any]]
    """The outputs in the state before, by id."""
    error: str
    mutations: list[Any]

    def findings(self) -> Iterator[str]:
        """Yield what went wrong."""
        if "internal error" in self.error or (self.error and not self.error.strip()):
            yield f"an error that says nothing: {self.error!r}"
        if self.cell.verb in ("preview", "refresh") and self.mutations:
            yield f"a {self.cell.verb} sent {[f'{one.method} {one.path}' for one in self.mutations]}"
        yield from self._harm_to_others()
        yield from self._harm_to_ours()
        yield from self._harm_by_orphans()
        yield from self._harm_to_the_state()
        if self.truth.most is not None:
            yield from self._harm_by_policies(self.truth.most)
        if self.truth.price is not None and self.cell.verb not in _ENDING:
            yield from self._harm_to_the_price(self.truth.price)
        if self.truth.budget is not None:
            yield from self._harm_to_the_budget(self.truth.budget)

    @property
    def now(self) -> set[str]:
        """The ids in the state."""
        return _recorded(self.stack) | {saved.id for _, saved in self.stack.pending_deletes}

    @property
    def has_more(self) -> bool:
        """Whether more is live than before."""
        return len(self.after) > len(self.before)

    def _harm_to_others(self) -> Iterator[str]:
        for id_ in sorted(self.truth.theirs):
            if self.after.get(id_) != self.before[id_]:
                yield f"{id_}, which is somebody else's, is {self.after.get(id_, 'ended')}"
            if id_ in self.now:
                yield f"{id_}, which is somebody else's, is in the state"

    def _harm_to_ours(self) -> Iterator[str]:
        is_end_asked_for = self.truth.asks_for_end or self.cell.verb in _ENDING
        for id_ in sorted(self.truth.ours):
            if id_ not in self.after and not is_end_asked_for:
                yield f"{id_} was ended, and nobody had asked for it"
            if id_ in self.after and id_ not in self.now and id_ not in self.error:
                yield f"{id_} is live and forgotten"
            if id_ in self.after and not is_end_asked_for and self.has_more:
                yield f"a second one was made beside {id_}, which the state records"

    def _harm_by_orphans(self) -> Iterator[str]:
        for id_ in sorted(self.truth.orphans & set(self.after) - self.now):
            if self.cell.kind != "volume" and self.has_more:
                yield f"a second one is paid for beside the orphan {id_}"
            is_named = any(id_ in text for text in self.stack.said)
            if self.cell.verb.startswith("up") and not self.error and not is_named:
                yield f"the orphan {id_} is not named"

    def _harm_to_the_state(self) -> Iterator[str]:
        for saved in self.stack.state.values():
            for name in _GUARDED:
                known = self.recorded.get(saved.id, {}).get(name)
                if known and not saved.outputs.get(name):
                    yield f"{name} was {known!r} in the state and is {saved.outputs.get(name)!r}"

    def _harm_by_policies(self, most: float) -> Iterator[str]:
        if self.has_more:
            yield "two are live where one is declared"
        for id_, (_, price, _) in self.after.items():
            if float(price.strip("$")) > most:
                yield f"{id_} is bid {price}, above {most}"
        is_fact_hidden = self.cell.fact.name in _NO_SIGHTING and self.cell.verb == "up"
        if is_fact_hidden and self.mutations:
            yield f"without a sighting {[f'{one.method} {one.path}' for one in self.mutations]} was sent"

    def _harm_to_the_price(self, price: float) -> Iterator[str]:
        for id_, (_, live, _) in self.after.items():
            if float(live.strip("$")) != price:
                yield f"{id_} is bid {live}, and was resolved to {price}"

    def _harm_to_the_budget(self, budget: float) -> Iterator[str]:
        prices = (value[1] for value in self.after.values())
        cost = sum(float(price.strip("$")) for price in prices)
        if cost > budget:
            yield f"the budget of {budget} let {cost} pass"
        if self.cell.verb in ("preview", "up", "up --refresh") and not self.error:
            yield "nothing says that the budget is exceeded"
