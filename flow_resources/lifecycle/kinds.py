"""The one table of the kinds of resources: for the hosts, and for the commands that list, adopt and end things."""

from __future__ import annotations

from flow_resources.lifecycle.cluster import CLUSTER
from flow_resources.lifecycle.job import JOB
from flow_resources.lifecycle.ssh_key import SSH_KEY
from flow_resources.lifecycle.volume import VOLUME

KINDS = (SSH_KEY, VOLUME, CLUSTER, JOB)
"""In the order in which a program declares them: what holds something comes after it."""
