"""`python -m flow_resources.cli`, for where the console script is not on PATH."""

from __future__ import annotations

import sys

from flow_resources.cli import main

sys.exit(main())
