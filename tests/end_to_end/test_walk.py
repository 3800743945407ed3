"""A visitor walks through the embedded model, in a real browser, through the whole service."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.docs.browser import chromium, open_page
from tests.fakes.service import StreamService

WALK = Path("stream_moving_shapes")
MIDDLE = """() => {
  const video = document.querySelector("#video"), canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (!canvas.width) return null;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0, count = 0;
  for (let at = 0; at < data.length; at += 4)
    if (data[at] > 150 && data[at + 2] < 100) { sum += (at / 4) % canvas.width; count += 1; }
  return count ? sum / count / canvas.width : null;
}"""
"""Where the red of the picture is, from 0 at the left to 1 at the right."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamService]:
    folder = tmp_path_factory.mktemp("walk")
    with StreamService(WALK, folder, stun_servers="[]", host="127.0.0.1") as service:
        yield service


def test_circle_goes_where_the_key_says_and_the_session_ends_with_its_page(
    service: StreamService,
) -> None:
    with chromium() as browser, open_page(browser) as visit:
        page = visit.page
        page.goto(f"http://{service.target}/docs/assets/session.html")
        page.locator("#prompt").fill("a red circle on a navy background")
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator("#state")).to_have_text("Ready: hold a key to walk")
        start = _middle(page, "middle !== null")
        page.keyboard.down("d")
        _middle(page, f"middle > {start} + 0.12")
        page.keyboard.up("d")
        page.keyboard.down("a")
        _middle(page, f"middle < {start}")
        page.keyboard.up("a")
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.locator("#state")).to_have_text("Stopped")
        ended = service.log.wait_for("session ended")

    assert not visit.complaints
    assert not visit.foreign(f"http://{service.target}")
    assert (ended["cause"], ended["transport"]) == ("client", "webrtc")
    assert ended["chunks"] >= 2


def _middle(page: Page, condition: str) -> float:
    """Waits until the red of the picture is where it should be, and returns where that is."""
    handle = page.wait_for_function(
        f"() => {{ const middle = ({MIDDLE})(); return ({condition}) && [middle]; }}"
    )
    (middle,) = handle.json_value()
    return float(middle)
