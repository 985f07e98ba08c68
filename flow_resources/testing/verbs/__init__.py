"""The verbs of the console and of the control API: what a test can read and change besides the real API.

`Console` calls them in this process, `web/control.py` over HTTP. Each module registers the verbs of one topic. A verb
is a function; its name on the wire is that of the function, with dashes.
"""

from flow_resources.testing.verbs import bids, cloud, market, overview, queries, resources
from flow_resources.testing.verbs.operator import MUTATIONS, QUERIES, Operator

__all__ = ["MUTATIONS", "QUERIES", "Operator", "bids", "cloud", "market", "overview", "queries", "resources"]
