"""Paths of bids, and of the machines that they win."""

from __future__ import annotations

from flow_resources.testing.web.routing import NO_CONTENT, Answer, Call, route


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
