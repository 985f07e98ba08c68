"""The page at `/` in a real browser: its contents, its buttons, and what updates must not disturb."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect, sync_playwright

from flow_resources.testing import Clock, FakeMithril

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_QUIET = ("no-first-run", "disable-background-networking", "disable-component-update", "disable-sync")
_ARGUMENTS = [f"--{name}" for name in ("no-sandbox", "disable-gpu", *_QUIET)]
_FASTER = "600\N{MULTIPLICATION SIGN}"
_PATIENCE = 60_000  # milliseconds: for what comes at once, on a machine that may be busy
_A100, _REGION = "it_Sg1nDx1I8NFep60J", "us-central5-a"

expect.set_options(timeout=_PATIENCE)
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH")


class Visit:
    """Somebody looking at the page, and everything that their browser did and complained about."""

    def __init__(self, context: BrowserContext, mithril: FakeMithril) -> None:
        self.mithril = mithril
        self.asked: list[str] = []
        self.verbs: list[tuple[str, Any]] = []
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.clock.install()
        self.page.on("request", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)

    def open(self) -> Page:
        """Load the page and wait until it has shown the cloud once."""
        self.page.goto(f"{self.mithril.url}/")
        expect(self.page.get_by_text("project demo")).to_be_visible()
        return self.page

    def cluster(self, name: str) -> Locator:
        """Return the row of a cluster."""
        title = self.page.get_by_role("button", name=name, exact=True)
        return self.page.get_by_role("listitem").filter(has=title)

    def press(self, name: str | re.Pattern[str]) -> tuple[str, Any]:
        """Press the button of that name, and return the verb that it posted, once it was answered."""
        with self.page.expect_response(lambda response: response.request.method == "POST"):
            self.page.get_by_role("button", name=name, exact=True).click()
        return self.verbs[-1]

    def hurry(self) -> None:
        """Let the second be over after which the page asks again."""
        self.page.clock.fast_forward(1000)

    def see_next_update(self) -> None:
        """Wait until the page has drawn an answer that it asked for after now."""
        for _ in range(2):
            with self.page.expect_response(_is_overview):
                self.hurry()

    def _note(self, request: Any) -> None:
        self.asked.append(request.url)
        if request.method == "POST":
            assert request.headers["content-type"] == "application/json"
            self.verbs.append((request.url.rpartition("/mithril-fake/")[2], json.loads(request.post_data)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file; it ends with them, since it runs an event loop in this thread."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS, timeout=2 * _PATIENCE)
        yield chromium
        chromium.close()


@pytest.fixture
def visits(browser: Browser, mithril: FakeMithril) -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the page in a browser window with the given options."""
    made: list[BrowserContext] = []

    def visit(**options: Any) -> Visit:
        made.append(browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, **options}))
        made[-1].set_default_timeout(_PATIENCE)
        return Visit(made[-1], mithril)

    yield visit
    for context in made:
        context.close()


@pytest.fixture
def visit(visits: Callable[..., Visit]) -> Iterator[Visit]:
    """Somebody looking, whose page must not fail on the way."""
    opened = visits()
    yield opened
    # Messages of the browser about error responses and lost connections are not errors of the page.
    assert [line for line in opened.complaints if not line.startswith("Failed to load resource")] == []


def _is_overview(response: Any) -> bool:
    return "/overview" in response.url


# --- what it shows ---------------------------------------------------------------------------------------------------


def test_it_shows_each_bid_and_the_state_of_each_machine(visit: Visit, mithril: FakeMithril) -> None:
    """Status, machines, price against limit; one that waits says why."""
    data = mithril.add_volume("training-data", size_gb=500)
    mithril.add_bid("trainer", instance_quantity=3, limit_price="$50.00", volumes=[data["fid"]])
    mithril.add_bid("cheap", limit_price="$2.00")
    mithril.boot_seconds = 60.0
    mithril.add_bid("late")
    page = visit.open()

    trainer = visit.cluster("trainer")
    expect(trainer).to_contain_text("Allocated")
    expect(trainer).to_contain_text("3 running")
    expect(trainer).to_contain_text("$12.00 of $50.00 limit")
    expect(trainer).to_contain_text("at most $150.00/h in all")
    expect(trainer).to_contain_text("training-data, 500 GB")
    expect(trainer.locator(".machine.running")).to_have_count(3)
    expect(visit.cluster("late").locator(".machine.new")).to_have_count(1)
    expect(visit.cluster("cheap")).to_contain_text("Open · the price is above its limit")
    expect(page.get_by_role("list", name="States of machines")).to_contain_text("running")
    expect(page.get_by_role("region", name="Volumes")).to_contain_text("used by trainer")


