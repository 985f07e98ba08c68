"""Routes of instance types, regions, images, prices and quotas."""

from __future__ import annotations

from flow_resources.testing.service import catalog, images
from flow_resources.testing.service.errors import InvalidError, NotFoundError, problem
from flow_resources.testing.web.routing import Call, Result, route

_QUANTITY_MAX = 256


@route("GET", "/v2/instance-types")
def instance_types(_: Call) -> Result:
    """List the instance types."""
    return 200, [instance_type.wire() for instance_type in catalog.TYPES]


@route("GET", "/v2/spot/availability")
def availability(call: Call) -> Result:
    """List the auctions; a project in the query has no effect, but the caller must have access to it."""
    if call.query.text("project"):
        call.project()
    return 200, call.backend.quotes.auctions(call.now)


@route("GET", "/v2/pricing/current")
def current_prices(call: Call) -> Result:
    """Return the present price of a type, in one region or in the cheapest."""
    fid, region = call.query.required("instance_type"), call.query.text("region")
    quantity = call.query.integer("instance_quantity", maximum=_QUANTITY_MAX) or 1
    instance_type = catalog.BY_FID.get(fid)
    if instance_type is None:
        msg = f"Instance type {fid} not found"
        raise NotFoundError(msg)
    if region is not None:
        _check_region(region)
    return 200, call.backend.quotes.current(instance_type, region, quantity, call.now)


@route("GET", "/v2/pricing/history")
def price_history(call: Call) -> Result:
    """Return the past prices of instance types."""
    return 200, call.backend.histories.prices(call.query, call.now)


@route("GET", "/v2/quotas")
def quotas(call: Call) -> Result:
    """Return the quotas of a project, and their use."""
    return 200, call.backend.quotas.rows(call.project())


@route("GET", "/marketplace/v1/regions")
def regions(_: Call) -> Result:
    """List the regions and their kinds of storage."""
    return 200, catalog.region_rows()


@route("GET", "/v2/image-versions")
def image_versions(_: Call) -> Result:
    """List the images of GPU instances."""
    return 200, images.gpu_images()


@route("GET", "/v2/mcc-image-versions")
def mcc_image_versions(call: Call) -> Result:
    """List the images of Kubernetes control planes in a region."""
    _check_region(call.query.required("region"))
    return 200, images.cpu_images()


@route("GET", "/v2/kubernetes/clusters")
def kubernetes_clusters(call: Call) -> Result:
    """Return an empty list: the fake has no Kubernetes clusters, but clients request them."""
    call.project()
    return 200, []


def _check_region(region: str) -> None:
    if region not in catalog.REGIONS:
        raise InvalidError([problem(("query", "region"), f"Region {region} does not exist")])
