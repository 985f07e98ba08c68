"""SSH key pairs as the service generates them: right in form, worth nothing. The halves do not belong together."""

from __future__ import annotations

import base64
import secrets
import struct
import textwrap

_KIND = b"ssh-ed25519"


def make_key_pair(comment: str) -> tuple[str, str]:
    """Return (public line, private text) in the form of OpenSSH.

    There is no machine to log in to, so nothing signs with it; what clients do is parse, store and fingerprint it.
    """
    public, seed, check = secrets.token_bytes(32), secrets.token_bytes(32), secrets.token_bytes(4)
    blob = _field(_KIND) + _field(public)
    inside = check + check + blob + _field(seed + public) + _field(comment.encode())
    inside += bytes(range(1, 1 + -len(inside) % 8))
    nothing = _field(b"none") + _field(b"none") + _field(b"")
    outside = b"openssh-key-v1\x00" + nothing + struct.pack(">I", 1) + _field(blob) + _field(inside)
    lines = textwrap.wrap(base64.b64encode(outside).decode(), 70)
    private = "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}", private


def _field(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
