"""What a program wants, parsed once from the properties that check passed: typed, with the defaults filled in.

A verb parses its inputs at its start and hands the value down. Nothing below it reads a property bag.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from flow_resources.core import cluster_fields, fleet_fields, job_fields, money, naming, ssh_key_fields, volume_fields
from flow_resources.core.hidden import Identity, read_identity, read_resolved_bid
from flow_resources.core.inputs import Field, normalised
from flow_resources.core.naming import Mark
from flow_resources.core.preemption import NOTHING, PolicyRecord, read_record


@dataclass(frozen=True)
class Mount:
    """A volume and where it is mounted."""

    volume_id: str
    path: str


@dataclass(frozen=True)
class Spec:
    """What every kind of resource wants: its identity, and its inputs as they are written into the state."""

    identity: Identity | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The checked inputs that are set, as they came over the wire."""
    resolved_bid: Decimal | None = field(default=None, kw_only=True)
    """The number that a policy of the bid was resolved to; None without a policy."""
    digest_fields: ClassVar[Sequence[Field]] = ()
    """The inputs that enter the digest."""

    @property
    def mark(self) -> Mark:
        """The mark of its resource. Raises ValueError where check did not write one."""
        if self.identity is None:
            raise ValueError("the inputs carry no mark: check did not see them")
        return self.identity.mark

    def digest(self, api_key: str) -> str:
        """Return the digest of what only a replacement can change; sensitive values enter as a keyed hash."""
        return naming.spec_digest(self._public(), self._sensitive(), api_key)

    @property
    def public_digest(self) -> str:
        """The digest of what is not sensitive, which is the same with every API key."""
        return naming.spec_digest(self._public(), {}, "")

    @property
    def has_keyed_digest(self) -> bool:
        """Whether the digest of the same inputs is another one with another API key."""
        return bool(self._sensitive())

    def _public(self) -> dict[str, Any]:
        return {one.name: normalised(one, value) for one, value in self._digested() if not one.sensitive}

    def _digested(self) -> list[tuple[Field, Any]]:
        set_inputs = ((input_, self.inputs.get(input_.name)) for input_ in self.digest_fields)
        return [(input_, value) for input_, value in set_inputs if input_.enters_digest(value)]

    def _sensitive(self) -> dict[str, Any]:
        values = ((one, value) for one, value in self._digested() if one.sensitive)
        return {one.name: value for one, value in values if value not in (None, one.default)}  # the default is public


@dataclass(frozen=True)
class PlacementSpec(Spec):
    """What a program wants of a resource that is a bid: where it is placed, and what its machines are set up with."""

    instance_type: str = ""
    """Empty where the placement could not be settled while the service was out of reach."""
    num_instances: int = 1
    max_price_per_hour: Decimal = Decimal(0)
    """The bid, in USD per instance-hour; 0 where policy or placement is not resolved, and then nothing is sent."""
    region: str | None = None
    """None where it could not be resolved while the service was out of reach."""
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[int, ...] = ()
    volumes: tuple[Mount, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    """Names or ids of platform keys; empty for the Flow SDK's default key."""
    restart: str = "never"
    preemption_signal: str | None = None
    paused: bool = False
    wait_for: str = "placed"
    name_prefix: str | None = None

    @property
    def launch_command(self) -> str | tuple[str, ...]:
        """The command that the machines run: a shell line, or a list of arguments."""
        raise NotImplementedError

    @property
    def runs_at_every_boot(self) -> bool:
        """Whether the machines run anything at every boot."""
        raise NotImplementedError

    @property
    def max_cost(self) -> Decimal:
        """The most that it can cost, in USD per hour: the bid times the instances."""
        return self.max_price_per_hour * self.num_instances


@dataclass(frozen=True)
class ClusterSpec(PlacementSpec):
    """What a program wants of a cluster."""

    digest_fields = cluster_fields.SPEC
    command: str | tuple[str, ...] = field(default=cluster_fields.DEFAULT_COMMAND, repr=False)
    run_on: str = "first_boot"
    """"every_boot" or "first_boot": when the command runs."""
    adopt_task_id: str | None = None
    policy: PolicyRecord = NOTHING
    """What check has decided about a preemption."""

    @classmethod
    def parse(cls, props: Mapping[str, Any]) -> ClusterSpec:
        """Parse the inputs of a cluster, which check has accepted."""
        inputs = declared_inputs(cluster_fields.FIELDS, props)
        known = _with_defaults(cluster_fields.FIELDS, inputs)
        command = known["command"]
        return cls(
            identity=read_identity(props),
            inputs=inputs,
            resolved_bid=read_resolved_bid(props),
            **_placement(known),
            ports=tuple(int(port) for port in known.get("ports") or ()),
            command=command if isinstance(command, str) else tuple(command),
            run_on=str(known["run_on"]),
            restart=str(known["restart"]),
            preemption_signal=known.get("preemption_signal"),
            paused=bool(known["paused"]),
            adopt_task_id=known.get("adopt_task_id"),
            policy=read_record(props),
        )

    @property
    def launch_command(self) -> str | tuple[str, ...]:
        """Return `command`."""
        return self.command

    @property
    def runs_at_every_boot(self) -> bool:
        """Whether `run_on` says so, and there is a command, or a container."""
        has_work = self.command != cluster_fields.DEFAULT_COMMAND or self.image is not None
        return self.run_on == "every_boot" and has_work


@dataclass(frozen=True)
class JobSpec(PlacementSpec):
    """What a program wants of a job."""

    digest_fields = job_fields.SPEC
    command: str | tuple[str, ...] | None = field(default=None, repr=False)
    script: str | None = field(default=None, repr=False)
    """The text of a script, which says in its first line what runs it."""
    args: tuple[str, ...] = field(default=(), repr=False)
    max_run_time_hours: float | None = None
    on_failure: str = "release"
    machine_api_key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, props: Mapping[str, Any]) -> JobSpec:
        """Parse the inputs of a job, which check has accepted."""
        inputs = declared_inputs(job_fields.FIELDS, props)
        known = _with_defaults(job_fields.FIELDS, inputs)
        command, hours = known["command"], known["max_run_time_hours"]
        return cls(
            identity=read_identity(props),
            inputs=inputs,
            resolved_bid=read_resolved_bid(props),
            **_placement(known),
            command=tuple(command) if isinstance(command, list) else command,
            script=known["script"],
            args=tuple(known["args"] or ()),
            preemption_signal=known["preemption_signal"],
            max_run_time_hours=None if hours is None else float(hours),
            on_failure=str(known["on_failure"]),
            machine_api_key=known["machine_api_key"],
        )

    @property
    def launch_command(self) -> str | tuple[str, ...]:
        """Return `command`; or a shell command that writes the script to a file of its own, and becomes it.

        A container has no files of ours, so that the text is part of its command.
        """
        if self.script is None:
            return self.command or ""
        end = f"END_{hashlib.sha256(self.script.encode()).hexdigest()[:12]}"  # no line of a text has its own hash
        arguments = "".join(f" {shlex.quote(one)}" for one in self.args)
        text = self.script if self.script.endswith("\n") else f"{self.script}\n"
        write = f'f=$(mktemp -d)/job && cat >"$f" <<\'{end}\' && chmod 700 "$f" && exec "$f"{arguments}'
        return f"{write}\n{text}{end}\n"

    @property
    def runs_at_every_boot(self) -> bool:
        """Always, until it has ended."""
        return True

    @property
    def elsewhere(self) -> list[JobSpec]:
        """The same job in each other of its placements: an `up` that was cut off can have chosen that one."""
        places = [(str(one["instance_type"]), str(one["region"])) for one in self.inputs.get("placements") or ()]
        others = [place for place in places if place != (self.instance_type, self.region)]
        return [
            replace(
                self,
                instance_type=type_,
                region=region,
                inputs={**self.inputs, "instance_type": type_, "region": region},
            )
            for type_, region in others
        ]

    @property
    def max_run_seconds(self) -> int | None:
        """The time limit in seconds, at least one; None for none."""
        return None if self.max_run_time_hours is None else max(1, round(self.max_run_time_hours * 3600))