def test_it_shows_what_runs_on_each_machine(visit: Visit, mithril: FakeMithril) -> None:
    """The start-up script at the first boot; later what it has installed, or nothing; a machine that is off shows none.

    In the row where all machines agree, in the tooltip of a machine, and in the list of machines.
    """
    bare = mithril.add_bid("bare", instance_quantity=2, startup_script="python train.py")["fid"]
    lasting = mithril.add_bid("lasting", startup_script="systemctl enable ours.service")["fid"]
    page = visit.open()
    row = visit.cluster("bare")
    expect(row.locator(".works")).to_have_text("boot 1: start-up script")
    for fid in (bare, lasting):
        mithril.relocate(fid)
    expect(row.locator(".works")).to_have_text("boot 2: nothing runs")
    expect(visit.cluster("lasting").locator(".works")).to_have_text("boot 2: ours.service")
    row.locator(".machine").first.hover()
    expect(page.locator("#tip")).to_contain_text("boot 2: nothing runs")
    page.get_by_role("button", name="bare", exact=True).click()
    expect(row.locator(".machine-list .work")).to_have_text(["boot 2: nothing runs"] * 2)
    mithril.update_bid(bare, paused=True)
    visit.hurry()
    expect(row.locator(".works")).to_be_hidden()


def test_the_history_of_a_cluster_unfolds(visit: Visit, mithril: FakeMithril) -> None:
    """Newest first, with the machines and their addresses beside it."""
    fid = mithril.add_bid("trainer", limit_price="$50.00")["fid"]
    mithril.update_bid(fid, limit_price="$60.00")
    page = visit.open()
    page.get_by_role("button", name="trainer", exact=True).press("Enter")
    row = visit.cluster("trainer")
    expect(row.locator(".events li > span")).to_have_text(["Limit Price Changed $60.00", "Allocated", "Placed $50.00"])
    expect(row.locator(".machine-list li")).to_contain_text("198.18.0.1")


def test_the_chart_follows_what_a_bid_went_through(visit: Visit, mithril: FakeMithril, clock: Clock) -> None:
    """Solid while it holds machines, dashed while it waits, a step where the limit changed, a mark for each turn."""
    fid = mithril.add_bid("trainer", limit_price="$14.00")["fid"]
    for price in (15.0, 13.0):
        clock.advance(minutes=30)
        visit.mithril.set_price(_A100, _REGION, price)
    clock.advance(minutes=30)
    mithril.update_bid(fid, limit_price="$16.00")
    clock.advance(minutes=30)
    visit.open()
    line = visit.page.locator(f".bid[data-bid={fid}]")
    expect(line.locator(".Allocated")).to_have_count(2)
    expect(line.locator(".Preempted")).to_have_count(1)
    holding = re.findall(r"M\S+ (\S+)(?: V(\S+))? H", line.locator(".holding").get_attribute("d") or "")
    waiting = re.findall(r"M\S+ (\S+) H", line.locator(".waiting").get_attribute("d") or "")
    (first, _), (second, _), (before, after) = holding
    assert waiting == [first]
    assert first == second == before
    assert float(after) < float(before), "a higher limit is drawn higher up"


def test_pointing_at_a_chart_tells_time_and_price(visit: Visit, clock: Clock) -> None:
    """By pointer, and by arrow keys for those without one."""
    visit.mithril.set_price(_A100, _REGION, 9.5)
    clock.advance(hours=3)
    page = visit.open()
    chart = page.get_by_role("img", name=re.compile("Price of 8xa100 in us-central5-a from"))
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 90)
    tooltip = page.locator(".chart-tip")
    expect(tooltip).to_contain_text(re.compile(r"0[0-9]:\d\d:\d\d UTC.*\$12\.00"))
    page.mouse.move(0, 0)
    expect(tooltip).to_be_hidden()
    chart.press("ArrowLeft")
    expect(tooltip).to_contain_text("$9.50")


