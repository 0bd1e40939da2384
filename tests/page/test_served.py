"""The served page in a real browser: nothing but loopback is asked, the key leaves the address, uploads arrive."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.page.fixture import as_text
from tests.serve.fake import KEY, FakeBackend, Running

from classtoken.errors import OptionError
from classtoken.page.document import Walkthrough
from classtoken.page.example import Example
from classtoken.serve.walkthrough import ServerLimits

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture(scope="module")
def server(backend: FakeBackend) -> Iterator[Running]:
    running = Running(backend, ServerLimits())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def page(chromium: Any, server: Running) -> Iterator[Any]:
    requests: list[str] = []
    problems: list[str] = []
    page = chromium.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{server.url}/#key={KEY}&step=3")
    page.wait_for_selector("h2#step-title")
    yield page
    page.close()
    assert problems == []  # a violated content security policy would be one
    assert [url for url in requests if not url.startswith((server.url + "/", "data:", "blob:"))] == []
    assert [url for url in requests if KEY in url] == []


def test_the_key_leaves_the_address_and_survives_a_reload(page: Any) -> None:
    assert "key" not in page.evaluate("location.hash")
    assert "step=3" in page.evaluate("location.hash")
    page.reload()
    page.wait_for_selector("h2#step-title")
    assert page.evaluate("document.cookie") == ""


def test_a_picture_is_sent_and_walked_through(page: Any, backend: FakeBackend) -> None:
    before = len(backend.seen)
    out = io.BytesIO()
    Image.new("RGB", (50, 40), "orange").save(out, "JPEG")
    page.get_by_role("button", name="+ Your own").click()
    page.set_input_files("input[type=file]", {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()})
    page.wait_for_selector("dialog[open]", state="detached")
    assert len(backend.seen) == before + 1
    received = backend.seen[-1]
    assert isinstance(received, bytes)
    assert Image.open(io.BytesIO(received)).size == (50, 40)
    assert page.locator(".inputs [aria-pressed=true]").count() == 1


def test_a_picture_can_be_pasted(page: Any, backend: FakeBackend) -> None:
    before = len(backend.seen)
    page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(20, 10);
            canvas.getContext('2d').fillRect(0, 0, 20, 10);
            const data = new DataTransfer();
            data.items.add(new File([await canvas.convertToBlob()], 'x.png', {type: 'image/png'}));
            window.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}));
        }"""
    )
    page.locator(".inputs button").nth(2).wait_for()  # a locator: the page's policy forbids evaluated strings
    page.wait_for_selector("dialog[open]", state="detached")
    assert len(backend.seen) == before + 1


def test_a_bad_file_is_refused_in_a_sentence(chromium: Any, server: Running) -> None:
    page = chromium.new_page()
    page.goto(f"{server.url}/#key={KEY}")
    page.wait_for_selector("h2#step-title")
    page.get_by_role("button", name="+ Your own").click()
    page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_selector("dialog [role=alert]")
    assert "one of the formats JPEG, PNG, WEBP" in page.locator("dialog [role=alert]").inner_text()
    page.close()


def test_without_the_key_it_says_what_to_do(chromium: Any, server: Running) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(server.url)
    page.locator("main.empty", has_text="everything after the #").wait_for()
    page.goto("about:blank")
    page.goto(f"{server.url}/#key=wrong")
    page.locator("main.empty", has_text="key is missing or wrong").wait_for()  # it says first that it is loading
    context.close()


def test_without_its_script_it_says_what_to_do(chromium: Any, server: Running) -> None:
    """The server stopped after the page's first answer: an empty window would stay."""
    page = chromium.new_page()
    page.route("**/app.js", lambda route: route.abort())
    page.goto(f"{server.url}/#key={KEY}")
    page.locator("#part", has_text="the server has stopped").wait_for(state="visible")
    assert "file" not in page.locator("#part").inner_text()
    page.close()
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    assert page.locator("body").inner_text() == "This page needs JavaScript."
    context.close()


