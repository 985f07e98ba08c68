"""The paths of the API: each function reads one request, calls the backend, and says what to answer.

No sockets here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flow_resources.testing.service import catalog, cpu_vms, images
from flow_resources.testing.service.accounts import User
from flow_resources.testing.service.backend import Backend
from flow_resources.testing.service.errors import InvalidError, MethodNotAllowedError, NotFoundError, problem
from flow_resources.testing.service.query import Query

Answer = tuple[int, Any]
NO_CONTENT: Answer = (204, None)
_QUANTITY_MAX = 256


@dataclass(frozen=True)
class Call:
    """One request that was let in: who asks, for what, with what, at which moment."""

    backend: Backend
    user: User
    fid: str
    query: Query
    body: Any
    key: str | None
    now: float

    def project(self) -> str:
        """Return the project that the query must name, when the caller may see it."""
        fid = self.query.required("project")
        self.backend.accounts.require_project(self.user, fid)
        return fid


Handler = Callable[[Call], Answer]
_ROUTES: list[tuple[re.Pattern[str], dict[str, Handler]]] = []


def find(method: str, path: str) -> tuple[Handler, str]:
    """Return what answers a request, and the id in its path. Raises NotFoundError or MethodNotAllowedError."""
    for pattern, handlers in _ROUTES:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if method not in handlers:
            msg = "Method Not Allowed"
            raise MethodNotAllowedError(msg)
        return handlers[method], match.groupdict().get("fid") or ""
    msg = "Not Found"
    raise NotFoundError(msg)


def paths() -> list[tuple[str, str]]:
    """Return every method and path that is answered, such as GET and /v2/spot/bids/{fid}."""
    return [
        (method, pattern.pattern.replace("(?P<fid>[^/]+)", "{fid}"))
        for pattern, handlers in _ROUTES
        for method in handlers
    ]


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a function under a path such as /v2/spot/bids/{fid}."""
    pattern = re.compile(path.replace("{fid}", "(?P<fid>[^/]+)"))

    def register(handler: Handler) -> Handler:
        for known, handlers in _ROUTES:
            if known.pattern == pattern.pattern:
                handlers[method] = handler
                return handler
        _ROUTES.append((pattern, {method: handler}))
        return handler

    return register


# --- the account -----------------------------------------------------------------------------------------------------


@route("GET", "/v2/me")
def me(call: Call) -> Answer:
    """Say whose key this is."""
    return 200, call.backend.accounts.profile(call.user.fid)


@route("GET", "/v2/me/teammates")
def teammates(call: Call) -> Answer:
    """List whoever shares a project with the caller."""
    return 200, call.backend.accounts.teammates(call.user)


# Not in the API's document: clients ask it who made a bid.
@route("GET", "/v2/users/{fid}")
def user(call: Call) -> Answer:
    """Say who somebody is."""
    return 200, call.backend.accounts.person(call.user, call.fid)


@route("GET", "/v2/projects")
def projects(call: Call) -> Answer:
    """List the projects of the key."""
    return 200, call.backend.accounts.projects(call.user)


@route("GET", "/v2/api-keys")
def list_api_keys(call: Call) -> Answer:
    """List the keys that the caller made."""
    return 200, call.backend.api_keys.listing(call.user)


@route("POST", "/v2/api-keys")
def create_api_key(call: Call) -> Answer:
    """Make a key; only this answer has its secret."""
    return 201, call.backend.api_keys.create(call.user, call.body, call.now)


@route("DELETE", "/v2/api-keys/{fid}")
def revoke_api_key(call: Call) -> Answer:
    """Revoke a key; revoking it twice is fine."""
    call.backend.api_keys.revoke(call.user, call.fid, call.now)
    return NO_CONTENT


@route("GET", "/v2/ssh-keys")
def list_ssh_keys(call: Call) -> Answer:
    """List the SSH keys of a project."""
    return 200, call.backend.accounts.ssh_keys(call.user, call.project())


@route("POST", "/v2/ssh-keys")
def create_ssh_key(call: Call) -> Answer:
    """Register a public key, or have a pair made."""
    return 201, call.backend.accounts.create_ssh_key(call.user, call.body, call.now)


@route("PATCH", "/v2/ssh-keys/{fid}")
def update_ssh_key(call: Call) -> Answer:
    """Change `required`."""
    return 200, call.backend.accounts.update_ssh_key(call.user, call.fid, call.body)


@route("DELETE", "/v2/ssh-keys/{fid}")
def delete_ssh_key(call: Call) -> Answer:
    """Forget a key that no live bid uses."""
    call.backend.accounts.delete_ssh_key(call.user, call.fid)
    return NO_CONTENT


# --- the market ------------------------------------------------------------------------------------------------------


@route("GET", "/v2/instance-types")
def instance_types(_: Call) -> Answer:
    """List what can be rented."""
    return 200, [kind.wire() for kind in catalog.TYPES]


@route("GET", "/v2/spot/availability")
def availability(call: Call) -> Answer:
    """List the auctions; a project in the query changes nothing, but must be the caller's."""
    if call.query.text("project"):
        call.project()
    return 200, call.backend.quotes.auctions(call.now)


