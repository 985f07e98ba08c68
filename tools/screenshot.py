"""Take the picture of the fake cloud's page that the documentation shows: `python tools/screenshot.py`.

It is the real page, in a real browser, over a story that seed 7 tells. Needs chromium on PATH.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from flow_resources.testing import Clock, FakeMithril

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "fake-cloud.png"
START = 1_798_718_400.0  # 2026-12-31, noon
REGION = "us-central5-a"


def tell(mithril: FakeMithril) -> None:
    """Rent, lose, re-price, and lose an answer on the way."""
    data, models = (mithril.add_volume(name, size_gb=size) for name, size in (("training-data", 1000), ("models", 500)))
    volumes = [data["fid"], models["fid"]]
    mithril.clock.advance(minutes=30)
    trainer = mithril.add_bid("trainer", limit_price="$13.00", instance_quantity=4, volumes=volumes)["fid"]
    mithril.add_bid("evaluation", instance_type="8xh100", limit_price="$45.00", instance_quantity=2)
    mithril.clock.advance(hours=4)
    mithril.update_bid(trainer, limit_price="$16.00")
    mithril.clock.advance(hours=1)
    mithril.add_bid("sweep", instance_type="8xh100", limit_price="$19.00", instance_quantity=8)
    mithril.add_bid("notebook", limit_price="$9.00")
    mithril.clock.advance(minutes=8)
    mithril.faults.add(method="POST", path="^/v2/spot/bids$", when="after", kind="reset")


def main() -> int:
    """Tell the story, look at it, and save what is seen."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("screenshot: there is no chromium on PATH", file=sys.stderr)
        return 1
    with FakeMithril(seed=7, clock=Clock(START, speed=0)) as mithril, sync_playwright() as playwright:
        tell(mithril)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(mithril.url)
        page.get_by_text("project demo").wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURE)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
