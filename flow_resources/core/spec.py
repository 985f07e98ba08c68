"""What a program wants, parsed once from the properties that check passed: typed, with the defaults filled in.

A verb parses its inputs at its start and hands the value down. Nothing below it reads a property bag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from flow_resources.core import cluster_fields, money, naming, volume_fields
from flow_resources.core.hidden import Identity, read_identity
from flow_resources.core.inputs import Field, normalised
from flow_resources.core.naming import Mark


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
        set_inputs = ((input_, self.inputs.get(input_.name)) for input_ in self.digest_fields)
        values = [(input_, value) for input_, value in set_inputs if input_.enters_digest(value)]
        public = {input_.name: normalised(input_, value) for input_, value in values if not input_.sensitive}
        secret = {
            input_.name: value
            for input_, value in values
            if input_.sensitive and value not in (None, input_.default)  # the default is public
        }
        return naming.spec_digest(public, secret, api_key)


@dataclass(frozen=True)
class ClusterSpec(Spec):
    """What a program wants of a cluster."""

    digest_fields = cluster_fields.SPEC
    instance_type: str = ""
    num_instances: int = 1
    max_price_per_hour: Decimal = Decimal(0)
    """The bid, in USD per instance-hour."""
    region: str | None = None
    """None where it could not be resolved while the service was out of reach."""
    command: str | tuple[str, ...] = field(default="sleep infinity", repr=False)
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[int, ...] = ()
    volumes: tuple[Mount, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    """Names or ids of platform keys; empty for the Flow SDK's default key."""
    run_on: str = "first_boot"
    """"every_boot" or "first_boot": when the command runs."""
    restart: str = "never"
    preemption_signal: str | None = None
    paused: bool = False
    wait_for: str = "running"
    name_prefix: str | None = None
    adopt_task_id: str | None = None

    @classmethod
    def parse(cls, props: Mapping[str, Any]) -> ClusterSpec:
        """Parse the inputs of a cluster, which check has accepted."""
        inputs = declared_inputs(cluster_fields.FIELDS, props)
        known = _with_defaults(cluster_fields.FIELDS, inputs)
        command = known["command"]
        return cls(
            identity=read_identity(props),
            inputs=inputs,
            instance_type=str(known["instance_type"]),
            num_instances=int(known["num_instances"]),
            max_price_per_hour=money.price(known["max_price_per_hour"]),
            region=known.get("region"),
            command=command if isinstance(command, str) else tuple(command),
            image=known.get("image"),
            env=dict(known.get("env") or {}),
            ports=tuple(int(port) for port in known.get("ports") or ()),
            volumes=tuple(
                Mount(str(mount["volume_id"]), str(mount["mount_path"])) for mount in known.get("volumes") or ()
            ),
            ssh_keys=tuple(map(str, known.get("ssh_keys") or ())),
            run_on=str(known["run_on"]),
            restart=str(known["restart"]),
            preemption_signal=known.get("preemption_signal"),
            paused=bool(known["paused"]),
            wait_for=str(known["wait_for"]),
            name_prefix=known.get("name_prefix"),
            adopt_task_id=known.get("adopt_task_id"),
        )

    @property
    def max_cost(self) -> Decimal:
        """The most that it can cost, in USD per hour: the bid times the instances."""
        return self.max_price_per_hour * self.num_instances


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


def declared_inputs(fields: Sequence[Field], props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs among the properties, as they are; empty for a resource that is only read."""
    return {one.name: props[one.name] for one in fields if props.get(one.name) is not None}


def _with_defaults(fields: Sequence[Field], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: inputs.get(one.name, one.unset) for one in fields}