def test_requests_are_listed_with_what_became_of_them(visit: Visit, mithril: FakeMithril) -> None:
    """Newest first, with a mark on those that changed something."""
    headers = {"Authorization": f"Bearer {mithril.key}"}
    with httpx.Client(base_url=mithril.url, headers=headers, trust_env=False) as client:
        client.post("/v2/ssh-keys", json={"name": "mine", "project": mithril.project_id})
        client.get("/v2/spot/bids/bid_999999")
    page = visit.open()
    rows = page.get_by_role("list", name="Requests").get_by_role("listitem")
    expect(rows).to_have_text([re.compile("GET/v2/spot/bids/bid_999999.*404"), re.compile("POST/v2/ssh-keys.*201")])
    expect(rows.nth(0).get_by_role("img", name="changed something")).to_have_count(0)
    expect(rows.nth(1).get_by_role("img", name="changed something")).to_have_count(1)


def test_an_empty_cloud_says_what_to_do_next(visit: Visit) -> None:
    """With lines that a shell can take as they are."""
    page = visit.open()
    expect(page.get_by_text("No cluster has been asked for yet.")).to_be_visible()
    expect(page.locator("#exports")).to_contain_text(f"export MITHRIL_API_URL={visit.mithril.url}")
    expect(page.locator("#exports")).to_contain_text(f"export FLOW_DIR={visit.mithril.environment['FLOW_DIR']}")
    expect(page.get_by_text("Nobody has asked this cloud for anything yet.")).to_be_visible()


@pytest.mark.parametrize(
    ("key", "shown"), [("test-key", "test-key"), ("secret-key", "'<the key it was started with>'")]
)
def test_the_lines_for_a_shell_are_those_of_this_cloud(cloud, visit: Visit, key: str, shown: str) -> None:
    """With its region, and without a key that is not the default one."""
    there = cloud(key=key, region="eu-central1-a")
    page = visit.page
    page.goto(there.url)
    expect(page.locator("#exports")).to_contain_text("export MITHRIL_REGION=eu-central1-a")
    expect(page.locator("#exports")).to_contain_text(f"export MITHRIL_API_KEY={shown}")
    assert "secret-key" not in page.content()


def test_what_a_cluster_pays_is_never_more_than_its_limit(visit: Visit, mithril: FakeMithril) -> None:
    """As in the sum at the top, while it still holds machines under a price above it."""
    mithril.set_options(preemption_notice_seconds=300)
    mithril.add_bid("trainer", limit_price="$15.00", instance_quantity=2)
    mithril.set_price("8xa100", mithril.region, 40.0)
    visit.open()
    expect(visit.cluster("trainer")).to_contain_text("$30.00/h now")


# --- what happens by itself ------------------------------------------------------------------------------------------


def test_it_follows_what_happens_without_being_loaded_again(visit: Visit, mithril: FakeMithril) -> None:
    """A new bid appears, moves on, and ends."""
    page = visit.open()
    loaded = [url for url in visit.asked if url.endswith("/page.js")]
    fid = mithril.add_bid("trainer")["fid"]
    visit.hurry()
    expect(visit.cluster("trainer")).to_contain_text("Allocated")
    mithril.terminate(fid)
    visit.hurry()
    expect(page.locator("#clusters > li")).to_have_count(0)
    expect(page.get_by_text("1 ended")).to_be_visible()
    expect(page.get_by_text("No cluster has been asked for yet.")).to_be_visible()
    assert [url for url in visit.asked if url.endswith("/page.js")] == loaded


