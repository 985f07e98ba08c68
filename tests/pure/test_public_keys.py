"""What is a public key, when two are the same, and that no refusal repeats a character of a private one."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import keys

from flow_resources.core import ssh_key_fields
from flow_resources.core.inputs import FILE, PROBLEM, REMEDY, Invalid
from flow_resources.core.public_keys import content_of, fingerprint, is_private, normalise

GOOD = [
    keys.ed25519(),
    keys.rsa(),
    keys.rsa(1024),
    keys.ecdsa(),
    keys.ecdsa("nistp384", 97),
    keys.ecdsa("nistp521", 133),
    *keys.of_security_key(),
]
ED25519 = keys.ed25519()
BLOB = ED25519.split()[1]


@pytest.mark.parametrize("key", GOOD, ids=[key.split()[0] for key in GOOD])
def test_every_type_that_sshd_accepts_is_taken(key: str) -> None:
    """As its type and its content."""
    assert normalise(key) == " ".join(key.split()[:2])


@pytest.mark.parametrize(
    "text",
    [
        f"  {ED25519}\r\n",
        f"# laptop\n\n{ED25519}\n",
        ED25519.replace(" ", "\t"),
        keys.ed25519(comment=""),
        keys.ed25519(comment="my private key of the office"),
        keys.ed25519(comment="a comment with an é and a 'quote'"),
    ],
)
def test_comments_and_spaces_mean_nothing(text: str) -> None:
    """So that a key with another comment is the same key."""
    assert normalise(text) == f"ssh-ed25519 {BLOB}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "is empty"),
        ("# only a comment", "is empty"),
        ("ssh-ed25519", "is not a public key"),
        (BLOB, "is not a public key"),
        (f"ssh-ed25519 {BLOB[:-8]}", "is not a public key"),
        (f"ssh-ed25519 {BLOB[:-1]}é", "is not a public key"),
        (f"ssh-rsa {BLOB}", "is not a public key"),
        (f"ssh-ed448 {base64.b64encode(keys.field(b'ssh-ed448') + keys.field(b'x' * 57)).decode()}", "is not a public"),
        (f'command="ls" {ED25519}', "is not a public key"),
        (keys.line("ssh-ed25519", b"x" * 31), "is not a public key"),
        (keys.line("ssh-ed25519", b"x" * 32, after=b"\0"), "is not a public key"),
        (keys.line("ssh-ed25519", b"x" * 32, b"y" * 64), "is not a public key"),
        (keys.rsa(768), "is not a public key"),
        (keys.line("ssh-rsa", b"", b"\x7f" * 256), "is not a public key"),
        (keys.ecdsa("nistp256", 64), "is not a public key"),
        (keys.line("ecdsa-sha2-nistp256", b"nistp384", b"\x04" * 65), "is not a public key"),
        (keys.line("ecdsa-sha2-nistp256", b"nistp256", b"\x02" * 65), "is not a public key"),
        (keys.line("sk-ssh-ed25519@openssh.com", b"x" * 32), "is not a public key"),
        (keys.line("sk-ssh-ed25519@openssh.com"), "is not a public key"),
        (keys.line("ssh-dss", b"p", b"q", b"g", b"y"), "is a DSA key"),
        (keys.line("ssh-ed25519-cert-v01@openssh.com", b"x" * 32), "is a certificate"),
        (f"{ED25519}\n{keys.rsa()}", "holds 2 lines"),
        (
            f"---- BEGIN SSH2 PUBLIC KEY ----\n{BLOB}\n---- END SSH2 PUBLIC KEY ----",
            "is a public key in another format",
        ),
        ("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", "is a public key in another format"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, rule: str) -> None:
    """Each in words that say what it is instead."""
    with pytest.raises(Invalid) as refused:
        normalise(text)
    assert refused.value.rule.startswith(rule)
    assert not refused.value.is_shown


@pytest.mark.parametrize("text", keys.PRIVATE.values(), ids=keys.PRIVATE)
def test_a_private_key_is_known_as_one_and_repeated_nowhere(text: str) -> None:
    """In every form, also cut, indented or inside other text; and by the check of the fields."""
    assert is_private(text)
    with pytest.raises(Invalid, match="is a private key") as refused:
        normalise(text)
    assert "CANARY" not in f"{refused.value.rule}{refused.value.remedy}{refused.value!r}"
    for inputs in ({"public_key": text}, {"public_key": ED25519, "key_name": text}):
        found = ssh_key_fields.check_ssh_key(inputs)
        assert found.failures
        assert not any("CANARY" in failure.text for failure in found.failures)


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    """Whatever is pasted, the answer is a key or a refusal that repeats no piece of it."""
    found = ssh_key_fields.check_ssh_key({"public_key": text})
    words = {word for word in text.split() if len(word) > 12}
    assert found.failures or found.inputs["public_key"] == normalise(text)
    assert not any(word in failure.text for word in words for failure in found.failures)


@given(st.sampled_from(GOOD), st.data())
def test_a_key_that_lost_a_part_of_its_content_is_refused(key: str, data: st.DataObject) -> None:
    """A line that was cut when it was copied."""
    type_, blob, _ = key.split()
    length = data.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(Invalid):
        normalise(f"{type_} {blob[:length]}")


def test_what_the_service_tells_is_compared_without_comment_and_padding_of_others() -> None:
    """What is no key is compared as it is, and what it does not tell equals nothing."""
    assert content_of(f"{ED25519}\n") == normalise(ED25519)
    assert content_of("ssh-ed25519 not-base64 x") == "ssh-ed25519 not-base64"
    assert content_of("something else") == "something else"
    assert content_of("word") == "word"
    assert content_of(None) is content_of("") is content_of(" ") is None


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")
@pytest.mark.parametrize("options", ["-t ed25519", "-t rsa -b 2048", "-t ecdsa -b 256", "-t ecdsa -b 521"])
def test_keys_and_fingerprints_are_those_of_ssh_keygen(tmp_path: Path, options: str) -> None:
    """Of real keys, both halves."""
    file = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", *options.split(), "-N", "", "-f", str(file)], check=True)
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(file)], check=True, capture_output=True, text=True).stdout
    public = file.with_suffix(".pub").read_text()
    assert fingerprint(normalise(public)) == shown.split()[1]
    for form in ("RFC4716", "PKCS8", "PEM"):
        other = subprocess.run(
            ["ssh-keygen", "-e", "-m", form, "-f", str(file)], check=False, capture_output=True, text=True
        ).stdout
        if other:
            with pytest.raises(Invalid, match="in another format"):
                normalise(other)
    assert is_private(file.read_text())


def test_a_key_without_content_has_no_fingerprint() -> None:
    """It is not known then, and not made up."""
    assert fingerprint(None) is fingerprint("ssh-ed25519") is fingerprint("ssh-ed25519 ?") is None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must have 1 to 128 characters"),
        (" x", "must have 1 to 128 characters"),
        ("x" * 129, "must have 1 to 128 characters"),
        (7.0, "must have 1 to 128 characters"),
        ("a\nb", "must be printable"),
        ("sshkey_000001", "must not begin with 'sshkey_'"),
        ("laptop-3f9a1c5d08b67be02d4d-9c01d2-1", "has the form of the names that are made for keys"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: object, rule: str) -> None:
    """An id, or a name with a mark, would be mistaken for what it is not."""
    found = ssh_key_fields.check_ssh_key({"public_key": ED25519, "key_name": name})
    assert [failure.path for failure in found.failures] == ["key_name"]
    assert found.failures[0].text.startswith(f"key_name {rule}")


def test_a_problem_of_the_program_is_reported_with_its_file() -> None:
    """What travels in place of a key that could not be read."""
    problem = {PROBLEM: "names a file that is not there", REMEDY: "make one", FILE: "~/.ssh/none.pub"}
    (failure,) = ssh_key_fields.check_ssh_key({"public_key": problem}).failures
    assert failure.text == "public_key names a file that is not there, '~/.ssh/none.pub': make one"
    (failure,) = ssh_key_fields.check_ssh_key({"public_key": {"a": "b"}}).failures
    assert failure.text == "public_key must be a public key, as a text"
