"""The tables of what the commands list, write and end."""

from __future__ import annotations

from typing import Any

from flow_resources.cli.cluster import CLUSTERS
from flow_resources.cli.job_key import JOB_KEYS
from flow_resources.cli.kind import CommandKind, SweptKind
from flow_resources.cli.ssh_key import SSH_KEYS
from flow_resources.cli.volume import VOLUMES
from flow_resources.lifecycle.ssh_key import SSH_KEY
from flow_resources.lifecycle.verbs import AnyResource

KINDS: tuple[CommandKind[Any], ...] = (VOLUMES, CLUSTERS)
"""In the order in which a program declares them, as in `lifecycle.kinds`. The bid of a job is one of the clusters'."""
BY_NAME = {kind.resource.name: kind for kind in KINDS}
HOLDERS_FIRST = KINDS[::-1]
"""In the order in which they are listed and deleted: what holds something before what it holds."""
SWEPT: tuple[SweptKind[Any], ...] = (*HOLDERS_FIRST, JOB_KEYS, SSH_KEYS)
"""What `sweep` searches for, in the same order."""
RECORDED: tuple[AnyResource, ...] = (*(kind.resource for kind in HOLDERS_FIRST), SSH_KEY)
"""The kinds of resources that a state records, those of bids once; `change-api-url` looks them up."""
