"""The inputs of an SshKey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_resources.core.inputs import FILE, PROBLEM, REMEDY, Change, Checked, Field, Invalid, check
from flow_resources.core.naming import take_apart
from flow_resources.core.public_keys import is_private, normalise

_LONGEST_NAME = 128


def public_key(value: Any) -> str:
    """A public key in OpenSSH's format, as its type and its content."""
    _raise_problem(value)
    if not isinstance(value, str):
        raise Invalid("must be a public key, as a text", is_shown=False)
    return normalise(value)


def key_name(value: Any) -> str:
    """A name in the service that is neither taken for an id nor for a name with a mark."""
    _raise_problem(value)
    if isinstance(value, str) and is_private(value):
        raise Invalid("is a private key, which nobody else may have", "pass a name", is_shown=False)
    if not isinstance(value, str) or not value.strip() or value != value.strip() or len(value) > _LONGEST_NAME:
        raise Invalid(
            f"must have 1 to {_LONGEST_NAME} characters, no space at either end", "leave it out for a name of its own"
        )
    if not value.isprintable():
        raise Invalid("must be printable, on one line")
    if value.startswith("sshkey_"):
        raise Invalid("must not begin with 'sshkey_'", "`ssh_keys` takes such a text for an id")
    if take_apart(value):
        raise Invalid("has the form of the names that are made for keys", "leave it out, and it gets one")
    return value


def _raise_problem(value: Any) -> None:
    """Raise Invalid where the program has put a problem in the place of what it could not use."""
    if isinstance(value, Mapping) and PROBLEM in value:
        file = f", {str(value[FILE])!r}" if FILE in value else ""
        raise Invalid(f"{value[PROBLEM]}{file}", str(value.get(REMEDY) or ""), is_shown=False)


FIELDS: tuple[Field, ...] = (
    Field(
        "public_key", "string", public_key, Change.REPLACE, required=True, sensitive=True,
        doc="The public key, one line in OpenSSH's format; its comment is left out. In Python also "
        "`public_key_file=`, the path of the file that holds it, relative to the program's folder, or from `~`. "
        "A private key is refused before it leaves the program.",
    ),
    Field(
        "key_name", "string", key_name, Change.CREATE_ONLY,
        doc="The name in the service, at most 128 characters. Default: made from the resource's name, unique. The "
        "service renames no key: a change has an effect where the key is made anew.",
    ),
)  # fmt: skip

SPEC = tuple(field for field in FIELDS if field.change is Change.REPLACE)
"""The inputs in the digest of a key's name."""


def check_ssh_key(news: Mapping[str, Any]) -> Checked:
    """Check all that needs no service."""
    return check(FIELDS, news)
