"""What the engine needs of pip: the list of the Pulumi packages, of which nothing here has any.

The Python language host runs `python -m pip list -v --format json` in every preview, update, refresh and destroy, and
looks in each package for a plugin to download. With the real pip that takes half a second of CPU time, a fifth of an
`up`; `support.engine.environment` puts this folder on PYTHONPATH. The tests of the demo and of the installed package
run with the real one.
"""

import sys

if sys.argv[1:2] != ["list"]:
    sys.exit(f"this pip only lists: {sys.argv[1:]}")
sys.stdout.write("[]\n")
