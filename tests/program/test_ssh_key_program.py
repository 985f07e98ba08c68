"""What a program says of an SshKey, and that nothing but a public key leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc
from support import keys

from flow_resources import GpuCluster, Job, SshKey
from flow_resources.core.inputs import check
from flow_resources.core.placement_fields import SETUP
from flow_resources.core.public_keys import normalise
from flow_resources.core.ssh_key_fields import check_ssh_key
from flow_resources.testing import FlowMocks

KEY = keys.ed25519()
PLACE: dict[str, Any] = {"instance_type": "8xa100", "max_price_per_hour": 1.0}


class RawMocks(FlowMocks):
    """Mocks that keep what travels, hidden inputs too."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.sent[args.name] = dict(args.inputs)
        return super().new_resource(args)


def run(program: Any) -> RawMocks:
    """Run a program; return what travels."""
    mocks = RawMocks()
    pulumi.runtime.set_mocks(mocks, project="p", stack="s", preview=False)
    pulumi.runtime.test(program)()
    return mocks


def declare(**inputs: Any) -> dict[str, Any]:
    """Declare a key; return what travels."""

    def program() -> Any:
        made = {name: value() if callable(value) else value for name, value in inputs.items()}
        return SshKey("it", **made).id

    return run(program).sent["it"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the program, which is a home as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def failure_of(sent: dict[str, Any]) -> str:
    """Return the one failure that check has about the inputs."""
    plain = {name: rpc.unwrap_rpc_secret(value) if rpc.is_rpc_secret(value) else value for name, value in sent.items()}
    (failure,) = check_ssh_key(plain).failures
    return failure.text


def test_a_key_travels_without_its_comment() -> None:
    """As a text, or an output of one."""
    for given in (KEY, lambda: pulumi.Output.from_input(KEY)):
        assert declare(public_key=given)["public_key"] == normalise(KEY)
    assert declare(public_key=KEY, key_name="laptop")["key_name"] == "laptop"


@pytest.mark.parametrize("path", ["id.pub", "~/id.pub", Path("id.pub"), Path("~/id.pub")])
def test_the_key_of_a_file_travels(folder: Path, path: Any) -> None:
    """From the program's folder, or from the home."""
    (folder / "id.pub").write_text(f"\ufeff{KEY}\r\n")
    assert declare(public_key_file=path)["public_key"] == normalise(KEY)
    assert declare(public_key_file=lambda: pulumi.Output.from_input(str(path)))["public_key"] == normalise(KEY)


def test_a_secret_key_is_secret() -> None:
    """Whoever calls it a secret gets a secret."""
    sent = declare(public_key=lambda: pulumi.Output.secret(KEY))["public_key"]
    assert rpc.is_rpc_secret(sent)
    assert rpc.unwrap_rpc_secret(sent) == normalise(KEY)


@pytest.mark.parametrize("text", keys.PRIVATE.values(), ids=keys.PRIVATE)
def test_a_private_key_does_not_leave_the_program(folder: Path, text: str) -> None:
    """From a text, an output, a file, in place of a path or of the name: what travels says what is wrong."""
    (folder / "id").write_text(text)
    for inputs in (
        {"public_key": text},
        {"public_key": lambda: pulumi.Output.secret(text)},
        {"public_key_file": "id"},
        {"public_key_file": text},
        {"public_key_file": lambda: pulumi.Output.from_input(text)},
        {"public_key": KEY, "key_name": text},
        {"public_key": KEY, "key_name": lambda: pulumi.Output.secret(text)},
    ):
        sent = declare(**inputs)
        assert "CANARY" not in str(sent)
        assert "private key" in failure_of(sent) or "a key and not the path" in failure_of(sent)
        assert "CANARY" not in failure_of(sent)


@pytest.mark.parametrize("text", keys.PRIVATE.values(), ids=keys.PRIVATE)
def test_a_private_key_does_not_leave_it_as_the_name_of_a_key_of_machines(text: str) -> None:
    """Of a cluster and of a job: it is in no input and in no failure."""
    for given in ([text], [KEY, text], pulumi.Output.secret([text]), [pulumi.Output.from_input(text)]):

        def program(given: Any = given) -> Any:
            GpuCluster("cluster", **PLACE, ssh_keys=given)
            return Job("job", **PLACE, command="true", ssh_keys=given).id

        sent = run(program).sent
        assert "CANARY" not in str(sent)
        for one in sent.values():
            (failure,) = check(SETUP, {"ssh_keys": rpc.unwrap_rpc_secret(one["ssh_keys"])}).failures
            assert "is a private key, which nobody else may have" in failure.text
            assert "CANARY" not in failure.text
    (failure,) = check(SETUP, {"ssh_keys": [text]}).failures
    assert "is a private key, which nobody else may have" in failure.text
    assert "CANARY" not in failure.text


@pytest.mark.parametrize("value", ["ssh-ed25519 CANARY", "CANARY", 7, b"CANARY", ["CANARY"], {"a": "CANARY"}])
def test_what_is_no_key_does_not_leave_it_either(value: Any) -> None:
    """It can be a part of a private one."""
    sent = declare(public_key=value)
    assert "CANARY" not in str(sent)
    assert failure_of(sent).startswith("public_key ")


NOT_READ = "is not read, because public_key_file"


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, f"{NOT_READ} names a file that is not there, 'id.pub': a path is relative to"),
        (lambda path: path.mkdir(), f"{NOT_READ} names a file that cannot be read (Is a directory), 'id.pub'"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), f"{NOT_READ} names a file that is not a text, 'id.pub'"),
        (lambda path: path.write_text("x" * 100_001), f"{NOT_READ} names a file that is too large for a key, 'id.pub'"),
        (lambda path: path.write_text(" \n"), "is empty, 'id.pub'"),
    ],
)
def test_a_file_that_cannot_be_used_becomes_a_failure_of_check(folder: Path, make: Any, problem: str) -> None:
    """With the file; the program itself goes on."""
    make(folder / "id.pub")
    assert failure_of(declare(public_key_file="id.pub")).startswith(f"public_key {problem}")


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ({}, "is required, or public_key_file"),
        ({"public_key": KEY, "public_key_file": "id.pub"}, "cannot be set beside public_key_file"),
        ({"public_key_file": KEY}, "is not read, because public_key_file is a key"),
        ({"public_key_file": 7}, "is not read, because public_key_file is not a path"),
        ({"public_key_file": "a\0b"}, f"{NOT_READ} names a file that cannot be read"),
        ({"public_key_file": "~nobody-of-this-name/id.pub"}, f"{NOT_READ} names a file that cannot be read"),
    ],
)
def test_one_of_the_two_says_the_key(folder: Path, inputs: dict[str, Any], problem: str) -> None:
    """Either, and no third thing."""
    assert failure_of(declare(**inputs)).startswith(f"public_key {problem}")


