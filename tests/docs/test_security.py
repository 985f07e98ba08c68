"""SECURITY.md is true: what it names is there, what it claims is held by the tests that it names, or by those here."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import pickle
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
import httpx
import pytest
from docs.pages import README, ROOT, section, tables, ticked
from flow.utils.compressed_script import transform_plain_text
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from support.stack import PROVIDERS, CheckError, Stack, cluster, job

from flow_resources import redaction
from flow_resources.cloud.machine.wire import unpack
from flow_resources.core import naming
from flow_resources.program import token
from flow_resources.testing import FakeMithril

PAGE = ROOT / "SECURITY.md"
FROZEN = json.loads((ROOT / "tests" / "frozen.json").read_text())


class Payload:
    """What an attacker pickles."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.file,)


def test_every_claim_names_a_test_that_is_there() -> None:
    """In the last section."""
    (table,) = tables(section(PAGE, "Tests"))
    assert len(table) > 10
    for _, cell in table[1:]:
        for test in ticked(cell):
            path, _, name = test.partition("::")
            functions = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(node, "name")}
            assert name in functions, f"{path} has no {name}"


def call(cloud: FakeMithril, key: str, method: str, path: str, body: object = None) -> httpx.Response:
    return httpx.request(method, f"{cloud.url}{path}", headers={"Authorization": f"Bearer {key}"}, json=body)


def expiring_in(days: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).isoformat()


def test_a_key_makes_another_one_that_outlives_it(cloud: FakeMithril) -> None:
    """It lists the keys, makes one for a year, ends other bids; and revoking it undoes none of that."""
    other = cloud.add_bid("other")["fid"]
    made = call(cloud, cloud.key, "POST", "/v2/api-keys", {"name": "job", "expires_at": expiring_in(30)}).json()
    key = made["secret"]
    assert [row["fid"] for row in call(cloud, key, "GET", "/v2/api-keys").json()] == [made["fid"]]
    second = call(cloud, key, "POST", "/v2/api-keys", {"name": "mine", "expires_at": expiring_in(364.9)}).json()
    assert call(cloud, key, "DELETE", f"/v2/spot/bids/{other}").is_success
    assert call(cloud, key, "DELETE", f"/v2/api-keys/{made['fid']}").is_success
    assert call(cloud, key, "GET", "/v2/me").status_code == 401
    assert call(cloud, second["secret"], "GET", "/v2/me").is_success
    assert not cloud.live_bids


def script_read_by_a_colleague(cloud: FakeMithril, id_: str) -> str:
    """Return the start-up script of a bid as another user of the project reads it, in plain text."""
    cloud.add_key("colleague", [cloud.project])
    bid, texts = call(cloud, "colleague", "GET", f"/v2/spot/bids/{id_}").json(), list[str]()
    script = bid["launch_specification"]["startup_script"]
    transform_plain_text(unpack(script) or script, lambda text: texts.append(text) or text)
    return "\n".join(texts)


def test_everybody_in_the_project_reads_the_scripts_of_its_bids(cloud: FakeMithril, stack: Stack) -> None:
    """Another user, with another key; some of it is compressed, which hides nothing."""
    stack.up({"trainer": cluster(env={"TOKEN": "canary-9f3b"})})
    assert "canary-9f3b" in script_read_by_a_colleague(cloud, stack.state["trainer"].id)


def test_everybody_in_the_project_reads_the_key_of_a_job(cloud: FakeMithril, stack: Stack) -> None:
    """It works while the job lives, and not after that."""
    stack.up({"train": job()})
    (key,) = set(re.findall(r"fkey_[\w-]{20,}", script_read_by_a_colleague(cloud, stack.state["train"].id)))
    assert call(cloud, key, "GET", "/v2/me").json() == call(cloud, cloud.key, "GET", "/v2/me").json()
    stack.destroy()
    assert call(cloud, key, "GET", "/v2/me").status_code == 401


def test_a_key_of_ones_own_is_in_the_script_and_is_not_revoked(cloud: FakeMithril, stack: Stack) -> None:
    """The user does that."""
    made = call(cloud, cloud.key, "POST", "/v2/api-keys", {"name": "mine", "expires_at": expiring_in(90)}).json()
    stack.config["flow:allowJobKeys"] = "false"
    stack.up({"train": job(machine_api_key=made["secret"])})
    assert made["secret"] in script_read_by_a_colleague(cloud, stack.state["train"].id)
    stack.destroy()
    assert [row["fid"] for row in call(cloud, made["secret"], "GET", "/v2/api-keys").json()] == [made["fid"]]


def test_without_consent_no_machine_gets_a_key(cloud: FakeMithril, stack: Stack) -> None:
    """The preview refuses the job, and nothing is made."""
    for setting in ({}, {"flow:allowJobKeys": "false"}):
        del stack.config["flow:allowJobKeys"]
        stack.config |= setting
        with pytest.raises(CheckError, match="machine_api_key is not set, and flow:allowJobKeys is not true"):
            stack.preview({"train": job()})
        stack.config["flow:allowJobKeys"] = "true"
    assert not cloud.mutations


