"""Paths of machines at a fixed price: reservations and CPU VMs."""

from __future__ import annotations

from flow_resources.testing.service import catalog, cpu_vms
from flow_resources.testing.web.routing import NO_CONTENT, Answer, Call, route


@route("GET", "/v2/reservation")
def list_reservations(call: Call) -> Answer:
    """List reservations, ended ones too."""
    return 200, call.backend.reservations.listing(call.query, call.project())


@route("POST", "/v2/reservation")
def create_reservation(call: Call) -> Answer:
    """Reserve machines."""
    return 201, call.backend.create_reservation(call.user, call.body, call.key, call.now)


@route("GET", "/v2/reservation/instance-types")
def reservation_types(_: Call) -> Answer:
    """List what can be reserved."""
    return 200, [kind.wire() for kind in catalog.TYPES]


@route("GET", "/v2/reservation/availability")
def reservation_availability(call: Call) -> Answer:
    """Say when machines can be reserved."""
    call.project()
    return 200, call.backend.terms.availability(call.query, call.now)


@route("GET", "/v2/reservation/quote")
def reservation_quote(call: Call) -> Answer:
    """Say what a reservation would cost."""
    call.project()
    return 200, call.backend.terms.quote(call.query)


# The service has no GET of one reservation: clients find it in the list.
@route("PATCH", "/v2/reservation/{fid}")
def update_reservation(call: Call) -> Answer:
    """Change pause, volumes."""
    return 200, call.backend.reservations.update(call.user, call.fid, call.body, call.now)


@route("POST", "/v2/reservation/{fid}/extend")
def extend_reservation(call: Call) -> Answer:
    """Let a reservation end later."""
    return 200, call.backend.reservations.extend(call.user, call.fid, call.body, call.now)


@route("GET", "/v2/reservation/{fid}/extension-availability")
def reservation_extension(call: Call) -> Answer:
    """Say how much later a reservation could end."""
    return 200, call.backend.terms.extension(call.backend.reservations.get(call.user, call.fid))


@route("GET", "/v2/reservation/{fid}/history")
def reservation_history(call: Call) -> Answer:
    """Read what happened to a reservation."""
    return 200, call.backend.reservations.history(call.user, call.fid)


@route("GET", "/v2/cpu/instance-types")
def cpu_types(_: Call) -> Answer:
    """List the types of CPU VMs."""
    return 200, cpu_vms.cpu_type_rows()


@route("GET", "/v2/cpu/regions")
def cpu_regions(_: Call) -> Answer:
    """List where CPU VMs can be launched."""
    return 200, cpu_vms.cpu_region_rows()


@route("POST", "/v2/cpu/instances")
def create_cpu_vm(call: Call) -> Answer:
    """Launch a CPU VM."""
    return 201, call.backend.cpu_vms.create(call.user, call.body, call.now)


@route("DELETE", "/v2/cpu/instances/{fid}")
def delete_cpu_vm(call: Call) -> Answer:
    """End a CPU VM; ending it twice is fine."""
    call.backend.cpu_vms.delete(call.user, call.fid, call.now)
    return NO_CONTENT
