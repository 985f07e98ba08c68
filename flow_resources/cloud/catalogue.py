"""The catalogue and what is on offer: parsed once for each answer of the service, and not once for each resource.

How old an answer may be is the transport's to say; a thousand checks share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flow_resources.cloud.paths import AVAILABILITY, INSTANCE_TYPES
from flow_resources.cloud.sdk import Sdk
from flow_resources.core.models import InstanceType, Offer


@dataclass(frozen=True)
class Catalogue:
    """What two answers of the service say."""

    types: Sequence[InstanceType] = ()
    offers: Sequence[Offer] = ()
    regions: Sequence[str] = ()
    answers: tuple[Any, Any] = (None, None)

    def as_of(self, sdk: Sdk) -> Catalogue:
        """Return what the service says now: this catalogue where its answers are still the same two."""
        answers = (sdk.transport.request("GET", INSTANCE_TYPES), sdk.transport.request("GET", AVAILABILITY))
        if all(new is old for new, old in zip(answers, self.answers, strict=True)):
            return self
        # Should one be read anew in between, what is parsed is the newer one, and the next caller parses it again.
        types = [InstanceType.read(row) for row in sdk.api.list_instance_types({}).rows]
        offers = [Offer.read(row) for row in sdk.api.list_spot_availability({}).rows]
        return Catalogue(types, offers, sorted({offer.region for offer in offers} | set(sdk.regions)), answers)
