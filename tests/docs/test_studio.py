"""The page that makes videos, in a real browser, through the gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.browser import PATIENCE_MS, Visit, chromium, open_page
from tests.documents.serving import EVERY_TASK
from tests.fakes.media_files import still
from tests.fakes.service import Service

PAGE = "/docs/assets/studio.html"
PICTURE = {"name": "a.png", "mimeType": "image/png", "buffer": still()}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(EVERY_TASK, tmp_path_factory.mktemp("studio")) as service:
        yield service


@pytest.fixture(scope="module")
def url(service: Service) -> str:
    return f"http://{service.target}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    with open_page(browser) as visit:
        visit.page.goto(f"{url}{PAGE}")
        yield visit


def fill(page: Page) -> None:
    page.locator("#image").set_input_files(files=[PICTURE])
    page.locator("#prompt").fill("A person walking forward naturally")


def test_picture_becomes_a_video_that_plays_and_can_be_saved(visit: Visit, url: str) -> None:
    page = visit.page
    fill(page)
    page.get_by_role("button", name="Make the video").click()

    page.locator("#film video").wait_for(timeout=PATIENCE_MS)
    page.wait_for_function("document.querySelector('#film video').readyState >= 2")
    with page.expect_download() as saving:
        page.locator("#download").click()

    content = Path(saving.value.path()).read_bytes()
    assert saving.value.suggested_filename.startswith("video_")
    assert content[4:8] == b"ftyp"
    assert "512p, 16 frames" in page.locator("#facts").inner_text()
    assert visit.foreign(url) == []
    assert visit.complaints == []


def test_gif_is_shown_as_a_picture(visit: Visit) -> None:
    fill(visit.page)
    visit.page.locator("#output_format").select_option("gif")
    visit.page.get_by_role("button", name="Make the video").click()

    visit.page.locator("#film img").wait_for(timeout=PATIENCE_MS)
    assert visit.complaints == []


def test_values_of_ones_own_are_sent_without_a_preset(visit: Visit) -> None:
    page = visit.page
    fill(page)
    page.locator("#preset").select_option("")
    page.locator("#num_frames").fill("12")
    with page.expect_request("**/v1/generate") as sending:
        page.get_by_role("button", name="Make the video").click()

    asked = sending.value.post_data_json
    page.locator("#film video").wait_for(timeout=PATIENCE_MS)
    assert (asked["num_frames"], asked["resolution"], "preset" in asked) == (12, "512p", False)


def test_refusal_is_told_in_its_own_words(visit: Visit) -> None:
    page = visit.page
    page.locator("#image").set_input_files(
        files=[{"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}]
    )
    page.locator("#prompt").fill("p")
    page.get_by_role("button", name="Make the video").click()

    expect(page.locator("#state.failed")).to_contain_text("image_base64", timeout=PATIENCE_MS)
    expect(page.locator("#start")).to_be_enabled()


def test_key_is_sent_as_a_bearer_token(visit: Visit) -> None:
    page = visit.page
    fill(page)
    page.locator("#key").fill("secret")
    with page.expect_request("**/v1/generate") as sending:
        page.get_by_role("button", name="Make the video").click()

    page.locator("#film video").wait_for(timeout=PATIENCE_MS)
    assert sending.value.headers["authorization"] == "Bearer secret"
