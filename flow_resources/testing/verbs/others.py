"""What somebody else does, behind the back of whoever is tested: accounts, keys, bids and volumes."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.accounts import OPERATOR, project_row
from flow_resources.testing.service.inputs import Body
from flow_resources.testing.verbs.operator import Operator, acts, given, places


@acts
def add_project(operator: Operator, ask: Body, now: float) -> Any:
    """Add a project, for these keys to see."""
    name, keys = ask.text("name"), ask.texts("keys")
    ask.nothing_else()
    row = operator.backend.accounts.add_project(name, now)
    for key in keys:
        operator.backend.accounts.add_key(key, [name])
    return project_row(row)


@acts
def add_key(operator: Operator, ask: Body, _now: float) -> Any:
    """Add a key of another account, or let a known key see more projects."""
    key, projects = ask.text("key"), ask.texts("projects")
    ask.nothing_else()
    operator.backend.accounts.add_key(key, projects)
    return {}


@acts
def add_ssh_key(operator: Operator, ask: Body, now: float) -> Any:
    """Add an SSH key to a project."""
    body = {**given(ask, "name", "public_key", "required"), "project": operator.project_id(ask)}
    ask.nothing_else()
    return operator.backend.accounts.create_ssh_key(OPERATOR, body, now)


@acts
def add_bid(operator: Operator, ask: Body, now: float) -> Any:
    """Place a bid as somebody else would."""
    where, project = places(ask), operator.project_id(ask)
    launch = {"volumes": [], "ssh_keys": [], **given(ask, "volumes", "ssh_keys", "startup_script")}
    body = given(ask, "name", "limit_price", "instance_quantity")
    ask.nothing_else()
    place = {"project": project, "instance_type": where[0].instance_type, "region": where[0].region}
    return operator.backend.create_bid(OPERATOR, {**body, **place, "launch_specification": launch}, None, now)


@acts
def add_volume(operator: Operator, ask: Body, now: float) -> Any:
    """Make a volume as somebody else would."""
    body = {**given(ask, "name", "disk_interface", "region", "size_gb"), "project": operator.project_id(ask)}
    ask.nothing_else()
    return operator.backend.create_volume(OPERATOR, body, None, now)


@acts
def update_bid(operator: Operator, ask: Body, now: float) -> Any:
    """Change a bid as the console would."""
    fid, body = ask.text("bid_id"), given(ask, "limit_price", "paused", "volumes", "memory_gb")
    ask.nothing_else()
    return operator.backend.update_bid(OPERATOR, fid, body, now)


@acts
def update_volume(operator: Operator, ask: Body, _now: float) -> Any:
    """Rename a volume as the console would."""
    fid, body = ask.text("volume_id"), given(ask, "name")
    ask.nothing_else()
    operator.backend.volumes.rename(OPERATOR, fid, body)
    return operator.backend.volumes.wire(fid)


@acts
def delete_volume(operator: Operator, ask: Body, now: float) -> Any:
    """Delete a volume; with `force` also one that a bid uses, which goes on listing it."""
    fid, force = ask.text("volume_id"), ask.flag("force", default=False)
    ask.nothing_else()
    operator.backend.volumes.delete(OPERATOR, fid, now, force=force)
    return {}
