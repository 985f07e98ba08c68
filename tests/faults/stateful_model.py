"""Made-up lives of a stack, and the truth that each moment of one is held against.

A `Life` is a program, a stack whose plugin can be killed, and a cloud on which others live, too. Its methods are what
a user, the market and bad luck do. After each of them it looks at the cloud from behind, and fails where the stack
lost, doubled or forgot something, or touched what is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from faults import matrix
from faults.matrix import MortalStack, Scenario
from support.stack import CheckError, Declared, FakeClock, Saved, VerbError, cluster, settings_of, volume

from flow_resources.core.inputs import UNKNOWN
from flow_resources.core.naming import Mark, compose, take_apart
from flow_resources.testing import FakeMithril

REGION = "us-central5-a"
CALM_PRICE, DEAR_PRICE = 12.0, 90.0
"""USD per machine and hour: every bid of a life wins at the one, none at the other."""
LIMIT_SECONDS = 20.0
"""`custom_timeouts` of everything: nobody waits for it, but each look costs requests."""
SENDS = {"create": ["POST"], "update": ["PATCH"], "replace": ["DELETE", "POST"], "delete": ["DELETE"], "same": []}
"""What the steps of a preview send, as a rule."""
STATUSES = {
    "Open": {"pending", "preempted"},
    "Allocated": {"starting", "running", "failed"},
    "Preempting": {"preempting"},
    "Paused": {"paused"},
}


@dataclass(frozen=True)
class Strike:
    """What goes wrong, at which call: the nth of all, or the nth that changes something."""

    fault: str
    nth: int
    changing: bool = True
    again: bool = True
    """Whether the user then does the same again."""

    def at(self, sends: list[str]) -> tuple[int, str | None]:
        """Return the number and the method of the call, for an operation that sends such changes, in this order."""
        if not (self.changing and sends):
            return self.nth, None
        place = (self.nth - 1) % len(sends)
        return 1 + sends[:place].count(sends[place]), sends[place]


@dataclass(frozen=True)
class Ref:
    """The id of another resource of the program, as an Output of it would bring it."""

    name: str


class LinkedStack(MortalStack):
    """A stack whose resources can name each other; what is made or replaced in an `up` is not known at its preview."""

    previewing = False
    planned: Mapping[str, str] = {}

    def preview(self, program: Mapping[str, Declared]) -> dict[str, str]:
        """Preview, with unknown ids for what is still to be made."""
        self.previewing, self.planned = True, {}
        try:
            return super().preview(program)
        finally:
            self.previewing = False

    def check(self, name: str, declared: Declared, saved: Saved | None) -> dict[str, Any]:
        """Put ids in the place of references, as the program side does."""
        inputs = dict(declared.inputs)
        if mounts := inputs.get("volumes"):
            inputs["volumes"] = [{**mount, "volume_id": self._id_of(mount["volume_id"])} for mount in mounts]
        return super().check(name, replace(declared, inputs=inputs), saved)

    def _id_of(self, ref: Ref) -> Any:
        settled = self.planned.get(ref.name, "same") in ("same", "update")
        known = ref.name in self.state and (settled or not self.previewing)
        return self.state[ref.name].id if known else UNKNOWN

    def _step(self, name: str, saved: Saved | None, news: dict[str, Any], declared: Declared) -> str:
        step = super()._step(name, saved, news, declared)
        self.planned = {**self.planned, name: step}
        return step


@dataclass
class Seen:
    """Everything of ours that is live, by id, and what the state records, by id."""

    bids: dict[str, Mapping[str, Any]]
    volumes: dict[str, Mapping[str, Any]]
    recorded: dict[str, str]
    """The name in the program, by id; what still waits to be deleted among them."""

    @property
    def live(self) -> set[str]:
        """The ids of both kinds."""
        return {*self.bids, *self.volumes}

    @property
    def unrecorded(self) -> set[str]:
        """What no state knows."""
        return self.live - set(self.recorded)


@dataclass
class Life:
    """One made-up life."""

    cloud: FakeMithril
    program: dict[str, Declared] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    """Accepted before the plugin was killed, with no one to tell: id to name. The next good `up` has to find it."""
    surplus: set[str] = field(default_factory=set)
    """The same where the state still held the old one (create-first): taken over where the program has not changed."""
    disturbed: bool = False
    """Whether something happened that only a refresh, or the market, can put right."""

    def __post_init__(self) -> None:
        """Set the scene: an account in which others live, some under names that look like ours."""
        self.clock = FakeClock()
        self.clock.meanwhile = lambda: self.cloud.clock.advance(self.clock.slept[-1])
        self.stack = LinkedStack(settings_of(self.cloud), clock=self.clock)
        self.accepted = dict(self.program)
        theirs = Mark.of("acme/training/prod", self.stack.urn("a", "GpuCluster"))
        names = ("a", "a-1", compose("a", theirs, "0a1b2c", 1), "somebody-elses")
        self.strangers = {self.cloud.add_bid(name)["fid"] for name in names}
        self.strangers |= {self.cloud.add_volume(name.replace("a", "x", 1))["fid"] for name in names}
        self.cloud.set_price("8xa100", REGION, CALM_PRICE)
        self.cloud.clear_requests()

    # -- what a user writes -----------------------------------------------------------------------------------------

    def declare(self, name: str, declared: Declared) -> None:
        """Add a resource, volumes first, as a program names them before it mounts them."""
        everything = {**self.program, name: declared}
        self.program = dict(sorted(everything.items(), key=lambda pair: (pair[1].type != "Volume", pair[0])))

    def edit(self, name: str, *, create_first: bool | None = None, **inputs: Any) -> None:
        """Change inputs; None takes one out."""
        old = self.program[name]
        kept = {key: value for key, value in {**old.inputs, **inputs}.items() if value is not None}
        first = old.create_first if create_first is None else create_first
        if old.type == "Volume":
            first = "volume_name" not in kept  # as the resource class has it
        self.program[name] = Declared(old.type, kept, first, old.timeout)

    def remove(self, name: str) -> None:
        """Take a resource out, and its mounts with it."""
        del self.program[name]
        for other, one in list(self.program.items()):
            if name in mounted(one):
                rest = [mount for mount in one.inputs["volumes"] if mount["volume_id"].name != name]
                self.edit(other, volumes=rest or None)

    # -- what a user runs -------------------------------------------------------------------------------------------

    def preview(self) -> dict[str, str] | None:
        """Preview; None where the program is refused, and then it is taken back to what was accepted before."""
        with self._nothing_happens():
            try:
                plan = self.stack.preview(self.program)
            except CheckError:
                self.program = {name: one for name, one in self.accepted.items() if name in self.program}
                return None
        self.accepted = dict(self.program)
        return plan

    def up(self, *, force: str | None = None, struck: Strike | None = None) -> None:
        """Preview, then `pulumi up`, with a fault or a crash in its way; then hold all promises."""
        plan = self.preview()
        if plan is None:
            return
        before, forced = self.look(), {force} & set(self.stack.state)
        may_end = self._allowed_to_end(plan, forced)
        sends = [method for name, step in plan.items() for method in SENDS["replace" if name in forced else step]]
        said = self._run(lambda stack: stack.up(self.program, force=forced), struck, sends)
        after = self.look()
        self._hold(before, after, may_end, killed=said == "killed")
        if said is None:
            self._hold_after_up(None if forced else plan, before, after)
        else:
            self._go_on(said, struck, None if forced else self.up)

    def refresh(self, *, struck: Strike | None = None) -> None:
        """Run `pulumi refresh`: what it writes down is what is."""
        before = self.look()
        said = self._run(MortalStack.refresh, struck, [])
        after = self.look()
        self._hold(before, after, set(), killed=said == "killed")
        if said is None:
            self._hold_after_refresh(after)
        else:
            assert struck, f"nothing went wrong, and yet: {said}"

    def destroy(self, *, struck: Strike | None = None) -> None:
        """Run `pulumi destroy`: nothing of what the state records stays."""
        before = self.look()
        said = self._run(MortalStack.destroy, struck, ["DELETE"] * len(before.recorded))
        after = self.look()
        self._hold(before, after, set(before.recorded), killed=said == "killed")
        if said is None:
            assert not self.stack.state
            assert after.live <= self.surplus
        else:
            self._go_on(said, struck, self.destroy)

    def recover(self) -> None:
        """Run `pulumi up --refresh` on a calm day: everything is again as the program says."""
        self.refresh()
        self.calm()
        if self.preview() is None:
            assert self.preview() is not None, "what was accepted before is refused"
        self.up()
        self._hold_all()

    # -- what happens meanwhile -------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Let the market fall, notices run out, everyone who was preempted take part again, and people do as told."""
        self.cloud.clock.advance(minutes=10)
        self.cloud.set_price("8xa100", REGION, CALM_PRICE)
        for bid in self.cloud.live_bids:
            self.cloud.release(bid["fid"])
            if bid["fid"] in self.surplus:  # it may hold a volume: somebody ends it, as the error says
                self.cloud.terminate(bid["fid"])
        for _, one in self.stack.doomed:  # a refresh does not ask for it: somebody gives it its name back
            if one.id in self.look().volumes:
                self.cloud.update_volume(one.id, name=one.outputs["volume_name"])
        self.cloud.clock.advance(minutes=10)
        self.disturbed = False

    def _go_on(self, said: str, struck: Strike | None, same: Callable[[], None] | None) -> None:
        """Do the same again where a fault alone was in its way, or something else, which may then need a refresh."""
        held = any(id_ in said for id_ in self.surplus)  # a volume, by the surplus bid of a killed plugin
        assert struck or self.disturbed or held, f"nothing went wrong, and yet: {said}"
        if same and struck and struck.again and not self.disturbed:
            same()
        else:
            self.disturbed = True

    # -- looking ----------------------------------------------------------------------------------------------------

    def look(self) -> Seen:
        """See what is live from behind, and what the state says."""
        # (What waits to be deleted first: of two ids of one name the state's own is the last.)
        recorded = {one.id: name for name, one in [*self.stack.doomed, *self.stack.state.items()]}
        # (What waits to be deleted may have been taken over, and is then two resources' until its delete keeps it.)
        ids = [one.id for one in self.stack.state.values()]
        assert len(set(ids)) == len(ids), "two resources have one id"
        bids = {one["fid"]: one for one in self.cloud.live_bids}
        volumes = {one["fid"]: one for one in self.cloud.volumes}
        assert self.strangers <= {*bids, *volumes}, "a stranger's is gone"
        touched = [one.path for one in self.cloud.mutations if any(id_ in one.path for id_ in self.strangers)]
        assert not touched, f"a stranger's was touched: {touched}"
        return Seen(
            {id_: one for id_, one in bids.items() if id_ not in self.strangers},
            {id_: one for id_, one in volumes.items() if id_ not in self.strangers},
            recorded,
        )

    def cut_off(self) -> set[str]:
        """The names of what a killed plugin may have left: the user runs `up` again before it is taken away."""
        return set(self.lost.values())

    # -- the promises -----------------------------------------------------------------------------------------------

    def _run(self, deed: Any, struck: Strike | None, sends: list[str]) -> str | None:
        if struck:
            nth, method = struck.at(sends)
            return matrix.suffer(self.cloud, self.stack, Scenario({}, deed, {}), nth, struck.fault, method)
        try:
            deed(self.stack)
        except (VerbError, CheckError) as error:
            return str(error)
        return None

    @contextmanager
    def _nothing_happens(self) -> Iterator[None]:
        before, sent = self.look(), len(self.cloud.mutations)
        yield
        after = self.look()
        assert len(self.cloud.mutations) == sent, "a preview changed something"
        assert (after.live, after.recorded) == (before.live, before.recorded)

    def _allowed_to_end(self, plan: Mapping[str, str], forced: set[str]) -> set[str]:
        """The ids that an `up` may end: what the plan replaces or deletes, and what waits for its end already."""
        names = {name for name, step in plan.items() if step in ("replace", "delete")} | forced
        return {self.stack.state[name].id for name in names} | {one.id for _, one in self.stack.doomed}

    def _hold(self, before: Seen, after: Seen, may_end: set[str], *, killed: bool) -> None:
        """Hold what is true after every operation, however it ended."""
        ended = set(before.volumes) - set(after.volumes)
        assert ended <= may_end, f"volumes lost that nobody gave up: {ended - may_end}"
        ended = (set(before.bids) & set(before.recorded)) - set(after.bids)
        assert ended <= may_end, f"clusters ended that nobody gave up: {ended - may_end}"
        forgotten = (set(before.recorded) - set(after.recorded)) & after.live
        assert not forgotten, f"dropped from the state without proof: {forgotten}"
        known = {*self.lost, *self.surplus}
        appeared = after.unrecorded - known
        assert killed or not appeared, f"nobody knows of {appeared}"
        for id_ in appeared:
            name = self._whose(id_, after)
            if name in self.stack.state:
                self.surplus.add(id_)
            else:
                self.lost[id_] = name
        self.surplus &= after.live
        self.lost = {id_: name for id_, name in self.lost.items() if id_ in after.unrecorded}
        self.surplus -= set(after.recorded)

    def _whose(self, id_: str, seen: Seen) -> str:
        """Find the resource of something by its name in the service alone, as `sweep` or a person would."""
        name = str({**seen.bids, **seen.volumes}[id_]["name"])
        if parts := take_apart(name):
            for declared, one in self.program.items():
                if parts.mark == Mark.of(self.stack.owner, self.stack.urn(declared, one.type)):
                    return declared
        chosen = [key for key, one in self.program.items() if one.inputs.get("volume_name") == name]
        assert len(chosen) == 1, f"{name} cannot be found by its name"
        return chosen[0]

    def _hold_after_up(self, plan: Mapping[str, str] | None, before: Seen, after: Seen) -> None:
        """Hold what is true after an `up` that ended well."""
        assert set(self.stack.state) == set(self.program)
        assert not self.stack.doomed
        for id_, name in list(self.lost.items()):  # still unrecorded, else `_hold` had struck it out
            # Data is never deleted: an older volume of another size is named, and left to a person.
            assert id_ in after.volumes, f"the bid {id_} of {name} was not found again"
            size = int(self.program[name].inputs["size_gb"])
            assert after.volumes[id_]["capacity_gb"] != size, f"the volume {id_} of {name} was not found again"
            self.surplus.add(id_)
            del self.lost[id_]
        assert after.unrecorded <= self.surplus
        if plan:
            self._hold_plan(plan, before, after)
        sent = len(self.cloud.mutations)
        assert set(self.stack.preview(self.program).values()) <= {"same"}, "a second preview shows a change"
        self.stack.up(self.program)
        assert len(self.cloud.mutations) == sent, "a second up changed something"
        assert self.look().recorded == after.recorded
        if not self.disturbed:
            assert set(after.recorded) == after.live - self.surplus

    def _hold_plan(self, plan: Mapping[str, str], before: Seen, after: Seen) -> None:
        """Hold that the `up` did what its preview said."""
        olds = {name: id_ for id_, name in before.recorded.items()}
        news = {name: id_ for id_, name in after.recorded.items()}
        for name, step in plan.items():
            if step in ("same", "update"):
                assert news[name] == olds[name], f"{name}: {step} made another one"
            elif step == "replace":
                assert news[name] != olds[name], f"{name} was not replaced"
            else:
                assert (name in news) == (step == "create"), f"{name}: {step}"

    def _hold_after_refresh(self, after: Seen) -> None:
        """Hold that the state says what is live, in which condition, under which name and at what price."""
        # The engine asks for neither: what is still to be deleted, and what it has deleted for a replacement.
        settled = [one for one in self.stack.state.values() if not one.replacing]
        assert {one.id for one in settled} <= after.live, "a refresh kept what is gone"
        for one in settled:
            said = one.outputs
            if one.type == "Volume":
                row = after.volumes[one.id]
                assert (said["volume_name"], sorted(said["attached_to"])) == (row["name"], sorted(row["bids"]))
                continue
            row = after.bids[one.id]
            assert said["status"] in STATUSES[row["status"]], (said["status"], row["status"])
            assert f"${said['max_price_per_hour']:.2f}" == row["limit_price"]
            assert sorted(said["volume_ids"]) == sorted(row["launch_specification"]["volumes"])

    def _hold_all(self) -> None:
        """Hold the whole promise: what is live is what is declared, one each, and the state knows it."""
        after = self.look()
        assert {name: one.type for name, one in self.stack.state.items()} == {
            name: one.type for name, one in self.program.items()
        }
        assert set(after.recorded) == after.live - self.surplus
        for id_, name in after.recorded.items():
            wanted = self.program[name].inputs
            if id_ in after.volumes:
                row = after.volumes[id_]
                assert row["capacity_gb"] == wanted["size_gb"]
                assert row["name"] == wanted.get("volume_name", row["name"])
                continue
            row = after.bids[id_]
            assert row["limit_price"] == f"${wanted['max_price_per_hour']:.2f}"
            assert row["instance_quantity"] == wanted.get("num_instances", 1)
            assert row["status"] == ("Paused" if wanted.get("paused") else "Allocated")


def mounted(declared: Declared) -> list[str]:
    """Return the names of the volumes that a cluster mounts."""
    return [mount["volume_id"].name for mount in declared.inputs.get("volumes", [])]


def new_cluster(**inputs: Any) -> Declared:
    """Declare a cluster of these lives."""
    return cluster(timeout=LIMIT_SECONDS, **inputs)


def new_volume(**inputs: Any) -> Declared:
    """Declare a volume of these lives."""
    return volume(timeout=LIMIT_SECONDS, create_first="volume_name" not in inputs, **inputs)
