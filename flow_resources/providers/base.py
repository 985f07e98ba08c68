"""What the verbs of all resources share: how they start, whom they act for, and how they end when things go wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from flow_resources import engine
from flow_resources.cloud import Cloud, Project, Settings
from flow_resources.core.inputs import Checked, Failure, Field
from flow_resources.core.models import Named, latest
from flow_resources.core.naming import Mark, take_apart
from flow_resources.errors import (
    AccountMismatchError,
    FlowResourcesError,
    RejectedError,
    TerminatedError,
    UnavailableError,
    one_line,
)
from flow_resources.providers import session

# Hidden properties: a name that starts with two underscores is shown by no diff. They are written into states.
OWNER, URN, RECORDED = "__owner", "__urn", "__recorded"  # from the program, taken out by check
MARK, SERVICE = "__mark", "__service"  # in the state: the owner's mark, and the API URL it was made at
UNREADY = "__unready"  # in the state: the last verb ended before it was ready, and the next `up` goes on
NAMED = "__named"  # in a volume's state: the program chose its name
TOKEN = "__provider"  # noqa: S105 - Pulumi's name for the serialised provider
NOT_KNOWN = "?"  # RECORDED, where the program could not find out


_SELF_MANAGED = "organization/"  # the organization of every self-managed backend


class FlowProvider(ResourceProvider):
    """A provider that holds nothing and pickles as a name."""

    serialize_as_secret_always = False

    def configure(self, req: ConfigureRequest) -> None:
        """Take the stack's config; called once a class and process."""
        session.begin(req.config.get)
        engine.widen_pool()
        engine.share_one_heap()
        engine.end_with_the_engine()


