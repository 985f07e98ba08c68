"""Routes of bids and instances."""

from __future__ import annotations

from flow_resources.testing.web.routing import NO_CONTENT, Call, Result, route


@route("GET", "/v2/spot/bids")
def list_bids(call: Call) -> Result:
    """List bids, including terminated ones."""
    return 200, call.backend.bids.listing(call.user, call.query, call.now)


@route("POST", "/v2/spot/bids")
def create_bid(call: Call) -> Result:
    """Place a bid."""
    return 201, call.backend.create_bid(call.user, call.body, call.key, call.now)


@route("GET", "/v2/spot/bids/{fid}")
def get_bid(call: Call) -> Result:
    """Return a bid."""
    return 200, call.backend.bids.show(call.user, call.fid)


@route("PATCH", "/v2/spot/bids/{fid}")
def update_bid(call: Call) -> Result:
    """Change the limit price, pausing, the volumes or the memory of a bid."""
    return 200, call.backend.update_bid(call.user, call.fid, call.body, call.now)


@route("DELETE", "/v2/spot/bids/{fid}")
def cancel_bid(call: Call) -> Result:
    """Cancel a bid; no effect if it is terminated."""
    call.backend.bids.cancel(call.user, call.fid, call.now)
    return NO_CONTENT


@route("GET", "/v2/spot/bids/{fid}/status")
def bid_status(call: Call) -> Result:
    """Return the status of a bid."""
    row = call.backend.bids.get(call.user, call.fid)
    return 200, {"bid_fid": row["fid"], "status": row["status"]}


@route("GET", "/v2/spot/bids/{fid}/history")
def bid_history(call: Call) -> Result:
    """Return the events of a bid."""
    return 200, call.backend.bids.history(call.user, call.fid)


@route("GET", "/v2/instances")
def list_instances(call: Call) -> Result:
    """List instances, including ended ones."""
    project = call.project()
    return 200, call.backend.instances.listing(call.query, project, call.backend.options.page_limit)


@route("GET", "/v2/instances/{fid}/status")
def instance_status(call: Call) -> Result:
    """Return the status of an instance."""
    return 200, call.backend.instances.status(call.user, call.fid)


@route("GET", "/v2/instances/status/history")
def instance_statuses(call: Call) -> Result:
    """Return the past statuses of instances."""
    return 200, call.backend.histories.instance_statuses(call.query, call.project(), call.backend.options.page_limit)


@route("GET", "/v2/instances/pricing/history")
def instance_prices(call: Call) -> Result:
    """Return the past prices of instances."""
    return 200, call.backend.histories.instance_prices(call.query, call.project(), call.backend.options.page_limit)
