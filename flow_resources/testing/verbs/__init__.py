"""What only a fake can do, verb by verb: `Console` says it in Python, `web/control.py` over HTTP, and both end here.

Each room registers the verbs of one topic; a verb is a function, and its name is what is said.
"""

from flow_resources.testing.verbs import cloud, lives, looking, others, overview, steering
from flow_resources.testing.verbs.operator import ACTS, READS, Operator

__all__ = ["ACTS", "READS", "Operator", "cloud", "lives", "looking", "others", "overview", "steering"]
