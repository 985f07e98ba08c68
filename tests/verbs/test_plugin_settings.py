"""The settings of a provider resource: in either spelling, checked in one line, never a reason to replace."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2
from support.stack import Aborted, Context, ModelBackend, SkippingClock, Stack

from flow_resources.core.config_keys import OF_PROVIDERS
from flow_resources.host import EngineLink
from flow_resources.plugin import settings, wire
from flow_resources.plugin.servicer import FlowServicer

PROVIDERS = "urn:pulumi:dev::training::pulumi:providers:flow::"
DEFAULT, EXPLICIT = f"{PROVIDERS}default_0_1_0", f"{PROVIDERS}mine"
KEY = "fkey_canary-of-a-key"


@pytest.fixture
def servicer(clean_environment: None) -> FlowServicer:
    """A plugin that is not configured yet, where no environment says anything."""
    return FlowServicer(EngineLink(), ModelBackend(Stack({})), SkippingClock())


def check(servicer: FlowServicer, urn: str, olds: dict[str, Any] | None = None, **news: Any) -> Any:
    request = provider_pb2.CheckRequest(urn=urn, news=wire.write(news), olds=wire.write(olds or {}))
    return servicer.CheckConfig(request, Context())


def failures(servicer: FlowServicer, urn: str, olds: dict[str, Any] | None = None, **news: Any) -> dict[str, str]:
    return {one.property: one.reason for one in check(servicer, urn, olds, **news).failures}


@pytest.mark.parametrize("setting", OF_PROVIDERS, ids=lambda one: one.name)
def test_both_spellings_are_one_setting(servicer: FlowServicer, setting: Any) -> None:
    """The engine passes `flow:apiKey` as `apiKey`; a program writes `api_key`. The state has the latter."""
    value = {"boolean": "true", "number": "100"}.get(setting.type, "https://api.example.com")
    common = {"api_key": KEY} if setting.name != "api_key" else {}
    for urn, spelling in ((DEFAULT, setting.spelling), (EXPLICIT, setting.name)):
        response = check(servicer, urn, **common, **{spelling: value})
        assert not response.failures
        assert wire.read(response.inputs).values == {
            **common, setting.name: value, settings.WRITTEN_BY: settings.own_version()
        }  # fmt: skip
        assert settings.config_of(wire.read(response.inputs).values)(setting.key) == value


def test_the_key_is_secret_whichever_way_it_came(servicer: FlowServicer) -> None:
    """It is in the state."""
    assert wire.read(check(servicer, EXPLICIT, api_key=KEY).inputs).secrets == {"api_key"}


def test_a_misspelt_setting_is_named_with_the_one_it_looks_like(servicer: FlowServicer) -> None:
    """All of them at once, each by its path."""
    found = failures(servicer, EXPLICIT, api_key=KEY, regoin="us-central5-a", colour="red", host="plugin")
    assert set(found) == {"regoin", "colour", "host"}
    assert found["regoin"].startswith("regoin is not a setting of a provider: did you mean region? it has api_key,")
    assert found["colour"].startswith("colour is not a setting of a provider: it has api_key,")


def test_a_default_provider_takes_what_is_no_setting(servicer: FlowServicer) -> None:
    """The engine hands it all of `flow:*`, also what a project that is called flow has for itself."""
    response = check(servicer, DEFAULT, apiKey=KEY, host="plugin", epochs="3")
    assert not response.failures
    assert set(wire.read(response.inputs).values) == {"api_key", settings.WRITTEN_BY}


@pytest.mark.parametrize(
    ("news", "words"),
    [
        ({}, "there is no API key: `pulumi config set --secret flow:apiKey ...`"),
        ({"api_key": KEY, "api_url": "nonsense"}, "the API URL is not an address"),
        ({"api_key": KEY, "max_cost_per_hour": "plenty"}, "flow:maxCostPerHour is 'plenty', which is not a budget"),
        ({"api_key": KEY, "allow_job_keys": "perhaps"}, "flow:allowJobKeys is 'perhaps'"),
        ({"api_key": KEY, "market_lines": "perhaps"}, "flow:marketLines is 'perhaps'"),
    ],
)
def test_a_bad_setting_is_one_line_for_the_whole_provider(
    servicer: FlowServicer, news: dict[str, Any], words: str
) -> None:
    """And not one per resource."""
    (text,) = failures(servicer, EXPLICIT, **news).values()
    assert words in text
    assert "\n" not in text
    assert KEY not in text


def test_what_is_not_known_yet_is_not_judged(servicer: FlowServicer) -> None:
    """A key that another resource of the program makes."""
    response = check(servicer, EXPLICIT, api_key=rpc.UNKNOWN)
    assert not response.failures
    inputs = wire.read(response.inputs).values
    assert settings.config_of(inputs)("flow:apiKey") is None


@pytest.mark.parametrize(("old", "new"), [("https://a", "https://b"), (None, "https://b"), ("https://a", None)])
def test_no_setting_replaces_the_provider(servicer: FlowServicer, old: str | None, new: str | None) -> None:
    """Which would replace all that it has made; the change is shown."""
    request = provider_pb2.DiffRequest(
        urn=EXPLICIT,
        id="x",
        olds=wire.write({"api_key": KEY, "api_url": old}),
        news=wire.write({"api_url": new, "api_key": KEY}),
    )  # fmt: skip
    diff = servicer.DiffConfig(request, Context())
    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert (list(diff.replaces), list(diff.diffs), list(diff.detailedDiff)) == ([], ["api_url"], ["api_url"])


def test_another_spelling_or_version_is_no_change(servicer: FlowServicer) -> None:
    """An upgrade shows nothing."""
    olds, news = {"apiKey": KEY, settings.WRITTEN_BY: "0.0.1"}, {"api_key": KEY, settings.WRITTEN_BY: "0.1.0"}
    request = provider_pb2.DiffRequest(urn=EXPLICIT, id="x", olds=wire.write(olds), news=wire.write(news))
    assert servicer.DiffConfig(request, Context()).changes == provider_pb2.DiffResponse.DIFF_NONE


@pytest.mark.parametrize(
    ("written_by", "is_newer"),
    [("99.0.0", True), ("0.9.1", True), ("0.10.0", True), ("0.9.0", False), ("0.0.9", False), ("", False)],
)
def test_the_state_of_a_newer_plugin_is_refused(
    servicer: FlowServicer, mocker: Any, written_by: str, is_newer: bool
) -> None:
    """By `up` in its check, by refresh and destroy before the first verb: in one line, with what to install."""
    mocker.patch.object(settings, "own_version", return_value="0.9.0")
    olds = {"api_key": KEY, settings.WRITTEN_BY: written_by}
    found = failures(servicer, EXPLICIT, olds, api_key=KEY)
    request = provider_pb2.ConfigureRequest(urn=EXPLICIT, id="x", args=wire.write(olds))
    if not is_newer:
        assert not found
        servicer.Configure(request, Context())
        return
    (text,) = found.values()
    assert text == (
        f"the state was written by flow-resources {written_by}, and this is 0.9.0, which may not understand it: "
        f"install flow-resources {written_by} or newer; nothing was touched"
    )
    with pytest.raises(Aborted, match=f"written by flow-resources {written_by}"):
        servicer.Configure(request, Context())


def test_the_version_that_goes_into_the_state_never_falls(servicer: FlowServicer, mocker: Any) -> None:
    """It is that of the plugin which has last written it, and an older one does not."""
    mocker.patch.object(settings, "own_version", return_value="0.3.0")
    response = check(servicer, EXPLICIT, {settings.WRITTEN_BY: "0.2.0"}, api_key=KEY)
    assert wire.read(response.inputs).values[settings.WRITTEN_BY] == "0.3.0"
