"""The tables of what the commands list, write and end."""

from __future__ import annotations

from typing import Any

from flow_resources.cli.cluster import CLUSTERS
from flow_resources.cli.job_key import JOB_KEYS
from flow_resources.cli.kind import CommandKind, SweptKind
from flow_resources.cli.volume import VOLUMES

KINDS: tuple[CommandKind[Any], ...] = (VOLUMES, CLUSTERS)
"""In the order in which a program declares them, as in `lifecycle.kinds`. The bid of a job is one of the clusters'."""
BY_NAME = {kind.resource.name: kind for kind in KINDS}
HOLDERS_FIRST = KINDS[::-1]
"""In the order in which they are listed and deleted: what holds something before what it holds."""
SWEPT: tuple[SweptKind[Any], ...] = (*HOLDERS_FIRST, JOB_KEYS)
"""What `sweep` searches for, in the same order."""