def test_clusters_and_jobs_take_keys_names_and_ids() -> None:
    """In one list; also in an output of a list."""

    def program() -> Any:
        key = SshKey("me", public_key=KEY)
        GpuCluster("c", **PLACE, ssh_keys=[key, "team", key.ssh_key_id.apply(lambda _: "sshkey_000001")])
        GpuCluster("later", **PLACE, ssh_keys=pulumi.Output.from_input(["team"]))
        return Job("j", **PLACE, command="true", ssh_keys=(key,)).id

    sent = run(program).sent
    id_ = sent["j"]["ssh_keys"][0]
    assert id_.startswith("sshkey_")
    assert sent["c"]["ssh_keys"] == [id_, "team", "sshkey_000001"]
    assert sent["later"]["ssh_keys"] == ["team"]


def test_the_mocks_know_a_key() -> None:
    """With outputs of the right types."""

    def program() -> Any:
        key = SshKey("me", public_key=KEY)
        got = SshKey.get("theirs", "sshkey_000001")

        def check(values: list[str]) -> None:
            assert values[:3] == ["me-mocked", normalise(KEY), "proj_mocked"]
            assert values[3].startswith("SHA256:")
            assert values[4].startswith("sshkey_")
            assert values[5] == "sshkey_000001"

        return pulumi.Output.all(
            key.key_name, key.public_key, key.project, key.fingerprint, key.ssh_key_id, got.ssh_key_id
        ).apply(check)

    run(program)


def test_a_fixed_name_is_replaced_delete_first_unless_the_program_says_otherwise() -> None:
    """Two keys of one name could not be told apart."""

    def program() -> Any:
        made = [
            SshKey("default", public_key=KEY),
            SshKey("fixed", public_key=KEY, key_name="laptop"),
            SshKey(
                "first", public_key=KEY, key_name="laptop", opts=pulumi.ResourceOptions(delete_before_replace=False)
            ),
        ]
        return pulumi.Output.all(*(one.id for one in made))

    options: dict[str, Any] = {}
    from flow_resources import program as programs

    declare_ = programs.declare

    def spy(resource: Any, type_token: str, provider: Any, name: str, *rest: Any) -> None:
        options[name] = rest[-1].delete_before_replace
        declare_(resource, type_token, provider, name, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "declare", spy)
        run(program)
    assert options == {"default": None, "fixed": True, "first": False}
