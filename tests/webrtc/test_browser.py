"""A real browser sees moving pictures and talks over the channel."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from telefuser_grpc.domain.session import Chunk
from telefuser_grpc.webrtc.negotiator import Negotiator
from telefuser_grpc.webrtc.options import Codec, WebRtcOptions
from tests.webrtc.dialling import BIDIRECTIONAL
from tests.webrtc.pictures import grey

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
SCRIPT = Path(__file__).with_name("page.js").read_text()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    executable = shutil.which("chromium")
    assert executable, "install Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page = await browser.new_page()
        await page.add_script_tag(content=SCRIPT)
        yield page
        await browser.close()


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_browser_sees_what_is_sent_and_is_heard(page: Page, codec: Codec) -> None:
    offer = await page.evaluate("window.offer()")
    peer, answer = await Negotiator(WebRtcOptions(codec=codec)).connect(
        offer, session_id="s", mode=BIDIRECTIONAL, fps=16
    )
    try:
        await page.evaluate("sdp => window.accept(sdp)", answer)
        await peer.opened()

        await page.evaluate('window.channel.send(\'{"type": "control", "key": "w"}\')')
        heard = await peer.receive()
        for index, shade in enumerate((60, 120, 200)):
            pictures = (grey(shade, width=320, height=180),) * 8
            await peer.send(Chunk(index=index, pictures=pictures, data={"index": index}))
            await page.wait_for_function(f"Math.abs(window.shade() - {shade}) < 8")
        await peer.finish(3, None)
        await page.wait_for_function("window.heard.length === 4")
        told = await page.evaluate("window.heard")
        facts = await page.evaluate("window.facts()")
        await page.evaluate('window.channel.send(\'{"type": "stop"}\')')
        last = await peer.receive()
    finally:
        await peer.close()

    assert ".local" in offer
    assert heard == {"type": "control", "key": "w"}
    assert [each["type"] for each in told] == ["chunk", "chunk", "chunk", "done"]
    assert [each["data"] for each in told[:3]] == [{"index": 0}, {"index": 1}, {"index": 2}]
    assert facts["decoded"] >= 16
    assert (facts["lost"], facts["width"]) == (0, 320)
    assert last is None
