"""Take the pictures of the documentation: `python tools/screenshot.py`.

Both are the real thing in a real browser: the fake cloud's page over a story that seed 7 tells, and the front page of
the documentation site. Needs chromium on PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from flow_resources.testing import Clock, FakeMithril

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
START = 1_798_718_400.0  # 2026-12-31, noon
REGION = "us-central5-a"


def tell(mithril: FakeMithril) -> None:
    """Rent, lose, re-price, and lose an answer on the way."""
    data, models = (mithril.add_volume(name, size_gb=size) for name, size in (("training-data", 1000), ("models", 500)))
    volumes = [data["fid"], models["fid"]]
    mithril.clock.advance(minutes=30)
    lasting = "python train.py\nsystemctl enable flow-command.service\n"
    trainer = mithril.add_bid(
        "trainer", limit_price="$13.00", instance_quantity=4, volumes=volumes, startup_script=lasting
    )["fid"]
    mithril.add_bid("evaluation", instance_type="8xh100", limit_price="$45.00", instance_quantity=2)
    mithril.clock.advance(hours=4)
    mithril.update_bid(trainer, limit_price="$16.00")
    mithril.clock.advance(hours=1)
    mithril.add_bid("sweep", instance_type="8xh100", limit_price="$19.00", instance_quantity=8)
    mithril.add_bid("notebook", limit_price="$9.00")
    mithril.clock.advance(minutes=8)
    mithril.faults.add(method="POST", path="^/v2/spot/bids$", when="after", kind="reset")


@contextmanager
def site() -> Iterator[str]:
    """Build the documentation and serve it; yields the address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
        subprocess.run(command, cwd=ROOT, check=True)
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""


def shoot(browser: Browser, url: str, text: str, picture: Path) -> None:
    """Save what is seen once a text is there."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(url)
    page.get_by_text(text).first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=picture)


def main() -> int:
    """Tell the story, look at it and at the site, and save what is seen."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("screenshot: there is no chromium on PATH", file=sys.stderr)
        return 1
    with (
        FakeMithril(seed=7, clock=Clock(START, speed=0)) as mithril,
        site() as address,
        sync_playwright() as playwright,
    ):
        tell(mithril)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        shoot(browser, mithril.url, "project demo", IMAGES / "fake-cloud.png")
        shoot(browser, address, "A preview is free", IMAGES / "site.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
