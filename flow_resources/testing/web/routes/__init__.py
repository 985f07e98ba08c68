"""The routes of the API, by topic: each handler reads one request, calls the backend, and returns the response."""

from flow_resources.testing.web.routes import accounts, bids, offers, reservations, volumes
from flow_resources.testing.web.routing import Call, Result, find, paths

__all__ = ["Call", "Result", "accounts", "bids", "find", "offers", "paths", "reservations", "volumes"]