def test_updates_leave_alone_what_one_is_doing(visit: Visit, mithril: FakeMithril) -> None:
    """Typed text, focus, cursor, an unfolded row and scroll positions are as they were, on the very same elements."""
    mithril.add_bid("trainer")
    page = visit.open()
    page.get_by_role("button", name="trainer", exact=True).click()
    path = page.get_by_label("Path, a regular expression")
    path.fill("^/v2/volumes")
    price = page.get_by_label("Price of 8xa100 in us-central5-a", exact=True)
    price.press_sequentially("17.5")
    price.press("ArrowLeft")
    held = price.element_handle()
    page.set_viewport_size({"width": 1440, "height": 640})
    page.evaluate("scrollTo(0, 40)")
    mithril.add_bid("another")
    visit.hurry()
    expect(visit.cluster("another")).to_be_visible()
    visit.see_next_update()
    expect(price).to_be_focused()
    assert price.evaluate("(now, before) => now === before && now.selectionStart", held) == 3
    expect(price).to_have_value("17.5")
    expect(path).to_have_value("^/v2/volumes")
    expect(visit.cluster("trainer").locator(".events")).to_be_visible()
    assert page.evaluate("scrollY") == 40


def test_a_server_that_goes_is_missed_and_welcomed_back(visit: Visit, mithril: FakeMithril) -> None:
    """The page says so, keeps what it last saw, and goes on by itself."""
    mithril.add_bid("trainer")
    page = visit.open()
    visit.mithril.stop()
    visit.hurry()
    gone = page.get_by_role("alert").filter(has_text="The fake cannot be reached.")
    expect(gone).to_be_visible()
    expect(visit.cluster("trainer")).to_contain_text("Allocated")
    mithril.add_bid("another")
    visit.mithril.start()
    visit.hurry()
    expect(gone).to_be_hidden()
    expect(visit.cluster("another")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("The fake answers again.")


# --- what its buttons do ---------------------------------------------------------------------------------------------


def test_the_buttons_of_a_cluster(visit: Visit, mithril: FakeMithril) -> None:
    """Each posts its verb about this bid, and shows at once what came of it."""
    fid = mithril.add_bid("trainer")["fid"]
    page = visit.open()
    page.clock.pause_at("2100-01-01")  # nothing is shown any more because a second was over
    row = visit.cluster("trainer")
    assert visit.press("Fail boot trainer") == ("fail-boot", {"bid_id": fid})
    expect(row).to_contain_text("1 failed")
    assert visit.press("Preempt trainer") == ("preempt", {"bid_id": fid, "notice_seconds": None})
    expect(row).to_contain_text("Open · preempted by hand, until released")
    assert visit.press("Release trainer") == ("release", {"bid_id": fid})
    expect(row).to_contain_text("1 running")
    page.get_by_role("button", name="trainer", exact=True).click()
    row.get_by_label("Notice, seconds").fill("90")
    assert visit.press("Preempt with notice") == ("preempt", {"bid_id": fid, "notice_seconds": 90})
    expect(row).to_contain_text("Preempting")
    expect(row.locator(".machine.leaving").first).to_be_visible()
    assert visit.press("Terminate trainer") == ("terminate", {"bid_id": fid})
    expect(page.get_by_role("heading", name="Clusters")).to_be_focused()
    expect(page.get_by_text("1 ended")).to_be_visible()
    assert mithril.bid(fid)["status"] == "Terminated"


def test_a_double_click_is_one_click(visit: Visit, mithril: FakeMithril) -> None:
    """Its second half would find the button turned into its own opposite."""
    fid = mithril.add_bid("trainer")["fid"]
    page = visit.open()
    visit.press("Preempt trainer")
    page.get_by_role("button", name="Release trainer").dispatch_event("click", {"detail": 2})
    visit.see_next_update()
    assert visit.verbs == [("preempt", {"bid_id": fid, "notice_seconds": None})]


def test_a_price_and_a_capacity_are_set_and_the_price_given_back(visit: Visit, mithril: FakeMithril) -> None:
    """In USD per machine and hour; null gives the place back to its own path."""
    mithril.add_bid("trainer", limit_price="$20.00")
    page = visit.open()
    card = page.get_by_role("article", name="8xa100 in us-central5-a")
    place = {"instance_type": _A100, "region": _REGION}
    card.get_by_label("Price of 8xa100 in us-central5-a", exact=True).fill("$25.5")
    assert visit.press("Set Price of 8xa100 in us-central5-a") == ("set-price", {**place, "price": 25.5})
    expect(card).to_contain_text("set by hand")
    expect(card.locator(".card-head .big")).to_have_text("$25.50")
    expect(visit.cluster("trainer")).to_contain_text("the price is above its limit")
    given = visit.press("Give the price of 8xa100 in us-central5-a back to the market")
    assert given == ("set-price", {**place, "price": None})
    expect(visit.cluster("trainer")).to_contain_text("Allocated")
    card.get_by_label("Machines of 8xa100 in us-central5-a", exact=True).fill("3")
    set_ = visit.press("Set Machines of 8xa100 in us-central5-a")
    assert set_ == ("set-capacity", {**place, "machines": 3})
    expect(card).to_contain_text("2 of 3 free")


def test_the_clock_is_moved_and_set(visit: Visit, mithril: FakeMithril, clock: Clock) -> None:
    """By a minute, five, an hour, to the next auction; stopped or faster than real."""
    mithril.set_options(auction_seconds=120)
    page = visit.open()
    start = clock.now()
    assert visit.press("+1 min") == ("advance", {"seconds": 60})
    assert visit.press("+5 min") == ("advance", {"seconds": 300})
    assert visit.press("+1 h") == ("advance", {"seconds": 3600})
    assert clock.now() == start + 3960
    expect(page.locator("#time")).to_have_text("09:06:00")
    expect(page.locator("#auction")).to_have_text("every 2 min, next in 2:00")
    assert visit.press("To next auction") == ("advance", {"seconds": 120})
    assert visit.press("Hold auction") == ("hold-auction", {})
    with page.expect_response(lambda response: response.request.method == "POST"):
        page.get_by_role("radio", name=_FASTER, exact=True).check(force=True)
    assert visit.verbs[-1] == ("set-clock", {"speed": 600})
    expect(page.get_by_role("radio", name=_FASTER, exact=True)).to_be_checked()


def test_a_speed_just_picked_is_not_taken_back_by_an_older_answer(visit: Visit) -> None:
    """Updates before the response still have the old speed."""
    page = visit.open()
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    page.route("**/set-clock", hold)
    faster = page.get_by_role("radio", name=_FASTER, exact=True)
    faster.check(force=True)
    visit.see_next_update()
    expect(faster).to_be_checked()
    waiting[0].fulfill(status=400, json={"detail": "this clock cannot be set"})
    expect(page.get_by_role("radio", name="Stopped")).to_be_checked()
    expect(page.get_by_text("this clock cannot be set")).to_be_visible()


def test_faults_are_described_added_counted_and_cleared(visit: Visit, mithril: FakeMithril) -> None:
    """A preset fills the form, the form says in words what it will do."""
    page = visit.open()
    page.get_by_role("button", name="429 once").click()
    expect(page.locator("#fault-sentence")).to_have_text("The next request is answered 429.")
    page.get_by_label("Method").select_option("GET")
    page.get_by_label("Path, a regular expression").fill("^/v2/me$")
    verb, rule = visit.press("Add fault")
    assert verb == "add-fault"
    which = {"method": "GET", "path": "^/v2/me$", "nth": 1, "times": 1, "rate": None}
    assert rule == {"kind": "status", "when": "before", "status": 429, "seconds": None, **which}
    listed = page.locator("#faults li")
    expect(listed).to_contain_text("The next GET to ^/v2/me$ is answered 429.")
    assert httpx.get(f"{mithril.url}/v2/me", trust_env=False).status_code == 429
    visit.hurry()
    expect(listed).to_contain_text("Struck 1 of 1 matching request, and is over")
    assert visit.press("Clear all") == ("clear-faults", {})
    expect(page.get_by_text("Every request is answered properly.")).to_be_visible()


def test_a_refusal_stands_beside_what_was_refused(visit: Visit) -> None:
    """In the server's own words, and only there; the fields that it names are marked, what was typed stays."""
    page = visit.open()
    card = page.get_by_role("article", name="8xa100 in us-central5-a")
    price = card.get_by_label("Price of 8xa100 in us-central5-a", exact=True)
    price.fill("-3")
    price.press("Enter")
    expect(card.get_by_role("alert")).to_contain_text("price must be at least a cent, got -3")
    expect(price).to_have_value("-3")
    detail = [{"loc": ["body", "nth"], "msg": "must be at least 1", "type": "value_error"}]
    page.route("**/add-fault", lambda route: _refuse(route, detail))
    page.get_by_label("From the nth request on").fill("0")
    page.get_by_role("button", name="Add fault").click()
    expect(page.locator("#fault-refusal")).to_have_text("nth: must be at least 1")
    expect(page.get_by_label("From the nth request on")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".refusal:not(:empty)")).to_have_count(2)