def of_two_models(chromium: Any) -> tuple[Running, Any]:
    """A server of a model and of another one, and a tab that shows the first."""

    def other() -> tuple[Walkthrough, FakeBackend]:
        second = FakeBackend("second")
        return second.page, second

    running = Running(FakeBackend(), ServerLimits(), others={"second": other})
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{running.url}/#key={KEY}&step=5&layer=1")
    page.wait_for_selector("h2#step-title")
    return running, page


def test_another_model_can_be_chosen_and_linked(chromium: Any) -> None:
    running, page = of_two_models(chromium)
    chosen = page.get_by_label("Another model")
    assert chosen.input_value() == "fixture"
    assert "model=" not in page.evaluate("location.hash")
    chosen.select_option("second")
    page.wait_for_url(re.compile("model=second"))
    assert page.locator(".crumbs").inner_text().startswith("second")
    page.reload()
    page.wait_for_selector("h2#step-title")
    assert page.get_by_label("Another model").input_value() == "second"
    page.close()
    running.stop()


def test_a_link_to_another_model_leads_there_in_a_tab_that_shows_one(chromium: Any, png: bytes) -> None:
    """Its layer, its tokens and its parts taken away would be read as those of the model that is shown."""

    running, page = of_two_models(chromium)
    page.get_by_role("button", name="+ Your own").click()
    page.set_input_files("input[type=file]", {"name": "mine.png", "mimeType": "image/png", "buffer": png})
    page.wait_for_selector("dialog[open]", state="detached")
    page.evaluate("location.hash = '#step=7&layer=0&model=second'")
    page.locator(".crumbs", has_text="second").wait_for()
    page.locator(".inputs", has_text="mine.png").wait_for()  # one's own come along
    assert "step=7&layer=0" in page.evaluate("location.hash")
    page.evaluate("location.hash = '#step=4&layer=1'")  # of the model that the server was started with
    page.locator(".crumbs", has_text="fixture").wait_for()
    page.evaluate("location.hash = '#step=4&layer=1&model=third'")
    page.locator(".openingbar", has_text="a model that is not here, third").wait_for()
    assert page.locator(".crumbs").inner_text().startswith("fixture")
    page.close()
    running.stop()


def test_a_long_text_is_sent_whole_and_what_was_not_read_of_it_is_said(chromium: Any) -> None:
    """A field that stops taking letters would show the answer to another text than the one that was pasted."""

    class Reader(FakeBackend):
        modality = "text"

        def __init__(self) -> None:
            super().__init__()
            self.page = as_text(self.page)

        def add(self, content: bytes | str) -> Example:
            found = super().add(content)
            return replace(found, input=replace(found.input, unread="the text is longer than the model takes"))

    backend = Reader()
    running = Running(backend, ServerLimits())
    page = chromium.new_page()
    page.goto(f"{running.url}/#key={KEY}")
    page.wait_for_selector("h2#step-title")
    page.get_by_role("button", name="+ Your own").click()
    page.locator("textarea").fill("")
    page.locator("textarea").focus()
    page.keyboard.insert_text("word " * 1600)
    page.get_by_role("button", name="Walk through it").click()
    page.wait_for_selector("dialog[open]", state="detached")
    assert backend.seen == [("word " * 1600).strip()]
    assert page.locator(".left .unread").inner_text() == "The text is longer than the model takes."
    page.get_by_role("button", name="+ Your own").click()
    page.locator("textarea").focus()
    page.keyboard.insert_text("word " * 4000)
    page.get_by_role("button", name="Walk through it").click()
    page.locator("dialog [role=alert]", has_text="the text is larger than 20,000 bytes").wait_for()
    page.close()
    running.stop()


