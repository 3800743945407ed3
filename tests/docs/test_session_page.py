"""The page of a live session, in a real browser, with a connection that is made up."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from telefuser_grpc.server.rest.docs import FOLDER, HTML, POLICY, SCRIPT, STYLE
from tests.docs.browser import Visit, chromium, open_page
from tests.fakes.media_files import still

HOST = "http://session.test"
KINDS = {"html": HTML, "js": SCRIPT, "css": STYLE}
OFFER = "**/v1/stream/webrtc/offer"
ANSWER = {"session_id": "s-1", "sdp": "v=0 answer", "type": "answer"}

CONNECTION = """
  window.sent = [];
  class Channel extends EventTarget {
    readyState = "connecting";
    constructor(label) { super(); this.label = label; window.channel = this; }
    send(text) { window.sent.push(JSON.parse(text)); }
    open() { this.readyState = "open"; this.dispatchEvent(new Event("open")); }
    hear(message) {
      const data = JSON.stringify(message);
      this.dispatchEvent(new MessageEvent("message", { data }));
    }
    close() { this.readyState = "closed"; this.dispatchEvent(new Event("close")); }
  }
  class Connection extends EventTarget {
    iceGatheringState = "complete";
    connectionState = "new";
    kinds = [];
    constructor() { super(); window.connection = this; }
    createDataChannel(label) { return new Channel(label); }
    addTransceiver(kind) { this.kinds.push(kind); }
    async createOffer() { return { type: "offer", sdp: "v=0 offer" }; }
    async setLocalDescription(made) { this.localDescription = made; }
    async setRemoteDescription(made) { this.remoteDescription = made; window.channel.open(); }
    close() { this.isClosed = true; }
  }
  window.RTCPeerConnection = Connection;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    with open_page(browser) as visit:
        visit.page.route(f"{HOST}/docs/assets/*", send_asset)
        visit.page.route(OFFER, lambda route: route.fulfill(json=ANSWER))
        visit.page.add_init_script(CONNECTION)
        visit.page.goto(f"{HOST}/docs/assets/session.html")
        yield visit


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page


def send_asset(route: Route) -> None:
    """Sends a file as the service does."""
    name = route.request.url.rpartition("/")[2]
    headers = {"content-type": KINDS[name.rpartition(".")[2]], "content-security-policy": POLICY}
    route.fulfill(body=(FOLDER / name).read_bytes(), headers=headers)


def start(page: Page) -> Any:
    """Starts a session, and returns what was asked for."""
    with page.expect_request(OFFER) as sending:
        page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#state")).to_have_text("Connected")
    return sending.value.post_data_json


def tell(page: Page, **data: Any) -> None:
    """Lets the server say something."""
    message = {"type": "chunk", "session_id": "s-1", "index": 0, "data": data, "error": None}
    page.evaluate(f"channel.hear({json.dumps(message)})")


def controls(page: Page) -> list[list[str]]:
    """Returns all snapshots of keys that were sent."""
    sent = page.evaluate("sent")
    return [each["controls"] for each in sent if each["type"] == "control_state"]


def test_offer_says_what_was_filled_in(visit: Visit, page: Page) -> None:
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": still()}
    page.locator("#prompt").fill("a red circle")
    page.locator("#seed").fill("7")
    page.locator("#image").set_input_files(files=[picture])

    asked = start(page)

    assert asked.pop("image").startswith("data:image/png;base64,")
    assert asked == {
        "task": "world",
        "prompt": "a red circle",
        "config": {"seed": 7},
        "sdp": "v=0 offer",
        "type": "offer",
    }
    assert page.evaluate("[channel.label, connection.kinds]") == ["telefuser", ["video"]]
    assert page.evaluate("connection.remoteDescription") == {"type": "answer", "sdp": ANSWER["sdp"]}
    assert visit.foreign(HOST) == []
    assert visit.complaints == []


def test_sound_and_key_are_asked_for_where_wanted(page: Page) -> None:
    page.locator("#sound").check()
    page.locator("#key").fill("secret")

    with page.expect_request(OFFER) as sending:
        start(page)

    assert sending.value.headers["authorization"] == "Bearer secret"
    assert page.evaluate("connection.kinds") == ["video", "audio"]


def test_keys_are_sent_as_they_go_down_and_up(page: Page) -> None:
    start(page)

    page.keyboard.down("w")
    page.keyboard.down("w")  # repeats while it is held
    page.keyboard.down("ArrowLeft")
    expect(page.get_by_role("button", name="Forward")).to_have_attribute("aria-pressed", "true")
    page.keyboard.up("w")
    page.keyboard.up("ArrowLeft")

    assert controls(page) == [["w"], ["w", "j"], ["j"], []]