def test_what_is_not_a_number_is_left_to_the_server_to_refuse(visit: Visit) -> None:
    """It must not pass for null, which would give the place back."""
    page = visit.open()
    page.get_by_label("Price of 8xa100 in us-central5-a", exact=True).fill("ten")
    assert visit.press("Set Price of 8xa100 in us-central5-a")[1]["price"] == "ten"


def test_markets_are_found_added_and_kept(visit: Visit) -> None:
    """The picker searches by word; what is shown survives a reload."""
    page = visit.open()
    page.get_by_role("button", name="Choose markets").click()
    page.get_by_label("Search markets").fill("H100 eu-central1-b")
    boxes = page.get_by_role("list", name="Markets").get_by_role("checkbox")
    expect(boxes).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    added = page.get_by_role("article", name="8xh100 in eu-central1-b")
    expect(added).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Search markets")).to_be_hidden()
    page.get_by_role("button", name="Do not show 8xa100 in us-central5-a").click()
    page.reload()
    expect(added).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(1)
    page.get_by_role("button", name="Follow the clusters").click()
    expect(page.get_by_role("article", name="8xa100 in us-central5-a")).to_be_visible()


def test_it_draws_what_policies_would_bid(visit: Visit, mithril: FakeMithril) -> None:
    """With what each would have held, for a day or a week, and what so many machines cost; only when it is opened."""
    mithril.set_price("8xa100", _REGION, 10.0)
    page = visit.open()
    card = page.get_by_role("article", name="8xa100 in us-central5-a")
    lines = card.locator(".policy-lines path")
    expect(lines).to_have_count(0)
    card.get_by_role("button", name="What to bid for 8xa100 in us-central5-a").click()
    row = card.get_by_role("row").filter(has_text="workload 10 %")
    expect(row).to_contain_text("$11.00")
    expect(lines).to_have_count(6)
    card.get_by_label("Machines to bid for").fill("4")
    card.get_by_label("Machines to bid for").press("Enter")
    expect(row).to_contain_text("$44.00/h")
    with page.expect_response(lambda response: "hours=168" in response.url):
        card.get_by_role("radio", name="7 d").check(force=True)
    card.get_by_label("Machines to bid for").fill("many")
    card.get_by_label("Machines to bid for").press("Enter")
    expect(card.get_by_role("alert").last).to_contain_text("machines: Input should be a valid integer")
    card.get_by_role("button", name="What to bid for 8xa100 in us-central5-a").click()
    expect(lines).to_have_count(0)