def test_an_experiment_that_was_refused_has_no_answer(chromium: Any) -> None:
    """The answers of before would stand there as those to what was taken away: by 0 points."""

    class Forgetful(FakeBackend):
        def what_if(self, example: str, change: dict[str, Any]) -> Any:
            raise OptionError("this input is not held any more")

    backend = Forgetful()
    backend.page = replace(backend.page, toy=None)  # the page cannot compute it itself
    running = Running(backend, ServerLimits())
    page = chromium.new_page()
    page.goto(f"{running.url}/#key={KEY}&step=10")
    page.wait_for_selector("h2#step-title")
    page.locator(".lab .bars").wait_for()
    page.evaluate("location.hash = '#step=10&without=3.4'")
    page.locator(".lab [role=alert]", has_text="not held any more").wait_for()
    assert page.locator(".lab .bars").count() == 0
    assert "points" not in page.locator(".lab").inner_text()
    page.get_by_role("button", name="Put all back").click()
    page.locator(".lab .bars").wait_for()
    page.close()
    running.stop()


def test_while_another_model_is_loaded_the_page_says_so_and_leads_back(chromium: Any) -> None:
    ready = Event()

    def other() -> tuple[Walkthrough, FakeBackend]:
        ready.wait(60)
        second = FakeBackend("second")
        return second.page, second

    running = Running(FakeBackend(), ServerLimits(), others={"second": other})
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{running.url}/#key={KEY}&step=5")
    page.wait_for_selector("h2#step-title")
    page.get_by_label("Another model").select_option("second")
    assert "Loading second" in page.locator(".openingbar").inner_text()
    assert page.get_by_label("Another model").is_disabled()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(".openingbar", state="detached")
    assert page.get_by_label("Another model").input_value() == "fixture"
    assert page.locator(".crumbs").inner_text().startswith("fixture")
    assert page.locator("header [role=alert]").count() == 0
    ready.set()
    page.get_by_label("Another model").select_option("second")
    page.wait_for_url(re.compile("model=second"))
    page.close()
    running.stop()


def test_why_two_inputs_are_alike_opens_in_a_tab_of_its_own(page: Any) -> None:
    page.get_by_role("button", name="Side by side").click()
    page.get_by_role("button", name="Make the report").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the report").click()
    report = opened.value
    heading = report.locator("h1")
    assert " and " in heading.inner_text()
    assert heading.evaluate("h => getComputedStyle(h).color") == "rgb(1, 2, 3)"  # its own style is let in


def picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(out, "PNG")
    return out.getvalue()


def opened(chromium: Any, running: Running, hash: str = "") -> Any:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{running.url}/#key={KEY}{hash}")
    page.wait_for_selector("h2#step-title")
    return page


