"""Public and private SSH keys of every form, made up: nobody can log in with one."""

from __future__ import annotations

import base64
import hashlib
import struct
import textwrap


def field(data: bytes) -> bytes:
    """Return a string of the SSH wire format."""
    return struct.pack(">I", len(data)) + data


def line(type_: str, *parts: bytes, comment: str = "me@laptop", after: bytes = b"") -> str:
    """Return a public key made of the parts of its content, as a file holds it."""
    blob = b"".join(map(field, (type_.encode(), *parts))) + after
    return f"{type_} {base64.b64encode(blob).decode()} {comment}".rstrip()


def ed25519(seed: int = 1, comment: str = "me@laptop") -> str:
    """Return an ed25519 key, another one for another seed."""
    return line("ssh-ed25519", hashlib.sha256(str(seed).encode()).digest(), comment=comment)


def rsa(bits: int = 2048) -> str:
    """Return an RSA key."""
    return line("ssh-rsa", b"\x01\x00\x01", b"\x00" + (1 << bits - 1 | 1).to_bytes(bits // 8, "big"))


def ecdsa(curve: str = "nistp256", size: int = 65) -> str:
    """Return a key of an elliptic curve."""
    return line(f"ecdsa-sha2-{curve}", curve.encode(), b"\x04" + b"\x07" * (size - 1))


def of_security_key() -> list[str]:
    """Return the keys of both kinds that a security key holds."""
    point = (b"nistp256", b"\x04" + b"\x07" * 64)
    return [
        line("sk-ssh-ed25519@openssh.com", b"\x07" * 32, b"ssh:"),
        line("sk-ecdsa-sha2-nistp256@openssh.com", *point, b"ssh:"),
    ]


CANARY = "CANARYcanary0123456789"
"""Is in every private key of these, in what is secret of it."""
_LINES = textwrap.fill(f"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE{CANARY}{'A' * 200}", 70)
_PEM = textwrap.fill(f"MIIEpAIBAAKCAQEA{CANARY}{'B' * 200}", 64)


def pem(kind: str = "OPENSSH ", body: str = _LINES) -> str:
    """Return a private key between the lines that most tools write around it."""
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----\n"


PRIVATE: dict[str, str] = {
    "OpenSSH": pem(),
    "RSA": pem("RSA ", _PEM),
    "EC": pem("EC ", _PEM),
    "PKCS 8": pem("", _PEM),
    "PKCS 8, encrypted": pem("ENCRYPTED ", _PEM),
    "RSA, encrypted": pem("RSA ", f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{_PEM}"),
    "SSH2": f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{_PEM}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    "PuTTY": f"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n{CANARY}\nPrivate-MAC: 00\n",
    "indented": textwrap.indent(pem(), "    "),
    "on one line": pem().replace("\n", " "),
    "with \\n": pem().replace("\n", "\\n"),
    "inside text": f"my key is\n{pem()}and this is its public half\n{ed25519()}",
    "after a public key": f"{ed25519()}\n{pem()}",
    "without its last line": pem().partition("-----END")[0],
    "without its first line": pem().partition("-----\n")[2],
    "without either": _LINES,
    "one line of it": _LINES.splitlines()[0],
}
"""Texts that a person could paste in place of a public key."""
