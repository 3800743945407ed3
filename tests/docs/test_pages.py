"""The pages of the documentation in a real browser, through the gateway."""

import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.docs.browser import PATIENCE_MS, Visit, chromium, open_page
from tests.fakes.service import Service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    with open_page(browser) as visit:
        yield visit


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.http() as http:
        yield http


def test_task_is_created_from_the_docs(visit: Visit, url: str, http: httpx.Client) -> None:
    page = visit.page
    page.goto(f"{url}/docs")
    operation = page.locator("#operations-Tasks-createTask")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea.body-param__text").fill('{"prompt": "a red ball"}')
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer.locator(".response-col_status")).to_contain_text("200", timeout=PATIENCE_MS)
    body = json.loads(answer.locator("pre.microlight, .highlight-code code").first.inner_text())

    status = http.get(f"/v1/tasks/{body['task_id']}/status").json()

    assert page.title() == "TeleFuser gRPC"
    assert status["prompt"] == "a red ball"
    assert visit.foreign(url) == []
    assert visit.complaints == []


def test_docs_show_every_operation(visit: Visit, url: str, http: httpx.Client) -> None:
    visit.page.goto(f"{url}/docs")
    visit.page.locator(".opblock").first.wait_for()

    shown = visit.page.locator(".opblock").count()

    paths = http.get("/openapi.json").json()["paths"]
    assert shown == sum(len(verbs) for verbs in paths.values())


def test_docs_are_dark_where_the_system_is(visit: Visit, url: str) -> None:
    def background() -> str:
        return visit.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    visit.page.emulate_media(color_scheme="light")
    visit.page.goto(f"{url}/docs")
    visit.page.locator(".opblock").first.wait_for()
    light = background()
    visit.page.emulate_media(color_scheme="dark")

    expect(visit.page.locator("html.dark-mode")).to_have_count(1)
    assert background() != light


def test_redoc_shows_every_operation(visit: Visit, url: str, http: httpx.Client) -> None:
    page = visit.page
    page.goto(f"{url}/redoc")
    page.locator("h2", has_text="List tasks").wait_for()
    document = http.get("/openapi.json").json()

    text = page.locator("#redoc").inner_text()

    summaries = {each["summary"] for verbs in document["paths"].values() for each in verbs.values()}
    assert [each for each in summaries if each not in text] == []
    assert page.title() == document["info"]["title"]
    assert visit.foreign(url) == []
    assert visit.complaints == []


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/docs/assets/redoc.js"])
def test_known_page_is_304_without_a_body(http: httpx.Client, path: str) -> None:
    first = http.get(path)

    again = http.get(path, headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again.headers["etag"].removeprefix("W/") == first.headers["etag"].removeprefix("W/")
    assert first.headers["content-security-policy"].startswith("default-src 'none'")


def test_unknown_asset_is_not_found(http: httpx.Client) -> None:
    answer = http.get("/docs/assets/none.js")

    assert (answer.status_code, answer.json()) == (404, {"detail": "File not found"})
