"""SSH key pairs in the format of the service. They are not usable: the private half does not match the public one."""

from __future__ import annotations

import base64
import secrets
import struct
import textwrap

_KIND = b"ssh-ed25519"


def make_key_pair(comment: str) -> tuple[str, str]:
    """Return (public key, private key) in the formats of OpenSSH.

    There are no machines to log in to: clients only parse, store and fingerprint the keys.
    """
    public, seed, check = secrets.token_bytes(32), secrets.token_bytes(32), secrets.token_bytes(4)
    blob = _field(_KIND) + _field(public)
    private_section = check + check + blob + _field(seed + public) + _field(comment.encode())
    private_section += bytes(range(1, 1 + -len(private_section) % 8))
    unencrypted = _field(b"none") + _field(b"none") + _field(b"")
    data = b"openssh-key-v1\x00" + unencrypted + struct.pack(">I", 1) + _field(blob) + _field(private_section)
    lines = textwrap.wrap(base64.b64encode(data).decode(), 70)
    private = "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}", private


def _field(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
