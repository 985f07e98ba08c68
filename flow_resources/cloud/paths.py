"""The paths of the API that this package names itself; the Flow SDK knows the rest."""

from __future__ import annotations

INSTANCE_TYPES = "/v2/instance-types"
AVAILABILITY = "/v2/spot/availability"
BIDS = "/v2/spot/bids"
VOLUMES = "/v2/volumes"
SSH_KEYS = "/v2/ssh-keys"
QUOTAS = "/v2/quotas"
CURRENT_PRICES = "/v2/pricing/current"
PRICE_HISTORY = "/v2/pricing/history"
INSTANCE_PRICES = "/v2/instances/pricing/history"
API_KEYS = "/v2/api-keys"

# How bids are listed newest first. The Flow SDK asks with the same words before it places a bid: both share one answer.
NEWEST_FIRST = {"sort_by": "created_at", "sort_dir": "desc"}
