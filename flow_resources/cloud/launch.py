"""What a new bid needs, and its translation into what `Flow.run` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Boot:
    """How the command runs at every boot; a launch without it runs its command at the first boot alone."""

    restart: str = "never"
    """"never", "on_failure" or "always": while the machine stays up."""
    preemption_signal: str | None = None
    """"SIGUSR1", for example; None: no notice reaches the command."""


@dataclass(frozen=True)
class JobEnd:
    """What a machine needs to end the bid of its job itself."""

    key: str = field(repr=False)
    """An API key of the service."""
    key_id: str | None
    """`apikey_...`; None for a key of the user's own, which is never renewed and never revoked."""
    key_name: str | None
    key_expires_at: float | None
    """Epoch seconds."""
    api_url: str
    project: str
    """Its id."""
    on_failure: str
    """"release" or "keep"."""
    max_run_seconds: int | None
    inputs_digest: str
    """The digest of its job's inputs that are not sensitive."""


@dataclass(frozen=True)
class Launch:
    """Everything that a new bid needs."""

    name: str
    key: str
    """Tells the service that two requests are one."""
    instance_type: str
    """The service's id, `it_...`; a name can mean several types."""
    num_instances: int
    price: Decimal
    """USD per instance-hour."""
    region: str
    command: str | list[str] = field(repr=False)
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ports: tuple[int, ...] = ()
    volumes: tuple[tuple[str, str, str], ...] = ()
    """(volume id, mount path, interface)"""
    ssh_keys: tuple[str, ...] = ()
    """Ids of platform keys, no others are used; empty for the SDK's default key."""
    boot: Boot | None = None
    """None: the service runs the command at the first boot alone."""
    job_end: JobEnd | None = None
    """Of a job, which has a `boot` too."""


def task_config(launch: Launch) -> Any:
    """Return the SDK's TaskConfig for a launch: the region pinned, code upload off, the name unchanged."""
    from flow import TaskConfig
    from flow.domain.models.constraints import Constraints

    return TaskConfig(
        name=launch.name,
        unique_name=False,
        idempotency_key=idempotency_key(launch.key),
        instance_type=launch.instance_type,
        num_instances=launch.num_instances,
        max_price_per_hour=float(launch.price),
        region=launch.region,
        # Without this the SDK refuses bids under the market and may choose another region.
        constraints=Constraints(regions=[launch.region]),
        command=launch.command,
        env=dict(launch.env),
        ports=list(launch.ports),
        volumes=[
            {"volume_id": id_, "mount_path": path, "interface": interface} for id_, path, interface in launch.volumes
        ],
        ssh_keys=list(launch.ssh_keys),
        upload_code=False,
        **({"image": launch.image} if launch.image else {}),
    )


def idempotency_key(key: str) -> str:
    """Return the Idempotency-Key that a creating request carries."""
    return f"flow-resources:{key}"[:128]  # the SDK's limit (flow.sdk.models.task_config.IDEMPOTENCY_KEY_PATTERN)