def send(page: Any, *files: tuple[str, bytes]) -> None:
    page.get_by_role("button", name="+ Your own").click()
    page.set_input_files(
        "input[type=file]", [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
    )


def test_of_several_pictures_each_that_is_refused_is_named_and_the_others_are_shown(
    chromium: Any, server: Running
) -> None:
    page = opened(chromium, server)
    send(page, ("a.png", b"none"), ("b.png", picture("red")), ("c.png", b"none"), ("d.png", picture("blue")))
    page.wait_for_selector("dialog [role=alert]")
    said = page.locator("dialog [role=alert] p").all_inner_texts()
    assert [each.split(":")[0] for each in said] == ["a.png", "c.png"]
    assert page.locator(".inputs button").all_inner_texts()[-2:] == ["b.png", "d.png"]
    page.close()


def test_while_experiments_are_at_work_more_pictures_are_taken(chromium: Any) -> None:
    class Busy(FakeBackend):
        ready = Event()

        def experiments(self, example: str) -> Any:
            self.ready.wait(60)
            return super().experiments(example)

    running = Running(busy := Busy(), ServerLimits())
    page = opened(chromium, running)
    before = page.locator(".inputs button").count()
    send(page, *((f"{i}.png", picture("red")) for i in range(10)))  # a browser opens six connections to a server
    page.locator(".inputs button").nth(before + 9).wait_for()
    page.wait_for_selector("dialog[open]", state="detached")
    busy.ready.set()
    page.close()
    running.stop()


def test_a_click_after_a_stroke_over_the_picture_counts(chromium: Any, server: Running) -> None:
    page = opened(chromium, server, "&step=10")
    cells = page.locator(".panel.left .cells > div")
    boxes = [cells.nth(i).bounding_box() for i in range(6)]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    page.mouse.move(*middles[0])
    page.mouse.down()
    for place in middles[1:3]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    gone = page.locator(".panel.left .cells > .gone")
    assert gone.count() == 3
    page.mouse.click(*middles[5])
    assert gone.count() == 4
    page.close()


def test_an_address_of_an_input_that_is_gone_says_so_and_changes_no_other(chromium: Any, server: Running) -> None:
    page = opened(chromium, server)
    send(page, ("mine.png", picture("red")))
    page.wait_for_selector("dialog[open]", state="detached")
    page.locator("nav.steps button").nth(9).click()
    page.locator(".panel.left .cells > div").nth(2).click()
    page.wait_for_url(re.compile("without=.*input=yours-"))
    page.reload()
    page.wait_for_selector("h2#step-title")
    assert "Your own inputs are gone" in page.locator(".openingbar").inner_text()
    assert page.locator(".panel.left .cells > .gone").count() == 0
    page.locator(".inputs button").nth(1).click()
    page.wait_for_selector(".openingbar", state="detached")
    page.evaluate("location.hash = '#step=5&input=nobody&model=none'")
    page.locator(".openingbar", has_text="nobody").wait_for()
    page.reload()
    page.close()


def test_the_address_of_a_server_that_was_started_again_opens_in_the_same_tab(chromium: Any, server: Running) -> None:
    page = chromium.new_page()
    page.goto(f"{server.url}/#key=of-the-server-before")
    page.wait_for_selector("main.empty li")
    page.goto(f"{server.url}/#key={KEY}&step=4")
    page.wait_for_selector("h2#step-title")
    assert "key" not in page.evaluate("location.hash")
    page.evaluate(f"location.hash = '#key={KEY}&step=6'")
    page.wait_for_selector("main.step-6")
    assert "key" not in page.evaluate("location.hash")
    page.close()


def test_a_matrix_that_comes_late_is_not_shown_as_that_of_another_layer(chromium: Any) -> None:
    class Whole(FakeBackend):
        def attention(self, example: str, layer: int, head: int) -> Any:
            return np.eye(len(self.page.examples[0].tokens), dtype=np.float32)

    backend = Whole()
    bare = tuple(replace(example, matrices=None) for example in backend.page.examples)
    running = Running(backend, ServerLimits(), replace(backend.page, toy=None, examples=bare))
    page = opened(chromium, running, "&step=5&layer=0&head=0")
    held: list[Any] = []
    page.route("**/api/attention/**", lambda route: held.append(route))
    page.get_by_role("button", name="Load the whole matrix").click()
    while not held:
        page.wait_for_timeout(20)
    page.keyboard.press("l")
    with page.expect_response("**/api/attention/**"):
        held[0].continue_()
    page.wait_for_timeout(200)
    assert page.locator(".matrix canvas").count() == 0
    page.unroute("**/api/attention/**")
    page.get_by_role("button", name="Load the whole matrix").click()
    page.locator(".matrix canvas").wait_for()
    page.close()
    running.stop()


def test_when_the_server_is_gone_the_page_says_so_in_words(chromium: Any) -> None:
    running = Running(FakeBackend(), ServerLimits())
    page = opened(chromium, running)
    running.stop()
    send(page, ("a.png", picture("red")))
    page.wait_for_selector("dialog [role=alert]")
    assert "The server does not answer" in page.locator("dialog [role=alert]").inner_text()
    page.close()