def test_an_address_that_names_no_market_of_this_cloud_does_no_harm(visit: Visit) -> None:
    """The link is of another fake or version: the page shows the default selection of the server."""
    visit.page.goto(f"{visit.mithril.url}/#place=it_gone:nowhere&hours=6")
    expect(visit.page.get_by_role("article", name="8xa100 in us-central5-a")).to_be_visible()
    expect(visit.page.get_by_role("alert").filter(has_text="no market")).to_be_hidden()


def test_starting_over_asks_first(visit: Visit, mithril: FakeMithril) -> None:
    """One press does nothing yet."""
    mithril.add_bid("trainer")
    page = visit.open()
    page.get_by_role("button", name="Start over").click()
    assert visit.verbs == []
    assert visit.press("Forget everything?") == ("reset", {})
    expect(page.get_by_text("No cluster has been asked for yet.")).to_be_visible()


# --- what must never happen ------------------------------------------------------------------------------------------


def test_a_hostile_name_stays_text(visit: Visit, mithril: FakeMithril) -> None:
    """In the row, in the chart, in tooltips and in labels."""
    name = "<img src=x onerror='window.hit=1'>"
    mithril.add_bid(name)
    page = visit.open()
    expect(visit.cluster(name)).to_contain_text("1 running")
    visit.cluster(name).locator(".machine").hover()
    expect(page.locator("#tip")).to_contain_text(name)
    page.locator(".chart .Allocated").hover()
    expect(page.locator("#tip")).to_contain_text(name)
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hit") is None