def test_no_state_holds_the_key_of_a_job(cloud: FakeMithril, stack: Stack) -> None:
    """Neither inputs nor outputs, nor what the service is asked for later."""
    stack.up({"train": job()})
    (key,) = set(re.findall(r"fkey_[\w-]{20,}", script_read_by_a_colleague(cloud, stack.state["train"].id)))
    stack.refresh()
    cloud.terminate(stack.state["train"].id)
    stack.refresh()
    assert key not in json.dumps([vars(saved) for saved in stack.state.values()])


def test_a_state_runs_code(tmp_path: Path) -> None:
    """Pulumi's host unpickles `__provider`, whatever it is, before it asks a provider: ours to say, not to change."""
    properties = struct_pb2.Struct()
    properties["__provider"] = base64.b64encode(pickle.dumps(Payload(tmp_path / "it-ran"))).decode()
    command = [sys.executable, "-u", "-m", "pulumi.dynamic", "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as host:
        try:
            with grpc.insecure_channel(f"127.0.0.1:{host.stdout.readline().strip()}") as channel:
                reading = provider_pb2.ReadRequest(id="bid_1", urn="urn:pulumi:s::p::t::n", properties=properties)
                with pytest.raises(grpc.RpcError):  # what came out is no provider; it is too late then
                    provider_pb2_grpc.ResourceProviderStub(channel).Read(reading, timeout=120)
        finally:
            host.kill()
    assert (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("host_of_verbs", ["plugin"], indirect=True)
def test_a_state_runs_no_code_in_the_plugin(tmp_path: Path, cloud: FakeMithril, stack: Stack) -> None:
    """Neither a refresh, a change nor a destroy reads `__provider`, as a stack has it that was in the other host."""
    stack.up({"trainer": cluster()})
    payload = base64.b64encode(pickle.dumps(Payload(tmp_path / "it-ran"))).decode()
    for bag in (saved := stack.state["trainer"]).inputs, saved.outputs:
        bag["__provider"] = payload
    stack.refresh()
    stack.up({"trainer": cluster(max_price_per_hour=60.0)})
    stack.destroy()
    assert not cloud.live_bids
    assert not (tmp_path / "it-ran").exists()


def test_a_mark_is_the_beginning_of_two_hashes() -> None:
    """Anybody can compute it who guesses the owner and the URN."""
    owner, urn = "acme/training/dev", "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::trainer"
    first, second = (hashlib.sha256(text.encode()).hexdigest() for text in (owner, urn))
    assert str(naming.Mark.of(owner, urn)) == first[:12] + second[:8]
    example = re.search(r"`(trainer-[0-9a-f]{20}-[0-9a-f]{6}-\d)`", PAGE.read_text())
    assert example
    assert naming.take_apart(example[1])


def test_a_digest_tells_nothing_of_a_secret_without_the_key() -> None:
    """The same values under another key, and other values under the same key, are other digests."""
    digests = {
        naming.spec_digest({"num_instances": 1}, {"env": {"TOKEN": token}}, key)
        for token in ("a", "b")
        for key in ("key-1", "key-2")
    }
    assert len(digests) == 4


def test_what_is_named_is_there() -> None:
    """The hidden properties of states, the engine's own lines, how short a piece may be."""
    (table,) = tables(section(PAGE, "What is stored where"))
    passed_along = {"__deleted_with", "__replaced_with", "__urn", "__recorded", "__region", "__interface", "__volume"}
    passed_along |= {"__problem", "__file", "__remedy", "__timeout", "__ignored", "__retained", "__preview"}
    told = {word for row in table[1:3] for word in ticked(row[1]) if word.startswith("__")}
    assert told == {*FROZEN["hidden properties"], "__provider"} - passed_along
    loud = (ROOT / "tests" / "engine" / "test_secrets.py").read_text()
    for words in re.findall(r"`((?:Unm|M)arshaling property for RPC\[)`", PAGE.read_text()):
        assert f'"{words}"' in loud
    assert redaction._SHORTEST_PIECE == 8
    assert "pieces of eight characters or" in PAGE.read_text()


def test_the_states_that_are_kept_hold_what_is_passed_along_nowhere() -> None:
    """URN and recorded ids are not part of a state; every provider is one of a few short strings."""
    providers = set()
    for path in sorted((ROOT / "tests" / "states").glob("*/*/state.json")):
        for one in json.loads(path.read_text())["deployment"]["resources"]:
            kept = {**one.get("inputs", {}), **one.get("outputs", {})}
            assert not {"__urn", "__recorded"} & set(kept)
            if "dynamic" in one["type"]:
                providers.add(kept["__provider"])
    assert providers
    assert providers <= {token(provider) for provider in PROVIDERS.values()}
    assert len(PROVIDERS) == 5
    for one in providers:
        assert b"flow_resources.providers." in base64.b64decode(one)


def test_whoever_finds_a_hole_learns_how_to_report_it() -> None:
    """From the README and the contributor's page; privately, and to no address that nobody reads."""
    for page in (README, Path(ROOT / "CONTRIBUTING.md")):
        assert "(SECURITY.md)" in page.read_text()
    assert "Report a vulnerability" in section(PAGE, "Reporting a vulnerability")
    assert "@" not in PAGE.read_text()
