"""A small market, the same for all the pure tests."""

from decimal import Decimal

import pytest

from flow_resources.core.market import Market
from flow_resources.core.models import InstanceType, Offer, StoredVolume

CENTRAL, EAST, NORTH = "us-central5-a", "us-east1-a", "eu-north1-a"


def stored(id_: str, region: str = CENTRAL, interface: str = "file") -> StoredVolume:
    return StoredVolume(id_, id_, "proj_1", 100, interface, region, (), "", deleted=False)


@pytest.fixture
def market() -> Market:
    """Two regions that sell machines, one that does not, one id of 8xa100 a region, and a type nobody sells."""
    return Market(
        types=(
            InstanceType("it_a100_central", "a100-80gb.sxm.8x", 8, "A100"),
            InstanceType("it_a100_dear", "a100-80gb.sxm.8x", 8, "A100"),
            InstanceType("it_a100_east", "a100-80gb.sxm.8x", 8, "A100"),
            InstanceType("it_a100_one", "a100-80gb.sxm.1x", 1, "A100"),
            InstanceType("it_h100", "h100-80gb.sxm.8x", 8, "H100"),
            InstanceType("it_v100", "v100.4x", 4, "V100"),
        ),
        offers=(
            Offer("it_a100_dear", CENTRAL, Decimal("14.00")),
            Offer("it_a100_central", CENTRAL, Decimal("12.00")),
            Offer("it_a100_east", EAST, Decimal("11.00")),
            Offer("it_a100_one", CENTRAL, None),
            Offer("it_h100", EAST, Decimal("30.00")),
        ),
        regions=(CENTRAL, EAST, NORTH),
        volumes={
            one.id: one
            for one in (
                stored("vol_a"),
                stored("vol_b"),
                stored("vol_block", interface="block"),
                stored("vol_east", EAST),
            )
        },
    )
