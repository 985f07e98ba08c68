"""Routes of reservations and CPU VMs."""

from __future__ import annotations

from flow_resources.testing.service import catalog, cpu_vms
from flow_resources.testing.web.routing import NO_CONTENT, Call, Result, route


@route("GET", "/v2/reservation")
def list_reservations(call: Call) -> Result:
    """List reservations, including ended ones."""
    return 200, call.backend.reservations.listing(call.query, call.project())


@route("POST", "/v2/reservation")
def create_reservation(call: Call) -> Result:
    """Create a reservation."""
    return 201, call.backend.create_reservation(call.user, call.body, call.key, call.now)


@route("GET", "/v2/reservation/instance-types")
def reservation_types(_: Call) -> Result:
    """List the instance types that can be reserved."""
    return 200, [instance_type.wire() for instance_type in catalog.TYPES]


@route("GET", "/v2/reservation/availability")
def reservation_availability(call: Call) -> Result:
    """Return when machines can be reserved."""
    call.project()
    return 200, call.backend.terms.availability(call.query, call.now)


@route("GET", "/v2/reservation/quote")
def reservation_quote(call: Call) -> Result:
    """Return the price of a reservation."""
    call.project()
    return 200, call.backend.terms.quote(call.query)


# The service has no GET for a single reservation; clients find it in the list.
@route("PATCH", "/v2/reservation/{fid}")
def update_reservation(call: Call) -> Result:
    """Change pausing or the volumes of a reservation."""
    return 200, call.backend.reservations.update(call.user, call.fid, call.body, call.now)


@route("POST", "/v2/reservation/{fid}/extend")
def extend_reservation(call: Call) -> Result:
    """Set a later end time of a reservation."""
    return 200, call.backend.reservations.extend(call.user, call.fid, call.body, call.now)


@route("GET", "/v2/reservation/{fid}/extension-availability")
def reservation_extension(call: Call) -> Result:
    """Return the latest possible end time of a reservation."""
    return 200, call.backend.terms.extension(call.backend.reservations.get(call.user, call.fid))


@route("GET", "/v2/reservation/{fid}/history")
def reservation_history(call: Call) -> Result:
    """Return the events of a reservation."""
    return 200, call.backend.reservations.history(call.user, call.fid)


@route("GET", "/v2/cpu/instance-types")
def cpu_types(_: Call) -> Result:
    """List the types of CPU VMs."""
    return 200, cpu_vms.cpu_type_rows()


@route("GET", "/v2/cpu/regions")
def cpu_regions(_: Call) -> Result:
    """List the regions that have CPU VMs."""
    return 200, cpu_vms.cpu_region_rows()


@route("POST", "/v2/cpu/instances")
def create_cpu_vm(call: Call) -> Result:
    """Launch a CPU VM."""
    return 201, call.backend.cpu_vms.create(call.user, call.body, call.now)


@route("DELETE", "/v2/cpu/instances/{fid}")
def delete_cpu_vm(call: Call) -> Result:
    """Terminate a CPU VM; no effect if it has ended."""
    call.backend.cpu_vms.delete(call.user, call.fid, call.now)
    return NO_CONTENT
