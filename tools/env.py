"""Print the shell line that puts the project's Python and a working `pulumi` on PATH.

For `eval "$(make -s env)"`: nothing but shell goes to standard output. With `--languages` that `pulumi` also runs
programs in Node and Go.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pulumi_cli


def main() -> int:
    """Print the line, or say on standard error why there is none."""
    folder = pulumi_cli.folder(languages="--languages" in sys.argv[1:])
    if folder is None:
        return 1
    first = f"{Path(sys.executable).parent}:{folder}"
    print(f'export PATH={shlex.quote(first)}:"$PATH"')
    return 0


if __name__ == "__main__":
    sys.exit(main())
