"""Whatever the service echoes, and to whichever verb, no secret is shown."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from support.stack import CheckError, Declared, Stack, VerbError, cluster, settings_of

from flow_resources.host import EngineLink
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

pytestmark = pytest.mark.both_hosts

KEY = "canary-key-4f1d"
LONG = "canary-line\nwith 'single' and \"double\" quotes=canary-inside"
ENV = {"TOKEN": "canary-env-93aa", "LONG": LONG}
HEADER = f"Authorization: Bearer {KEY}"
# What a careless service, or a proxy before it, may repeat of a request: a header and the body.
ECHO = f"cannot do that: {HEADER} {json.dumps({'startup_script': LONG, 'env': ENV})}"
CUT = "x" * 180 + f" {KEY}"  # the SDK cuts some bodies at 200 characters: in the middle of the key
FAULTS: dict[str, dict[str, Any]] = {
    **{f"{code}": {"status": code, "body": {"detail": ECHO}} for code in (400, 401, 402, 403, 404, 409, 422, 500, 503)},
    "400, other places": {"status": 400, "body": {"error": ECHO, "message": ECHO}},
    "400, no JSON": {"status": 400, "body": ECHO.encode()},
    "422, in a list": {"status": 422, "body": {"detail": [{"loc": ["body", ECHO], "msg": ECHO, "input": ECHO}]}},
    "429": {"status": 429, "body": {"detail": ECHO}, "headers": {"Retry-After": "0"}},
    "500, an object": {"status": 500, "body": {"detail": {"request": ECHO}}},
    "504": {"status": 504, "body": ECHO.encode()},
    "504, cut": {"status": 504, "body": CUT.encode()},
    "no JSON": {"status": 200, "body": ECHO.encode()},
    "another shape": {"status": 200, "body": {"data": [ECHO], "request": ECHO}},
    "a list": {"status": 200, "body": [ECHO]},
    "held": {"status": 202, "body": {"detail": ECHO, "proposal": ECHO}},
}
# By name: the requests that fail, whether the cluster exists before, and the action.
ACTIONS: dict[str, tuple[str, str, bool, Callable[[Stack, str], Any]]] = {
    "preview": ("GET", "", False, lambda stack, name: stack.preview(program(name))),
    "make a key": ("POST", "ssh-keys", False, lambda stack, name: stack.up(program(name))),
    "create": ("POST", "bids", False, lambda stack, name: stack.up(program(name))),
    "wait": ("GET", "instances", False, lambda stack, name: stack.up(program(name))),
    "update": ("PATCH", "bids", True, lambda stack, name: stack.up(program(name, max_price_per_hour=60.0))),
    "read": ("GET", "", True, lambda stack, _: stack.refresh()),
    "delete": ("DELETE", "bids", True, lambda stack, _: stack.destroy()),
    "look before a delete": ("GET", "bids/", True, lambda stack, _: stack.destroy()),
}


def program(name: str, **inputs: Any) -> dict[str, Declared]:
    """Declare a cluster full of canaries, with a short time limit."""
    return {name: cluster(timeout=1.0, env=ENV, command=f"train --token {LONG}", **inputs)}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages in the engine's log, on rows and in diagnostics, debug lines included."""
    messages: list[str] = []
    monkeypatch.setattr("flow_resources.cloud.client._ROLLBACK_PAUSE", 0.0, raising=False)  # it would only take time
    monkeypatch.setattr(EngineLink, "log", lambda _link, _severity, message, *_, **__: messages.append(message) or True)
    return messages


@pytest.fixture
def stack(cloud: FakeMithril, clock: Any) -> Any:
    """A stack whose key is a canary."""
    cloud.add_key(KEY, [cloud.project])
    yield Stack({**settings_of(cloud), "flow:apiKey": KEY}, clock=clock)
    base.current().close()


@pytest.mark.parametrize("action", ACTIONS)
def test_what_the_service_echoes_is_not_repeated(
    stack: Stack, cloud: FakeMithril, logged: list[str], caplog: Any, capfd: Any, action: str
) -> None:
    """Neither in the error, nor on a row, in a log or on the terminal; whatever the fault."""
    method, path, there, do = ACTIONS[action]
    for number, (fault, how) in enumerate(FAULTS.items()):
        name, error = f"c{number}", ""
        stack.state.clear()
        if there:
            stack.up(program(name))
        rule = cloud.faults.add(method=method, path=path, times=None, **how)
        if action == "make a key":
            shutil.rmtree(os.environ["FLOW_DIR"])
        try:
            do(stack, name)
        except (VerbError, CheckError) as failure:
            error = str(failure)
        cloud.faults.clear()
        assert rule.fired or action == "wait", f"{fault}: no request failed"
        shown = "\n".join([error, *logged, *stack.init_errors.values(), caplog.text, *capfd.readouterr()])
        assert "canary" not in shown, f"{fault}: {shown}"


def test_a_mistake_of_ours_shows_no_secret(
    stack: Stack, cloud: FakeMithril, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its line nor the traceback that `--debug` prints: an exception can hold the value that it failed on."""

    def fail(*_: object) -> None:
        raise ValueError(HEADER, ENV)

    monkeypatch.setattr("flow_resources.lifecycle.verbs.find_adopted", fail)
    with pytest.raises(VerbError, match="internal error of flow_resources") as failed:
        stack.up(program("trainer"))
    assert any("Traceback" in line for line in logged)
    assert "canary" not in "\n".join([str(failed.value), *logged])


def test_our_own_words_stay_whatever_a_variable_says(stack: Stack, cloud: FakeMithril, logged: list[str]) -> None:
    """A value of env can be a region, so only the text of others is redacted."""
    stack.up({"trainer": cluster(env={"REGION": "us-central5-a", "NAME": "running"})})
    assert "placing: bid $50.00/h x 1 (max $50.00/h) in us-central5-a, market $12.00/h" in logged
    assert "1/1 machines running, max $50.00/h" in logged


def test_the_reason_of_a_refusal_is_still_shown(stack: Stack, cloud: FakeMithril) -> None:
    """The user needs what is not secret in it."""
    cloud.faults.add(method="POST", path="bids", status=400, body={"detail": f"no machines left for {KEY} today"})
    with pytest.raises(VerbError, match="no machines left for … today"):
        stack.up(program("trainer"))