def hidden(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str:
    """Read what the program passes along unseen, remember it, and return the mark, pinned once it is in the state."""
    memory, seen = session.current(), engine.current().urn
    said = str(news.get(URN) or "")
    memory.owner = str(news.get(OWNER) or "")
    mark, pinned = str(Mark.of(memory.owner, seen or said)), olds.get(MARK)
    if olds:
        memory.replaced |= {mark, str(pinned)}
    entries = [f"{entry}@@".split("@") for entry in str(news.get(RECORDED) or "").split(",") if entry]
    memory.born.update({id_: created_at for id_, created_at, *_ in entries})
    recorded = {id_ for id_, *_ in entries}
    # A forced replacement is checked as if there were nothing before it. (What this very operation's refresh has found
    # gone, the program has read of before.)
    if any(own and id_ not in memory.gone for id_, _, own, *_ in entries):
        memory.replaced.add(mark)
    if (olds and not recorded) or (seen and said and seen != said):
        recorded = {NOT_KNOWN}  # the program looked under another URN than the engine's (an alias, a transformation)
    memory.recorded[mark] = recorded
    return str(pinned or mark)


def still_recorded(mark: str) -> set[str]:
    """Return what the state holds for a mark, beyond what this operation has deleted; NOT_KNOWN among it for doubt."""
    memory = session.current()
    return memory.recorded.get(mark, set()) - memory.deleted


def last_recorded(mark: str) -> str:
    """Return when the youngest was made that the state held for a mark as this operation began; empty where unknown.

    What this operation has deleted counts: the state goes on from it.
    """
    memory = session.current()
    return latest(memory.born.get(id_, "") for id_ in memory.recorded.get(mark, set()))


def adopts(mark: str, wanted: str) -> bool:
    """Whether this create adopts what the program names: the first create of a resource alone, one resource alone.

    Raises RejectedError where two resources of the program name the same.
    """
    memory = session.current()
    if mark in memory.replaced or wanted in memory.deleted | still_recorded(mark):
        return False
    if memory.adopted.setdefault(wanted, mark) != mark:
        raise RejectedError(f"two resources adopt {wanted}", "take the line out of one of them")
    return True


def previously_resolved_region(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str | None:
    """Return the region that an earlier check settled on, where the program still names none."""
    return str(olds["region"]) if olds.get("region") and not news.get("region") else None


def visible(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties without the hidden ones."""
    return {name: value for name, value in props.items() if not name.startswith("__")}


def checked(found: Checked, mark: str, fields: Sequence[Field]) -> CheckResult:
    """Return check's verdict to the engine, which prints the value of a failed property unless it is a secret's."""
    inputs = {name: value for name, value in found.inputs.items() if value is not None}
    quiet = {one.name for one in fields if one.sensitive}
    failures = [CheckFailure("" if one.path in quiet else one.path, one.text) for one in found.failures]
    return CheckResult(engine.unknowns_out({**inputs, MARK: mark}), failures)


@contextlib.contextmanager
def asking_the_service(found: Checked) -> Iterator[None]:
    """Let a check ask: silence costs one warning for all resources, anything else is a failure beside the others."""
    try:
        yield
    except UnavailableError as error:
        memory = session.current()
        if memory.silence is None or memory.silence[1] is not error:
            memory.silence = (memory.clock.now(), error)
        memory.warn_once(f"the inputs are checked without the service: {error.message}", about="the service")
    except FlowResourcesError as error:
        found.failures.append(Failure("", str(error)))


def guard_account(cloud: Cloud, props: Mapping[str, Any]) -> None:
    """Refuse to judge or touch anything that the state records at another service, account or project.

    Raises AccountMismatchError naming both sides. Without this, everything would look deleted to another account's key.
    """
    _guard_service(cloud, props)
    _guard_project(cloud.project(), props)


def guard_preview(props: Mapping[str, Any]) -> None:
    """Do the same with what is known without a request: an `up` would make what is new at another place."""
    cloud = session.current().cloud()
    _guard_service(cloud, props)
    if cloud.known_project:
        _guard_project(cloud.known_project, props)


def _guard_service(cloud: Cloud, props: Mapping[str, Any]) -> None:
    recorded = props.get(SERVICE)
    if recorded and recorded != cloud.settings.api_url:
        raise AccountMismatchError(
            f"the state records {recorded}, but the settings point at {cloud.settings.api_url}",
            "set flow:apiUrl or MITHRIL_API_URL to the recorded service; nothing was touched",
        )


def _guard_project(project: Project, props: Mapping[str, Any]) -> None:
    recorded = props.get("project")
    if recorded and recorded != project.id:
        raise AccountMismatchError(
            f"the state records project {recorded}, but the settings point at {project.name} ({project.id})",
            "set flow:project or MITHRIL_PROJECT to the recorded one, with a key of its account; nothing was touched",
        )


def service_of(settings: Settings) -> dict[str, Any]:
    """Return the hidden outputs that say where something lives."""
    return {SERVICE: settings.api_url}


def not_ready(id_: str, outs: dict[str, Any], props: Mapping[str, Any], error: Exception) -> CreateResult:
    """End a create whose thing exists but is not ready: the id is recorded, and the next `up` goes on."""
    reason = (
        str(error)
        if isinstance(error, FlowResourcesError)
        else one_line(engine.redactor.redact(f"{type(error).__name__}: {error}"))
    )
    outs = {**outs, UNREADY: True}
    token = {TOKEN: props[TOKEN]} if TOKEN in props else {}
    inputs = {name: value for name, value in props.items() if value is not None}
    engine.row(reason)  # what the engine makes of it on the row is only a count
    engine.fail_initialisation(id_, {**outs, **token}, inputs, reason)
    return CreateResult(id_, outs)


def update_not_ready(id_: str, outs: dict[str, Any], props: Mapping[str, Any], error: Exception) -> UpdateResult:
    """The same for an update."""
    return UpdateResult(not_ready(id_, outs, props, error).outs)


def owner_is_shared() -> bool:
    """Whether other people's stacks can have the same owner: self-managed backends all say "organization"."""
    return session.current().owner.startswith(_SELF_MANAGED)


def taking_over(what: Named) -> str:
    """Say that a leftover is taken over, and what to do where the owner cannot be told from other people's stacks."""
    owner = session.current().owner
    said = f"taking over {what.name} ({what.id}), which an earlier, interrupted `up` left"
    doubt = (
        f" (or another person's stack of the same names has it, and `pulumi destroy` here would end it for both: its "
        f"owner is {owner!r}, as on every self-managed backend; set flow:owner where people share an account)"
    )
    return said + doubt if owner_is_shared() else said


def warn_of_other_owner(adopted: Named, mark: Mark) -> None:
    """Warn where the name of what is adopted says that another stack of ours made it."""
    parts = take_apart(adopted.name)
    if parts and parts.mark.owner != mark.owner:
        session.current().warn_once(
            f"{adopted.name} ({adopted.id}) was made by another stack: while both declare it, either can delete it"
        )


def gone(id_: str, what: str, props: Mapping[str, Any]) -> ReadResult:
    """Report that something is proven gone; raise TerminatedError where it was only read (`get`), never managed."""
    if not props.get(MARK):
        raise TerminatedError(f"there is no live {what} {id_} in the project", "take the `get` out of the program")
    session.current().gone.add(id_)
    # The engine's own row says "deleted", as if the refresh had done it.
    engine.info(f"the {what} {id_} is gone already and leaves the state: the next `pulumi up` makes a new one")
    return ReadResult(id_="", outs={})
