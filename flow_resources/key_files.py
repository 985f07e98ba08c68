"""What an SshKey's program reads for it: the text of a public key, or that of the file that holds it.

What is not a public key can be a private one. So it never leaves this process, which reads it: what travels in its
place, to the check that reports it, is a sentence that holds nothing of it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi

from flow_resources.core.inputs import FILE, PROBLEM, REMEDY, Invalid
from flow_resources.core.public_keys import is_private, normalise

_NOT_READ = "is not read, because public_key_file"
_LARGEST = 100_000
"""In characters; the longest RSA key that ssh-keygen makes has 2,800."""


def key_text(public_key: Any, file: Any) -> Any:
    """Return the property `public_key` for the arguments of an SshKey; what is secret stays so."""
    if public_key is not None and file is not None:
        return _problem(Invalid("cannot be set beside public_key_file", "remove one of the two"))
    if public_key is None and file is None:
        return _problem(Invalid("is required, or public_key_file", "an SshKey needs one of the two"))
    return _apply(public_key, _from_text) if file is None else _apply(file, _from_file)


def name_text(key_name: Any) -> Any:
    """Return the property `key_name`: a private key in its place goes no further either."""
    refusal = Invalid("is a private key, which nobody else may have", "pass a name")
    return _apply(key_name, lambda name: _problem(refusal) if isinstance(name, str) and is_private(name) else name)


def _apply(value: Any, read: Callable[[Any], Any]) -> Any:
    if isinstance(value, pulumi.Output) or inspect.isawaitable(value):
        return pulumi.Output.from_input(value).apply(read)
    return read(value)


def _from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return _problem(Invalid("must be a public key, as a text", "public_key_file= takes the path of a file"))
    try:
        return normalise(value)
    except Invalid as invalid:
        return _problem(invalid)


def _from_file(path: Any) -> Any:
    is_text = isinstance(path, str)
    if is_text and (is_private(path) or "\n" in path or not isinstance(_from_text(path), dict)):
        return _problem(Invalid(f"{_NOT_READ} is a key and not the path of one", "pass a path"))
    if not is_text and not isinstance(path, os.PathLike):
        return _problem(Invalid(f"{_NOT_READ} is not a path", "pass a text or a pathlib.Path"))
    try:
        return normalise(_read(path))
    except Invalid as invalid:
        return _problem(invalid) | {FILE: os.fspath(path)}


def _read(path: Any) -> str:
    try:
        with Path(path).expanduser().open(encoding="utf-8-sig") as file:
            text = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise Invalid(
            f"{_NOT_READ} names a file that is not there", "a path is relative to the program's folder"
        ) from None
    except UnicodeDecodeError:
        raise Invalid(f"{_NOT_READ} names a file that is not a text", "that of a public key ends with .pub") from None
    except (OSError, ValueError, RuntimeError) as error:  # of expanduser, where there is no such home
        why = getattr(error, "strerror", None) or "it is not a path"
        raise Invalid(f"{_NOT_READ} names a file that cannot be read ({why})") from None
    if len(text) > _LARGEST:
        raise Invalid(f"{_NOT_READ} names a file that is too large for a key")
    return text


def _problem(invalid: Invalid) -> dict[str, str]:
    return {PROBLEM: invalid.rule, REMEDY: invalid.remedy}