def test_buttons_are_held_by_mouse_and_by_keyboard(page: Page) -> None:
    start(page)
    button = page.get_by_role("button", name="Turn right")

    button.hover()
    page.mouse.down()
    page.mouse.move(0, 0)  # still held
    page.mouse.up()
    button.focus()
    page.keyboard.down("Space")
    page.keyboard.up("Space")

    assert controls(page) == [["l"], [], ["l"], []]


def test_window_that_loses_its_focus_lets_go(page: Page) -> None:
    start(page)
    page.keyboard.down("w")

    page.evaluate("window.dispatchEvent(new Event('blur'))")

    assert controls(page) == [["w"], []]


def test_typing_is_no_walking(page: Page) -> None:
    start(page)

    page.locator("#prompt").press_sequentially("wasd")

    assert controls(page) == []
    assert page.locator("#prompt").input_value() == "wasd"


def test_world_without_turns_shows_none_and_takes_arrows_as_moves(page: Page) -> None:
    start(page)
    tell(page, type="status", stage="runtime_ready", keys=["w", "s", "a", "d"])

    expect(page.locator("#turn")).to_be_hidden()
    page.keyboard.down("ArrowLeft")
    page.keyboard.down("j")

    assert controls(page) == [["a"]]


def test_progress_and_statuses_are_shown(page: Page) -> None:
    start(page)
    progress = {
        "generated_frames": 5,
        "target_frames": 20,
        "generated_duration_seconds": 1,
        "target_duration_seconds": 4,
    }
    tell(page, type="status", stage="generating_chunk")
    expect(page.locator("#state")).to_have_text("Making the next pictures")
    tell(page, type="status", stage="chunk_sent", stream_progress=progress)

    assert page.locator("#progress").evaluate("bar => bar.value") == 0.25
    expect(page.locator("#log li")).to_have_count(2)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"type": "error", "stage": "worker_failed", "error": "no memory"}, "no memory"),
        ({"type": "status", "stage": "control_ignored", "message": "no such key"}, "no such key"),
    ],
)
def test_failure_is_told_in_its_own_words(page: Page, data: dict[str, str], told: str) -> None:
    start(page)

    tell(page, **data)

    expect(page.locator("#state.failed")).to_have_text(told)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (409, {"detail": "Session creation conflict: one at a time"}, "conflict: one at a time"),
        (422, {"detail": [{"loc": ["body", "sdp"], "msg": "is missing"}]}, "sdp: is missing"),
        (502, {}, "HTTP 502"),
    ],
)
def test_refusal_is_told_and_one_may_try_again(
    page: Page, status: int, body: dict[str, Any], told: str
) -> None:
    page.route(OFFER, lambda route: route.fulfill(status=status, json=body))

    page.get_by_role("button", name="Start", exact=True).click()

    expect(page.locator("#state.failed")).to_contain_text(told)
    expect(page.locator("#start")).to_be_enabled()
    assert page.evaluate("connection.isClosed")


def test_stop_is_told_to_the_server_and_closes_all(page: Page) -> None:
    start(page)

    page.get_by_role("button", name="Stop").click()
    page.evaluate("channel.close()")

    assert page.evaluate("sent.at(-1)") == {"type": "stop"}
    assert page.evaluate("connection.isClosed")
    expect(page.locator("#state")).to_have_text("Stopped")
    expect(page.get_by_role("button", name="Forward")).to_be_disabled()
    expect(page.locator("#start")).to_be_enabled()


def test_end_by_the_server_is_told(page: Page) -> None:
    start(page)

    page.evaluate("channel.close()")

    expect(page.locator("#state")).to_have_text("The session has ended")
    expect(page.locator("#start")).to_be_enabled()


def test_end_of_the_output_is_told_and_the_picture_stays(page: Page) -> None:
    start(page)

    page.evaluate("channel.hear({ type: 'done', session_id: 's-1', total_chunks: 3 })")

    expect(page.locator("#state")).to_have_text("The session has made all it can: 3 chunks")
    expect(page.locator("#stop")).to_be_enabled()


def test_every_control_has_a_name_and_every_field_a_label(page: Page) -> None:
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, textarea, video, progress")]
           .filter((each) => !each.labels?.length && !each.ariaLabel && !each.textContent.trim())
           .map((each) => each.id)"""
    )

    assert nameless == []
