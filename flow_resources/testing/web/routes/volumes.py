"""Routes of volumes."""

from __future__ import annotations

from flow_resources.testing.web.routing import NO_CONTENT, Call, Result, route


@route("GET", "/v2/volumes")
def list_volumes(call: Call) -> Result:
    """List the volumes of a project; the service does not paginate this list."""
    deleted, until = call.query.flag("include_deleted"), call.backend.options.listed_until(call.now)
    project, region = call.project(), call.query.text("region")
    return 200, call.backend.volumes.listing(project, region, deleted=deleted, until=until)


@route("POST", "/v2/volumes")
def create_volume(call: Call) -> Result:
    """Create a volume."""
    return 201, call.backend.create_volume(call.user, call.body, call.key, call.now)


@route("PATCH", "/v2/volumes/{fid}")
def rename_volume(call: Call) -> Result:
    """Rename a volume, the only change that the service offers."""
    call.backend.volumes.rename(call.user, call.fid, call.body)
    return 200, call.backend.volumes.wire(call.fid)


@route("DELETE", "/v2/volumes/{fid}")
def delete_volume(call: Call) -> Result:
    """Delete a volume that no live bid or reservation uses."""
    call.backend.volumes.delete(call.user, call.fid, call.now)
    return NO_CONTENT
