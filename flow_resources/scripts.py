"""What a Job's program reads for it: the text of its script.

Check, which reports bad inputs, runs in another process. So what cannot be used travels to it as a problem in the
value's place.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import pulumi

from flow_resources.core.inputs import FILE, PROBLEM, REMEDY

_LARGEST = 1_000_000
"""In bytes; far more than a start-up script holds, which check compares exactly."""
_RUN_BY = {".py": "#!/usr/bin/env python3", ".sh": "#!/usr/bin/env bash"}


def script_text(path: Any) -> Any:
    """Return the text of a script for its path; a path that is secret makes a secret text."""
    if isinstance(path, pulumi.Output) or inspect.isawaitable(path):
        return pulumi.Output.from_input(path).apply(script_text)
    return read_script(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else path


def read_script(path: str) -> str | dict[str, str]:
    """Read a script: its text, with a first line that says what runs it, or the problem with the file."""
    try:
        text = _read(Path(path))
        return text if text.startswith("#!") else f"{_run_by(Path(path))}\n{text}"
    except _ProblemError as problem:
        return {PROBLEM: str(problem), FILE: path, REMEDY: problem.remedy}


class _ProblemError(Exception):
    """What is wrong with a file, and what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.remedy = remedy


def _run_by(file: Path) -> str:
    if line := _RUN_BY.get(file.suffix):
        return line
    raise _ProblemError(
        "names a file that does not say in its first line, after #!, what runs it",
        "begin it with a line such as #!/usr/bin/env python3",
    )


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > _LARGEST:
            raise _ProblemError(
                f"names a file that is too large (the most are {_LARGEST:,} bytes)",
                "put it on a volume or into an image, and call it with command",
            )
        text = file.read_text(encoding="utf-8-sig")  # line ends become \n, which #! needs
    except FileNotFoundError:
        raise _ProblemError("names a file that is not there", "a path is relative to the program's folder") from None
    except UnicodeDecodeError:
        remedy = "put what is compiled on a volume or into an image, and call it with command"
        raise _ProblemError("names a file that is not a text", remedy) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _ProblemError(f"names a file that cannot be read ({why})") from None
    if not text.strip():
        raise _ProblemError("names a file that is empty")
    return text
