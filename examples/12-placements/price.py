"""On a fake Mithril alone: set a market price, `python price.py 8xh100 us-central5-a 52.10`."""

import os
import sys

from flow_resources.testing import RemoteMithril

instance_type, region, price = sys.argv[1:]
RemoteMithril(os.environ["MITHRIL_API_URL"]).set_price(instance_type, region, float(price))
