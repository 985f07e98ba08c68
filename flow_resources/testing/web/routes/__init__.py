"""The paths of the API, by topic: each function reads one request, calls the backend, and says what to answer.

No sockets here.
"""

from flow_resources.testing.web.routes import accounts, bids, offers, reservations, volumes
from flow_resources.testing.web.routing import Answer, Call, find, paths

__all__ = ["Answer", "Call", "accounts", "bids", "find", "offers", "paths", "reservations", "volumes"]
