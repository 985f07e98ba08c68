"""`flow-resources market` against the fake, over loopback: its tables, its details, its JSON, its plot."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flow_resources.cli import main, market
from flow_resources.cli.market import read, show
from flow_resources.cli.market.read import Markets, Row
from flow_resources.cli.market.show import Details, detail_lines, market_lines
from flow_resources.cli.stacks import SelectedStack
from flow_resources.core.models import InstanceType
from flow_resources.core.prices import CurrentPrices, PriceHistory
from flow_resources.testing import Clock, FakeMithril

START = 1_800_000_000.0
REGION = "us-central5-a"
NOON = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)
A100 = "it_Sg1nDx1I8NFep60J"
LONG = InstanceType(
    "it_1", "a-type-whose-name-is-much-longer-than-anything-that-fits-beside-the-other-columns.8x", 0, ""
)


@pytest.fixture
def moving(clean_environment: None) -> Iterator[FakeMithril]:
    """A fake whose market moves, and whose clock does not."""
    with FakeMithril(seed=7, clock=Clock(START, speed=0)) as fake:
        fake.clock.advance(hours=1)
        yield fake


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., tuple[int, str, str]]:
    """Run the command in an empty folder, with the environment of a fake; return its exit code and what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(fake: FakeMithril, *arguments: str) -> tuple[int, str, str]:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        try:
            code = main(["market", *arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def past(*steps: tuple[str, float]) -> PriceHistory:
    points, at = [], NOON
    for price, hours in steps:
        points.append((at, Decimal(price)))
        at += timedelta(hours=hours)
    found = PriceHistory.of(points, at)
    assert found
    return found


def details(**changes: Any) -> Details:
    row = Row(InstanceType("it_1", "a100-80gb.sxm.8x", 8, "A100"), REGION, Decimal(12))
    values = {"row": row, "history": past(("10", 6), ("20", 2), ("12", 4)), "hours": 12, "bid": None, "budget": None}
    return Details(**{**values, "machines": 1, **changes})


def requests_of(fake: FakeMithril) -> list[str]:
    return [one.path for one in fake.requests]


# -- the table ---------------------------------------------------------------------------------------------------------


def test_all_markets_are_shown_with_the_cheapest_gpu_first(moving: FakeMithril, run: Any) -> None:
    """Each with what the service says of it now."""
    code, out, err = run(moving)
    head, *rows = [line.split() for line in out.split("\n\n")[0].splitlines()]
    assert (code, err, " ".join(head)) == (0, "", "TYPE REGION PRICE PER GPU FLOOR TO WIN FREE")
    assert len(rows) == len(moving.market)
    per_gpu = [float(row[3].removeprefix("$")) for row in rows]
    assert per_gpu == sorted(per_gpu)
    (row,) = [row for row in rows if row[:2] == ["8xa100", REGION]]
    price = moving.price("8xa100", REGION)
    assert row[2:5] == [f"${price:.2f}", f"${price / 8:.2f}", "$4.20"]
    assert row[6].endswith("/64")
    bid = moving.add_bid(limit_price=row[5])["fid"]
    moving.hold_auction()
    assert moving.bid(bid)["status"] == "Allocated"


def test_offers_and_types_are_read_once_and_prices_for_what_is_shown(moving: FakeMithril, run: Any) -> None:
    """Nothing is read of markets that were not asked for."""
    code, out, _ = run(moving, "8xa100", "8xh100", "--region", REGION)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["8xa100", "8xh100"]
    assert sorted(requests_of(moving)) == [
        "/v2/instance-types", "/v2/pricing/current", "/v2/pricing/current", "/v2/spot/availability",
    ]  # fmt: skip


@pytest.mark.parametrize("spelling", ["8xa100", "a100:8", "8xA100", "a100-80gb.sxm.8x", A100])
def test_a_type_is_written_as_in_a_program(moving: FakeMithril, run: Any, spelling: str) -> None:
    """Each spelling means the same markets."""
    assert run(moving, spelling) == run(moving, "8xa100")


def test_the_lowest_bid_that_wins_depends_on_the_machines(moving: FakeMithril, run: Any) -> None:
    """The service is asked for so many."""
    run(moving, "8xa100", "--region", REGION, "--machines", "8")
    (query,) = [one.query for one in moving.requests if one.path == "/v2/pricing/current"]
    assert query["instance_quantity"] == "8"


def test_the_settings_of_the_stack_come_first(
    moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the folder of a project; outside of one the SDK's own."""

    class Stack:
        def config(self) -> dict[str, str]:
            return {"flow:apiKey": moving.key, "flow:apiUrl": moving.url}

    with FakeMithril() as other:
        (tmp_path / "Pulumi.yaml").touch()
        monkeypatch.setattr(SelectedStack, "open", lambda *_: Stack())
        assert run(other, "8xa100")[0] == 0
        assert not other.requests
    assert moving.requests


# -- what is not known -------------------------------------------------------------------------------------------------


def test_a_market_that_does_not_answer_is_not_known_and_the_others_are(
    moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its price is the one on offer; the rest is -, with one line on standard error."""
    monkeypatch.setattr(read, "SILENCE_SECONDS", 0.3)
    moving.faults.add(path="/v2/pricing/current", times=1, status=404)
    code, out, err = run(moving, "8xa100")
    lines = [line.split() for line in out.split("\n\n")[0].splitlines()[1:]]
    (silent,) = [line for line in lines if line[-3:] == ["-", "-", "-"]]
    assert silent[2] == f"${moving.price('8xa100', silent[1]):.2f}"
    assert (code, len(lines), len(err.splitlines())) == (0, 8, 1)
    assert "it_" not in err
    assert err.startswith(f"warning: the prices of 8xa100 in {silent[1]} are not known: could not read the prices in ")


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "reset"}, {"kind": "hang"}])
def test_a_service_that_is_silent_about_prices_is_not_asked_for_all_of_them(
    moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    """It costs the time of the first few; the table is shown, with one line on standard error."""
    monkeypatch.setattr(read, "SILENCE_SECONDS", 0.3)
    moving.faults.add(path="/v2/pricing/current", times=None, **fault)
    code, out, err = run(moving)
    assert (code, len(err.splitlines())) == (0, 1)
    assert len(out.splitlines()) == len(moving.market) + 3
    assert "of 64 of 64 markets" in err
    queries = {str(one.query) for one in moving.requests if one.path == "/v2/pricing/current"}
    assert len(queries) < 24


def test_what_the_service_does_not_say_is_a_dash(moving: FakeMithril, run: Any) -> None:
    """And null in the JSON, never zero."""
    said = dict.fromkeys(["spot_price_cents", "minimum_price_cents", "dynamic_win_price_cents", "available_capacity"])
    moving.faults.add(kind="alter", path="/v2/pricing/current", times=None, body=said)
    moving.faults.add(kind="alter", path="/v2/spot/availability", times=None, body={"last_instance_price": None})
    _, out, _ = run(moving, "8xa100", "--region", REGION)
    assert out.splitlines()[1].split()[2:] == ["-", "-", "-", "-", "-/64"]
    _, out, _ = run(moving, "8xa100", "--region", REGION, "--json")
    (row,) = json.loads(out)["markets"]
    assert [row[key] for key in ("price", "price_per_gpu", "floor", "lowest_to_win", "available")] == [None] * 5


def test_a_market_that_does_not_say_its_price_has_the_one_on_offer(moving: FakeMithril, run: Any) -> None:
    """And the one of its own answer where it says both."""
    moving.faults.add(kind="alter", path="/v2/spot/availability", times=None, body={"last_instance_price": "$77.00"})
    price = f"${moving.price('8xa100', REGION):.2f}"
    assert run(moving, "8xa100", "--region", REGION)[1].splitlines()[1].split()[2] == price
    moving.faults.add(kind="alter", path="/v2/pricing/current", times=None, body={"spot_price_cents": None})
    assert run(moving, "8xa100", "--region", REGION)[1].splitlines()[1].split()[2] == "$77.00"


def test_the_history_of_another_region_is_never_shown(moving: FakeMithril, run: Any) -> None:
    """There is no history of this one."""
    others = {
        "instance_type": A100, "region": "us-east1-a", "timestamps": ["2027-01-15T08:00:00Z"], "spot_prices": ["$1.00"],
    }  # fmt: skip
    moving.faults.add(kind="alter", path="/v2/pricing/history", times=None, body={"series": [others]})
    code, out, _ = run(moving, "8xa100", "--region", REGION, "--bid", "20")
    assert (code, out.splitlines()[-1]) == (
        0,
        "No price history of it is known: it cannot be told what a bid of $20.00 would have held.",
    )
    assert "$1.00" not in out
    assert json.loads(run(moving, "8xa100", "--region", REGION, "--json")[1])["history"] is None


def test_a_history_that_cannot_be_read_is_one_line_beside_the_table(moving: FakeMithril, run: Any) -> None:
    """What could be read is shown."""
    moving.faults.add(path="/v2/pricing/history", times=None, status=404)
    code, out, err = run(moving, "8xa100", "--region", REGION)
    assert (code, out.splitlines()[-1]) == (0, "No price history of it is known.")
    assert err.startswith(f"warning: the price history of 8xa100 in {REGION} is not known: could not read")


def test_nothing_that_can_be_read_is_an_error(moving: FakeMithril, run: Any) -> None:
    """One line and exit code 2."""
    moving.faults.add(path="/v2/spot/availability", times=None, status=404)
    code, out, err = run(moving)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("error: could not read the market: ")


def test_a_market_without_offers_says_so(moving: FakeMithril, run: Any) -> None:
    """In words and as an empty list."""
    moving.faults.add(kind="alter", path="/v2/spot/availability", times=None, body={"region": "us-east1-a"})
    assert run(moving, "--region", REGION) == (0, "Nothing is on offer now.\n", "")


# -- wrong arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["8xa10"], "'8xa10' is not in the service's catalogue: there are 8xa100"),
        (["h100"], "'h100' does not say how many GPUs a machine has: write '8xh100'"),
        (["8xa100", "us-central5-a"], "'us-central5-a' is a region: add --region us-central5-a"),
        (["8xa100", "--region", "us-central5"], "'us-central5' is not a region of the service: there "),
        (["8xa100", "--bid", "5"], "8xa100 is on offer in several regions: add --region, one of eu-central1-a, "),
        (["--budget", "5"], "what was or would have been is told of one instance type: name one"),
        (["8xa100", "--bid", "0"], "argument --bid: must be greater than 0, got '0'"),
        (["8xa100", "--bid", "5,00"], "argument --bid: must be digits with a point before the cents, got '5,00'"),
        (["8xa100", "--budget", "a lot"], "argument --budget: must be digits"),
        (["8xa100", "--hours", "0"], "argument --hours: must be a number of hours from 1 to 8784, got '0'"),
        (["8xa100", "--machines", "-1"], "argument --machines: "),
        (["8xa100", "--plot", "price.pdf"], "argument --plot: must end in .png or .svg, got 'price.pdf'"),
        (["8xa100", "--plot", "nowhere/a.png"], "argument --plot: must be in a folder that exists, got "),
    ],
)
def test_a_wrong_argument_is_one_line_with_what_is_right(
    moving: FakeMithril, run: Any, arguments: list[str], message: str
) -> None:
    """Exit code 2, and nothing is printed."""
    code, out, err = run(moving, *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"error: {message}")


def test_a_type_that_is_elsewhere_says_where(cloud: FakeMithril, run: Any) -> None:
    """The regions that have it."""
    regions = {row["region"] for row in cloud.market if row["type"] == "8xb200"}
    missing = next((row["region"] for row in cloud.market if row["region"] not in regions), None)
    cloud.faults.add(kind="alter", path="/v2/spot/availability", times=None, body={"region": "us-east1-a"})
    code, _, err = run(cloud, "8xb200", "--region", missing or REGION)
    assert (code, err) == (2, f"error: 8xb200 is not on offer in {missing or REGION}: it is in us-east1-a\n")


def test_without_the_library_a_plot_says_what_to_install(
    moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked."""
    monkeypatch.setattr(market, "_has_plot_library", lambda: False)
    code, out, err = run(moving, "8xa100", "--region", REGION, "--plot", "price.png")
    assert (code, out, err) == (2, "", "error: a plot needs matplotlib: pip install 'flow-resources[plot]'\n")
    assert not moving.requests


# -- the details -------------------------------------------------------------------------------------------------------


def test_one_market_is_shown_with_its_past(moving: FakeMithril, run: Any) -> None:
    """The bids that would have held 50, 90 and 99 % of the last week."""
    code, out, err = run(moving, "8xa100", "--region", REGION)
    assert (code, err) == (0, "")
    assert f"8xa100 in {REGION}, the last 168 h:" in out
    rows = [line.split() for line in out.splitlines()[-3:]]
    assert [row[0] for row in rows] == ["50", "90", "99"]
    assert [float(row[3]) >= float(row[0]) for row in rows] == [True] * 3


def test_a_bid_and_a_budget_are_told_beside_the_advice(moving: FakeMithril, run: Any) -> None:
    """In JSON with all that the table has."""
    arguments = ("a100:8", "--region", REGION, "--hours", "24", "--bid", "$15", "--budget", "500", "--machines", "2")
    code, out, _ = run(moving, *arguments)
    assert code == 0
    assert f"8xa100 in {REGION}, the last 24 h:" in out
    assert "What $500.00 would have paid for, with 2 machines:" in out
    table = [line.split() for line in out.splitlines()[-4:]]
    document = json.loads(run(moving, *arguments, "--json")[1])
    assert (document["version"], document["service"], document["machines"]) == (1, moving.url, 2)
    bids = document["history"]["bids"]
    assert [one["share"] for one in bids] == [0.5, 0.9, 0.99, None]
    assert [f"${one['bid']:.2f}" for one in bids] == [
        next(cell for cell in row if cell.startswith("$")) for row in table
    ]
    assert table[-1][0] == "--bid"
    assert bids[-1]["bid"] == 15
    for one in bids:
        assert one["budget_running_hours"] == pytest.approx(250 / one["average_paid"], abs=0.1)
        assert one["budget_elapsed_hours"] >= one["budget_running_hours"]


def test_a_loss_is_marked_below_the_price(moving: FakeMithril) -> None:
    """Where the price was above the bid."""
    lines = list(detail_lines(details(bid=Decimal(15)), 12, is_ascii=False))
    assert lines[3:5] == ["▁▁▁▁▁▁██▂▂▂▂", "      xx"]
    assert lines[6] == "x: a bid of $15.00 would have lost its machines"


def test_a_price_that_never_moved_is_a_line() -> None:
    """And a bid above it loses nothing, which needs no sign, nor what the sign means."""
    lines = list(detail_lines(details(history=past(("12", 12)), bid=Decimal(15)), 12, is_ascii=False))
    assert lines[3:5] == ["▁" * 12, "a bid of $15.00 would have lost nothing"]
    assert not [line for line in lines if line.startswith("x:")]


def test_a_history_that_is_shorter_than_asked_for_says_so() -> None:
    """It is of the hours that are known."""
    assert next(detail_lines(details(hours=168), 80, is_ascii=False)) == (
        f"8xa100 in {REGION}, the last 168 h, of which 12.0 h are known:"
    )


def test_what_held_nearly_always_is_not_told_as_always() -> None:
    """A share is rounded down."""
    assert [show.percent(Decimal(one)) for one in ("0.9999", "1", "0", "0.0009")] == [
        "99.9 %", "100.0 %", "0.0 %", "0.0 %",
    ]  # fmt: skip


# -- the width and the encoding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 200])
def test_the_tables_fit_their_width_and_cut_nothing_but_names(width: int) -> None:
    """At 80 columns the long name is cut, at 200 it is whole; numbers never are."""
    prices = CurrentPrices.read({"minimum_price_cents": 123_456, "available_capacity": 1000, "total_capacity": 1000})
    row = Row(LONG, REGION, Decimal("1250.50"), prices)
    head, line, _, note = market_lines(Markets([row], ""), 1, width)
    assert len(head) <= width
    assert len(line) <= width
    assert len(note) <= 80
    assert line.split()[1:] == [REGION, "$1,250.50", "-", "$1,234.56", "-", "1000/1000"]
    assert (LONG.name in line) == (width == 200)
    assert ("…" in line) == (width == 80)
    lines = list(detail_lines(details(bid=Decimal(1000), budget=Decimal(10**8)), width, is_ascii=False))
    assert max(map(len, lines)) <= width
    assert len(lines[3]) == width


@pytest.mark.parametrize("width", [80, 200])
def test_it_is_as_wide_as_the_terminal(
    moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Without a terminal it is as wide as a log."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, run(moving, "8xa100", "--region", REGION)[1].splitlines())) == max(width, 80)
    monkeypatch.delenv("COLUMNS")
    printed = run(moving, "8xa100", "--region", REGION)[1]
    assert max(map(len, printed.splitlines())) == 120
    assert "\x1b" not in printed


def test_a_narrow_terminal_still_gets_lines() -> None:
    """They are cut by it, and nothing fails."""
    assert market_lines(Markets([Row(LONG, REGION, None)], ""), 1, 10)
    assert list(detail_lines(details(bid=Decimal(15)), 10, is_ascii=True))


def test_an_encoding_without_blocks_gets_ascii(moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sign that is printed is one of it."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert run(moving, "8xa100", "--region", REGION, "--bid", "15")[0] == 0
    out.flush()
    printed = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert "\\u" not in printed
    assert "@" in printed


def test_types_of_one_spelling_in_a_region_are_told_apart() -> None:
    """By the full name, and where that is the same, by the id."""
    types = [InstanceType(f"it_{index}", name, 8, "A100") for index, name in enumerate(["a.8x", "b.8x", "b.8x"])]
    rows = [Row(type_, REGION, Decimal(1)) for type_ in types]
    assert show.names_of(rows) == ["a.8x", "it_1", "it_2"]
    assert show.names_of([Row(type_, type_.id, Decimal(1)) for type_ in types]) == ["8xa100"] * 3
    with pytest.raises(read.UsageError, match="8xa100 means several instance types in us-central5-a: name one"):
        read.single_market(Markets(rows, ""), ["8xa100"], is_needed=True)


# -- the plot ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["price.svg", "price.png"])
def test_a_plot_of_the_same_prices_is_the_same_file(tmp_path: Path, name: str) -> None:
    """With a title, units, the bid and its losses."""
    pytest.importorskip("matplotlib")
    from flow_resources.cli.market import plot

    drawn = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        plot.draw(details(bid=Decimal(15)), tmp_path / folder / name)
        drawn.append((tmp_path / folder / name).read_bytes())
    assert drawn[0] == drawn[1]
    if name.endswith(".svg"):
        text = drawn[0].decode()
        for shown in ("8xa100 in us-central5-a", "USD per machine and hour", "time, UTC", "would have held 83.3 %"):
            assert shown in text
        assert "<dc:date>" not in text


def test_the_command_draws_what_it_shows(moving: FakeMithril, run: Any, tmp_path: Path) -> None:
    """And says where."""
    pytest.importorskip("matplotlib")
    code, out, err = run(moving, "8xa100", "--region", REGION, "--bid", "15", "--plot", "price.png")
    assert (code, err) == (0, "drawn: price.png\n")
    assert out
    assert (tmp_path / "price.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_without_a_history_is_an_error(
    moving: FakeMithril, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No file is written."""
    monkeypatch.setattr(market, "_has_plot_library", lambda: True)
    moving.faults.add(kind="alter", path="/v2/pricing/history", times=None, body={"series": []})
    code, _, err = run(moving, "8xa100", "--region", REGION, "--plot", "price.png")
    assert (code, err) == (2, "error: there is no price history to draw, and price.png was not written\n")
    assert not (tmp_path / "price.png").exists()
