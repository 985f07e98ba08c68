"""Public SSH keys as texts: what is one, when two are the same, and what is a private key instead.

A key is its type and its content, one line `ssh-ed25519 AAAA...`; the comment after them means nothing to anybody. No
error of this module repeats a character of what it was given: that can be a private key, pasted by mistake.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from flow_resources.core.inputs import Invalid

_HEADER = re.compile(r"\b(BEGIN|END)\s+[A-Z0-9\s]*PRIVATE\s+KEY")
_PRIVATE = ("PuTTY-User-Key-File", "Private-Lines:", "Private-MAC:", "openssh-key-v1", "b3BlbnNzaC1rZXktdjE")
"""In private keys of other forms, and in one without its header: the last is how OpenSSH's own begins in base64."""
_OTHER_FORM = re.compile(r"\bBEGIN\s+[A-Z0-9\s]*PUBLIC\s+KEY")
_OF_FILE = "the public half lies beside it, in the file whose name ends with .pub; `ssh-keygen -y -f FILE` prints it"
_HOW_IT_LOOKS = "it is one line like 'ssh-ed25519 AAAA... me@laptop', as in ~/.ssh/id_ed25519.pub"
_ED25519 = "make one with `ssh-keygen -t ed25519`"
_CURVES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
"""By curve, the bytes of an uncompressed point."""
_FEWEST_BITS = 1024  # of an RSA key; sshd refuses a shorter one
_SECURITY_KEYS = {"sk-ssh-ed25519@openssh.com": "ssh-ed25519", "sk-ecdsa-sha2-nistp256@openssh.com": "nistp256"}


def is_private(text: str) -> bool:
    """Whether a text holds a private key, in any of the forms that SSH tools write, also with other text around it."""
    return _HEADER.search(text) is not None or any(sign in text for sign in _PRIVATE)


def normalise(text: str) -> str:
    """Return a public key as its type and its content, without its comment.

    Raises Invalid, which holds nothing of the text, where it is not exactly one public key that a machine accepts.
    """
    if is_private(text):
        raise Invalid("is a private key, which nobody else may have", _OF_FILE, is_shown=False)
    if _OTHER_FORM.search(text):
        remedy = (
            "`ssh-keygen -i -f FILE` prints it in that format (with -m PKCS8 or -m PEM, where it begins with five -)"
        )
        raise Invalid("is a public key in another format than OpenSSH's", remedy, is_shown=False)
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if len(lines) > 1:
        raise Invalid(f"holds {len(lines)} lines, and a key is one", "declare an SshKey for each key", is_shown=False)
    words = lines[0].split() if lines else []
    if not words:
        raise Invalid("is empty", _HOW_IT_LOOKS, is_shown=False)
    type_ = words[0]
    if "-cert-v0" in type_:
        raise Invalid("is a certificate", "pass the public key that it was made for", is_shown=False)
    if type_ == "ssh-dss":
        raise Invalid("is a DSA key, which sshd refuses", _ED25519, is_shown=False)
    blob = _decode(words[1]) if len(words) > 1 else None
    if blob is None or not _is_complete(type_, blob):
        raise Invalid(
            "is not a public key in OpenSSH's format, or a part of it is missing", _HOW_IT_LOOKS, is_shown=False
        )
    return f"{type_} {base64.b64encode(blob).decode()}"


def content_of(text: str | None) -> str | None:
    """Return the type and the content of a key as the service tells it, for comparison; None where it tells none."""
    type_, *rest = (text or "").split() or [""]
    blob = _decode(rest[0]) if rest else None
    return " ".join([type_, base64.b64encode(blob).decode() if blob else "".join(rest[:1])]).strip() or None


def fingerprint(key: str | None) -> str | None:
    """Return the fingerprint of a key as `ssh-keygen -l` prints it, `SHA256:...`; None where it has no content."""
    words = (key or "").split()
    blob = _decode(words[1]) if len(words) > 1 else None
    if not blob:
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _decode(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_complete(type_: str, blob: bytes) -> bool:
    """Whether the content of a key is one of its type, whole, with nothing after it."""
    parts = _parts(blob)
    if not parts or parts[0] != type_.encode():
        return False
    rest = parts[1:]
    if type_ == "ssh-ed25519":
        return _sizes(rest) == [32]
    if type_ == "ssh-rsa":
        return len(rest) == 2 and bool(rest[0]) and _bits(rest[1]) >= _FEWEST_BITS  # noqa: PLR2004 - exponent, modulus
    if type_.startswith("ecdsa-sha2-"):
        return _is_point(type_.removeprefix("ecdsa-sha2-"), rest)
    if of := _SECURITY_KEYS.get(type_):
        *key, application = rest or [b""]
        return bool(application) and (_sizes(key) == [32] if of == "ssh-ed25519" else _is_point(of, key))
    return False


def _parts(blob: bytes) -> list[bytes]:
    """Return the strings that a key's content is made of, each after its length; none where they do not fill it."""
    parts = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length:
            return []
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return parts


def _is_point(curve: str, parts: Sequence[bytes]) -> bool:
    if len(parts) != 2 or parts[0] != curve.encode():  # noqa: PLR2004 - the curve's name, the point
        return False
    return len(parts[1]) == _CURVES.get(curve) and parts[1][:1] == b"\x04"


def _sizes(parts: Sequence[bytes]) -> list[int]:
    return [len(part) for part in parts]


def _bits(number: bytes) -> int:
    return int.from_bytes(number, "big").bit_length()
