"""`python -m flow_resources.testing`."""

from __future__ import annotations

import sys

from flow_resources.testing.command import main

if __name__ == "__main__":
    sys.exit(main())