@route("GET", "/v2/pricing/current")
def current_prices(call: Call) -> Answer:
    """Say what a type costs now, in one region or in the cheapest."""
    spec, region = call.query.required("instance_type"), call.query.text("region")
    quantity = call.query.whole("instance_quantity", most=_QUANTITY_MAX) or 1
    kind = catalog.BY_FID.get(spec)
    if kind is None:
        msg = f"Instance type {spec} not found"
        raise NotFoundError(msg)
    if region is not None and region not in catalog.REGIONS:
        raise InvalidError([problem(("query", "region"), f"Region {region} does not exist")])
    return 200, call.backend.quotes.current(kind, region, quantity, call.now)


@route("GET", "/v2/pricing/history")
def price_history(call: Call) -> Answer:
    """Say what types have cost."""
    return 200, call.backend.histories.prices(call.query, call.now)


@route("GET", "/v2/quotas")
def quotas(call: Call) -> Answer:
    """Say how much a project may hold, and holds."""
    return 200, call.backend.quotas.rows(call.project())


@route("GET", "/marketplace/v1/regions")
def regions(_: Call) -> Answer:
    """List the regions and what storage they have."""
    return 200, catalog.region_rows()


# --- bids and their machines -----------------------------------------------------------------------------------------


@route("GET", "/v2/spot/bids")
def list_bids(call: Call) -> Answer:
    """List bids, ended ones too."""
    return 200, call.backend.bids.listing(call.user, call.query)


@route("POST", "/v2/spot/bids")
def create_bid(call: Call) -> Answer:
    """Place a bid."""
    return 201, call.backend.create_bid(call.user, call.body, call.key, call.now)


@route("GET", "/v2/spot/bids/{fid}")
def get_bid(call: Call) -> Answer:
    """Read one bid."""
    return 200, call.backend.bids.show(call.user, call.fid)


@route("PATCH", "/v2/spot/bids/{fid}")
def update_bid(call: Call) -> Answer:
    """Change limit, pause, volumes."""
    return 200, call.backend.update_bid(call.user, call.fid, call.body, call.now)


@route("DELETE", "/v2/spot/bids/{fid}")
def cancel_bid(call: Call) -> Answer:
    """End a bid; ending it twice is fine."""
    call.backend.bids.cancel(call.user, call.fid, call.now)
    return NO_CONTENT


@route("GET", "/v2/spot/bids/{fid}/status")
def bid_status(call: Call) -> Answer:
    """Read only the status of a bid."""
    row = call.backend.bids.get(call.user, call.fid)
    return 200, {"bid_fid": row["fid"], "status": row["status"]}


@route("GET", "/v2/spot/bids/{fid}/history")
def bid_history(call: Call) -> Answer:
    """Read what happened to a bid."""
    return 200, call.backend.bids.history(call.user, call.fid)


@route("GET", "/v2/instances")
def list_instances(call: Call) -> Answer:
    """List machines, gone ones too."""
    project = call.project()
    return 200, call.backend.machines.listing(call.query, project, call.backend.options.page_limit)


@route("GET", "/v2/instances/{fid}/status")
def instance_status(call: Call) -> Answer:
    """Read the status of one machine."""
    return 200, call.backend.machines.status(call.user, call.fid)


@route("GET", "/v2/instances/status/history")
def machine_statuses(call: Call) -> Answer:
    """Say what machines went through."""
    return 200, call.backend.histories.machine_statuses(call.query, call.project(), call.backend.options.page_limit)


@route("GET", "/v2/instances/pricing/history")
def machine_prices(call: Call) -> Answer:
    """Say what machines have cost."""
    return 200, call.backend.histories.machine_prices(call.query, call.project(), call.backend.options.page_limit)


# --- volumes ---------------------------------------------------------------------------------------------------------


@route("GET", "/v2/volumes")
def list_volumes(call: Call) -> Answer:
    """List the volumes of a project; the service does not page them."""
    deleted = call.query.flag("include_deleted")
    return 200, call.backend.volumes.listing(call.project(), call.query.text("region"), deleted=deleted)


@route("POST", "/v2/volumes")
def create_volume(call: Call) -> Answer:
    """Make a volume."""
    return 201, call.backend.create_volume(call.user, call.body, call.key, call.now)


@route("PATCH", "/v2/volumes/{fid}")
def rename_volume(call: Call) -> Answer:
    """Rename a volume; the service offers no other change."""
    call.backend.volumes.rename(call.user, call.fid, call.body)
    return 200, call.backend.volumes.wire(call.fid)


@route("DELETE", "/v2/volumes/{fid}")
def delete_volume(call: Call) -> Answer:
    """Delete a volume that no live bid uses."""
    call.backend.volumes.delete(call.user, call.fid, call.now)
    return NO_CONTENT


# --- reservations ----------------------------------------------------------------------------------------------------


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


# --- CPU VMs ---------------------------------------------------------------------------------------------------------


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


# --- images ----------------------------------------------------------------------------------------------------------


@route("GET", "/v2/image-versions")
def image_versions(_: Call) -> Answer:
    """List the images of GPU machines."""
    return 200, images.gpu_images()


@route("GET", "/v2/mcc-image-versions")
def mcc_image_versions(call: Call) -> Answer:
    """List the images of Kubernetes control planes in a region."""
    region = call.query.required("region")
    if region not in catalog.REGIONS:
        raise InvalidError([problem(("query", "region"), f"Region {region} does not exist")])
    return 200, images.cpu_images()


# --- what this cloud has none of, but clients ask for ----------------------------------------------------------------


@route("GET", "/v2/kubernetes/clusters")
def nothing_in_project(call: Call) -> Answer:
    """List nothing, for a project that the caller may see."""
    call.project()
    return 200, []