def test_nothing_leaves_loopback_and_the_console_stays_clean(
    visits: Callable[..., Visit], mithril: FakeMithril
) -> None:
    """Over a walk through the whole page."""
    mithril.add_bid("trainer")
    visit = visits()
    page = visit.open()
    page.get_by_role("button", name="trainer", exact=True).click()
    page.get_by_role("button", name="Choose markets").click()
    page.locator(".chart svg").hover()
    for name in ("Preempt trainer", "Release trainer", "Add fault", "Clear all", "+1 min"):
        visit.press(name)
    visit.see_next_update()
    assert {httpx.URL(url).netloc for url in visit.asked} == {httpx.URL(visit.mithril.url).netloc}
    assert visit.complaints == []


_CONTRAST = """(nodes) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const linear = (one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.map((one) => linear(one / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const own = (node) => [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
  return nodes.filter((node) => own(node) && node.checkVisibility()).map((node) => {
    const style = getComputedStyle(node);
    const colour = rgba(node.closest("svg") ? style.fill : style.color);
    const [light, dark] = [luminance(colour), luminance(ground(node))].sort((a, b) => b - a);
    return [(light + 0.05) / (dark + 0.05), node.textContent.slice(0, 40)];
  });
}"""


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_every_text_is_legible_in_light_and_in_dark(
    visits: Callable[..., Visit], mithril: FakeMithril, scheme: str, dark: bool
) -> None:
    """WCAG's 4.5 to 1 for all of it, chart and refusals too; only what is switched off may be fainter."""
    mithril.add_bid("trainer")
    mithril.add_bid("cheap", limit_price="$2.00")
    mithril.terminate(mithril.add_bid("old")["fid"])
    mithril.faults.add(path="^/v2/never$")
    visit = visits(color_scheme=scheme)
    page = visit.open()
    page.get_by_role("button", name="trainer", exact=True).click()
    page.get_by_text("1 ended").click()
    page.get_by_label("Price of 8xa100 in us-central5-a", exact=True).fill("-3")
    visit.press("Set Price of 8xa100 in us-central5-a")
    page.get_by_role("button", name="Choose markets").click()
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 60) is dark
    measured = page.locator("body :not(:disabled, option)").evaluate_all(_CONTRAST)
    assert len(measured) > 100
    assert [(round(ratio, 2), text) for ratio, text in measured if ratio < 4.5] == []


def test_every_control_has_a_name(visit: Visit, mithril: FakeMithril) -> None:
    """For users who do not see its position."""
    mithril.add_bid("trainer")
    page = visit.open()
    page.get_by_role("button", name="trainer", exact=True).click()
    page.get_by_role("button", name="Choose markets").click()
    expect(page.get_by_role("checkbox")).to_have_count(64)
    nameless = """(nodes) => nodes.filter((node) => ![node.ariaLabel, node.textContent, ...[...node.labels ?? []]
        .map((label) => label.textContent)].some((text) => text?.trim())).map((node) => node.outerHTML)"""
    assert page.locator("button, input").evaluate_all(nameless) == []
    assert page.locator("select").evaluate_all("(nodes) => nodes.filter((node) => !node.labels.length).length") == 0


@pytest.mark.parametrize("width", [1440, 800])
def test_it_fits_the_width_of_the_window(visits: Callable[..., Visit], mithril: FakeMithril, width: int) -> None:
    """Nothing has to be scrolled sideways, with long names and many machines."""
    mithril.add_bid("a-name-that-somebody-made-as-long-as-names-may-be-without-any-thought", instance_quantity=64)
    visit = visits(viewport={"width": width, "height": 900})
    page = visit.open()
    expect(page.locator(".machine.running")).to_have_count(65)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def _refuse(route: Route, detail: Any) -> None:
    route.fulfill(status=422, content_type="application/json", body=json.dumps({"detail": detail}))
