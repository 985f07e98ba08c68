"""Where the settings come from: the first place that has one wins, and nothing redirects a stack silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_resources.cloud.settings import resolve
from flow_resources.errors import ConfigError

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_stack_config_wins_over_the_environment_and_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also for the project, where the SDK itself would let its environment win."""
    write_file(tmp_path)
    for name in ("API_KEY", "API_URL", "PROJECT", "REGION"):
        monkeypatch.setenv(f"MITHRIL_{name}", f"env-{name.lower()}")
    config = {"flow:apiKey": "a", "flow:apiUrl": "http://b/", "flow:project": "c", "flow:region": "d"}
    settings = resolve(config.get)
    assert (settings.api_key, settings.api_url, settings.project, settings.region) == ("a", "http://b", "c", "d")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in the SDK."""
    write_file(tmp_path)
    monkeypatch.setenv("MITHRIL_API_KEY", "from-env")
    settings = resolve({}.get)
    assert (settings.api_key, settings.project, settings.region) == ("from-env", "file-project", "file-region")


def test_the_file_is_the_last_place(tmp_path: Path) -> None:
    """What `flow setup` wrote is enough; the service is the real one."""
    write_file(tmp_path)
    settings = resolve({}.get)
    assert (settings.api_key, settings.api_url) == ("file-key", "https://api.mithril.ai")


@pytest.mark.parametrize("key", [None, "", "YOUR_API_KEY"])
def test_no_key_names_the_three_places(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    """They are all that the user needs."""
    if key is not None:
        monkeypatch.setenv("MITHRIL_API_KEY", key)
    with pytest.raises(ConfigError) as failed:
        resolve({}.get)
    for place in ("pulumi config set --secret flow:apiKey", "MITHRIL_API_KEY", "config.yaml"):
        assert place in str(failed.value)


@pytest.mark.parametrize(("name", "value"), [("FLOW_PROVIDER", "mock"), ("FLOW_DEMO_MODE", "1")])
def test_a_mock_of_the_sdk_never_takes_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    """A stack is never silently sent to a mock."""
    write_file(tmp_path)
    monkeypatch.setenv(name, value)
    assert resolve({}.get).api_url == "https://api.mithril.ai"


def test_the_key_shows_in_no_repr() -> None:
    """Neither a log nor a traceback holds it."""
    assert "canary" not in repr(resolve({"flow:apiKey": "canary"}.get))


def test_an_api_url_with_a_password_is_refused_without_showing_it() -> None:
    """The URL is recorded in the state of every resource, in clear."""
    with pytest.raises(ConfigError, match="holds a user or a password") as failed:
        resolve({"flow:apiKey": "a", "flow:apiUrl": "https://me:canary@mithril.test"}.get)
    assert "canary" not in str(failed.value)


@pytest.mark.parametrize(
    "url", ["localhost:8080", "canary", "ftp://mithril.test", "https://", "http://mithril.test:port", "http://[::1"]
)
def test_an_api_url_that_is_not_an_address_is_refused_at_once(url: str) -> None:
    """A request there would look like a service that is down. The value can be the key, so it is not shown."""
    with pytest.raises(ConfigError, match="the API URL is not an address") as failed:
        resolve({"flow:apiKey": "a", "flow:apiUrl": url}.get)
    assert "canary" not in str(failed.value)
    assert "MITHRIL_API_URL must be like https://HOST" in failed.value.remedy


@pytest.mark.parametrize(
    "text",
    ['api_key: "canary\n', "api_key: [canary]\n", "- canary\n", "api_key: canary\n\tx: y\n", "mithril: canary\n"],
)
def test_a_broken_file_is_not_quoted(tmp_path: Path, text: str) -> None:
    """It holds the key."""
    (tmp_path / "flow" / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as failed:
        resolve({}.get)
    assert "canary" not in str(failed.value)


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1e300", "86401"])
def test_a_bad_time_limit_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """The message names the variable."""
    monkeypatch.setenv("FLOW_RESOURCES_HTTP_SECONDS", value)
    with pytest.raises(ConfigError, match="FLOW_RESOURCES_HTTP_SECONDS"):
        resolve({"flow:apiKey": "a"}.get)


@pytest.mark.parametrize(
    ("value", "amount"),
    [("200", "200.00"), ("$200", "200.00"), ("200.00", "200.00"), (" $0.5 ", "0.50"), (200, "200.00")],
)
def test_a_budget_is_read_as_people_write_dollars(value: object, amount: str) -> None:
    """With a dollar sign or without, with cents or without."""
    assert str(resolve({"flow:apiKey": "a", "flow:maxCostPerHour": value}.get).budget()) == amount


@pytest.mark.parametrize(
    "value",
    [
        *("200,00", "1,200.00", "2e2", "inf", "nan", "-200", "$-200", "$$200", "2_0", "\u0662\u0660\u0660", "200.005"),
        *("0", "", " ", "$"),
    ],
)
def test_a_budget_that_can_be_read_in_two_ways_is_none(value: str) -> None:
    """Two hundred dollars to one person, twenty thousand to another; and an empty one is not "no limit"."""
    settings = resolve({"flow:apiKey": "a", "flow:maxCostPerHour": value}.get)
    with pytest.raises(ConfigError) as failed:
        settings.budget()
    assert str(failed.value) == (
        f"flow:maxCostPerHour is {value.strip()!r}, which is not a budget: write dollars per hour with a point before "
        "the cents and no comma: `pulumi config set flow:maxCostPerHour 200.00`"
    )


@pytest.mark.parametrize(
    ("value", "allows"), [(None, False), ("true", True), ("false", False), (" True ", True), (True, True)]
)
def test_keys_of_jobs_are_allowed_by_true_alone(value: object, allows: bool) -> None:
    """As text, and as Pulumi writes a boolean; absent is no."""
    assert resolve({"flow:apiKey": "a", "flow:allowJobKeys": value}.get).allows_job_keys() is allows


@pytest.mark.parametrize(("value", "shows"), [(None, True), ("true", True), ("false", False), (False, False)])
def test_the_market_is_shown_unless_the_stack_says_false(value: object, shows: bool) -> None:
    """Absent is yes."""
    assert resolve({"flow:apiKey": "a", "flow:marketLines": value}.get).shows_market() is shows


@pytest.mark.parametrize("value", ["", " ", "yes", "1", "0", "on", "truee", "t", "null"])
def test_what_is_neither_true_nor_false_allows_nothing(value: str) -> None:
    """The settings resolve all the same, so that a bad one does not stop a destroy."""
    settings = resolve({"flow:apiKey": "a", "flow:allowJobKeys": value}.get)
    with pytest.raises(ConfigError) as failed:
        settings.allows_job_keys()
    assert str(failed.value) == (
        f"flow:allowJobKeys is {value.strip()!r}, which is neither true nor false: "
        "`pulumi config set flow:allowJobKeys true`, or `pulumi config rm flow:allowJobKeys`"
    )
    with pytest.raises(ConfigError, match=r"flow:marketLines is .* neither true nor false"):
        resolve({"flow:apiKey": "a", "flow:marketLines": value}.get).shows_market()


def test_a_broken_file_is_reported_in_one_line(tmp_path: Path) -> None:
    """The SDK's own words, as our error."""
    (tmp_path / "flow" / "config.yaml").write_text("api_key: [")
    with pytest.raises(ConfigError, match="settings cannot be read"):
        resolve({}.get)


def write_file(tmp_path: Path) -> None:
    text = "api_key: file-key\nmithril:\n  project: file-project\n  region: file-region\n"
    (tmp_path / "flow" / "config.yaml").write_text(text)
