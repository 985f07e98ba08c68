"""Verbs that create, change and delete resources as another user would: projects, keys, bids and volumes."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.accounts import OPERATOR, project_row
from flow_resources.testing.service.body import Body
from flow_resources.testing.verbs.operator import Operator, mutation, read_pools, sent_fields


@mutation
def add_project(operator: Operator, arguments: Body, now: float) -> Any:
    """Add a project and give API keys access to it."""
    name, keys = arguments.text("name"), arguments.text_list("keys")
    arguments.reject_others()
    row = operator.backend.accounts.add_project(name, now)
    for key in keys:
        operator.backend.accounts.add_key(key, [name])
    return project_row(row)


@mutation
def add_key(operator: Operator, arguments: Body, _now: float) -> Any:
    """Add the API key of another user, or give an existing key access to more projects."""
    key, projects = arguments.text("key"), arguments.text_list("projects")
    arguments.reject_others()
    operator.backend.accounts.add_key(key, projects)
    return {}


@mutation
def add_ssh_key(operator: Operator, arguments: Body, now: float) -> Any:
    """Add an SSH key to a project."""
    body = {**sent_fields(arguments, "name", "public_key", "required"), "project": operator.project_id(arguments)}
    arguments.reject_others()
    return operator.backend.accounts.create_ssh_key(OPERATOR, body, now)


@mutation
def add_bid(operator: Operator, arguments: Body, now: float) -> Any:
    """Place a bid as another user would."""
    pools, project = read_pools(arguments), operator.project_id(arguments)
    launch = {"volumes": [], "ssh_keys": [], **sent_fields(arguments, "volumes", "ssh_keys", "startup_script")}
    body = sent_fields(arguments, "name", "limit_price", "instance_quantity")
    arguments.reject_others()
    market = {"project": project, "instance_type": pools[0].instance_type, "region": pools[0].region}
    return operator.backend.create_bid(OPERATOR, {**body, **market, "launch_specification": launch}, None, now)


@mutation
def add_volume(operator: Operator, arguments: Body, now: float) -> Any:
    """Create a volume as another user would."""
    body = {
        **sent_fields(arguments, "name", "disk_interface", "region", "size_gb"),
        "project": operator.project_id(arguments),
    }
    arguments.reject_others()
    return operator.backend.create_volume(OPERATOR, body, None, now)


@mutation
def update_bid(operator: Operator, arguments: Body, now: float) -> Any:
    """Change a bid as another user would."""
    fid, body = arguments.text("bid_id"), sent_fields(arguments, "limit_price", "paused", "volumes", "memory_gb")
    arguments.reject_others()
    return operator.backend.update_bid(OPERATOR, fid, body, now)


@mutation
def update_volume(operator: Operator, arguments: Body, _now: float) -> Any:
    """Rename a volume as another user would."""
    fid, body = arguments.text("volume_id"), sent_fields(arguments, "name")
    arguments.reject_others()
    operator.backend.volumes.rename(OPERATOR, fid, body)
    return operator.backend.volumes.wire(fid)


@mutation
def delete_volume(operator: Operator, arguments: Body, now: float) -> Any:
    """Delete a volume; with `force` even one that a bid uses, which continues to list it."""
    fid, force = arguments.text("volume_id"), arguments.flag("force", default=False)
    arguments.reject_others()
    operator.backend.volumes.delete(OPERATOR, fid, now, force=force)
    return {}
