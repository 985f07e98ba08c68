"""On a fake Mithril alone: set the market price of the example's machines, `python spike.py 18.20`."""

import os
import sys

from flow_resources.testing import RemoteMithril

RemoteMithril(os.environ["MITHRIL_API_URL"]).set_price("8xa100", "us-central5-a", float(sys.argv[1]))