@dataclass(frozen=True)
class VolumeSpec(Spec):
    """What a program wants of a volume."""

    digest_fields = volume_fields.SPEC
    size_gb: int = 0
    interface: str = "file"
    region: str = ""
    volume_name: str | None = None
    adopt_volume_id: str | None = None

    @classmethod
    def parse(cls, props: Mapping[str, Any]) -> VolumeSpec:
        """Parse the inputs of a volume, which check has accepted."""
        inputs = declared_inputs(volume_fields.FIELDS, props)
        known = _with_defaults(volume_fields.FIELDS, inputs)
        return cls(
            identity=read_identity(props),
            inputs=inputs,
            size_gb=int(known["size_gb"]),
            interface=str(known["interface"]),
            region=str(known["region"]),
            volume_name=known.get("volume_name"),
            adopt_volume_id=known.get("adopt_volume_id"),
        )


@dataclass(frozen=True)
class FleetSpec(Spec):
    """What a program wants of the members of a fleet."""

    task_ids: Mapping[str, str] = field(default_factory=dict)
    """By index, as Pulumi carries it: a text."""
    min_running: int = 0
    paused: bool = False

    @classmethod
    def parse(cls, props: Mapping[str, Any]) -> FleetSpec:
        """Parse the inputs of a fleet's status, which check has accepted."""
        inputs = declared_inputs(fleet_fields.FIELDS, props)
        known = _with_defaults(fleet_fields.FIELDS, inputs)
        return cls(
            identity=read_identity(props),
            inputs=inputs,
            task_ids=dict(known["task_ids"]),
            min_running=int(known["min_running"]),
            paused=bool(known["paused"]),
        )


@dataclass(frozen=True)
class SshKeySpec(Spec):
    """What a program wants of an SSH key."""

    digest_fields = ssh_key_fields.SPEC
    public_key: str = ""
    """Its type and its content."""
    key_name: str | None = None

    @classmethod
    def parse(cls, props: Mapping[str, Any]) -> SshKeySpec:
        """Parse the inputs of an SSH key, which check has accepted."""
        inputs = declared_inputs(ssh_key_fields.FIELDS, props)
        return cls(
            identity=read_identity(props),
            inputs=inputs,
            public_key=str(inputs["public_key"]),
            key_name=inputs.get("key_name"),
        )


def declared_inputs(fields: Sequence[Field], props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs among the properties, as they are; empty for a resource that is only read."""
    return {one.name: props[one.name] for one in fields if props.get(one.name) is not None}


def _placement(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that every bid has, as values of a PlacementSpec."""
    return {
        "instance_type": str(known["instance_type"] or ""),
        "num_instances": int(known["num_instances"]),
        "max_price_per_hour": money.known_price(known["max_price_per_hour"]) or Decimal(0),
        "region": known.get("region"),
        "image": known.get("image"),
        "env": dict(known.get("env") or {}),
        "volumes": tuple(
            Mount(str(mount["volume_id"]), str(mount["mount_path"])) for mount in known.get("volumes") or ()
        ),
        "ssh_keys": tuple(map(str, known.get("ssh_keys") or ())),
        "wait_for": str(known["wait_for"]),
        "name_prefix": known.get("name_prefix"),
    }


def _with_defaults(fields: Sequence[Field], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: inputs.get(one.name, one.unset) for one in fields}
