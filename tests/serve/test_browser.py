"""The page in a real browser: headless Chromium with its fake camera, by Playwright."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import SinkError
from stream.inference.segmenter import Segmenter
from stream.settings.options import CameraOptions, InputOptions
from stream.settings.serve_options import ServeOptions
from tests import tiny_models
from tests.live.helpers import Scene
from tests.run.parts import until as wait_until
from tests.serve.served import TOKEN, plan_of, served
from tests.sources.serving import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SOURCE = InputOptions(camera=CameraOptions(size=(320, 240), fps=30))
WAIT = 240_000
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
]

# The picture of a source as it is on the screen: width, height, RGBA by a canvas in Base64.
GRAB = """(key) => {
  const tile = document.querySelectorAll('.tile')[key];
  const picture = tile?.querySelector('img') ?? tile?.querySelector('video');
  if (!picture) return null;
  const width = picture.videoWidth || picture.naturalWidth;
  const height = picture.videoHeight || picture.naturalHeight;
  if (!width) return null;
  const canvas = new OffscreenCanvas(width, height), pen = canvas.getContext('2d');
  pen.drawImage(picture, 0, 0);
  const data = pen.getImageData(0, 0, width, height).data;
  let text = '';
  for (let at = 0; at < data.length; at += 8192)
    text += String.fromCharCode(...data.subarray(at, at + 8192));
  return [width, height, btoa(text)];
}"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tiny_models.bright(tmp_path_factory.mktemp("model") / "bright.onnx")
    return Segmenter.load(path, provider="cpu", threads=1)


@pytest.fixture(scope="module")
def keen(tmp_path_factory):
    """A model that marks what is less bright too, such as the fake camera's circle."""
    path = tiny_models.bright(tmp_path_factory.mktemp("keen") / "bright.onnx", 140)
    return Segmenter.load(path, provider="cpu", threads=1)


@pytest.fixture(scope="module")
def launch():
    """Starts browsers, with further flags."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS, *flags]
        )


def patient(route):
    """However busy the machine is, a page waits for WebRTC."""
    hurried = route.fetch()
    text = hurried.text().replace("const PATIENCE = 8000;", "const PATIENCE = 300000;")
    assert text != hurried.text()
    route.fulfill(response=hurried, body=text)


@contextmanager
def opened(url, chromium, *, errors_allowed=False, **context):
    """A page; what its console says of errors is an error here, unless a server may be away."""
    usual = {"viewport": {"width": 1280, "height": 760}, "permissions": ["camera"]}
    place = chromium.new_context(**(usual | context), ignore_https_errors=True)
    page = place.new_page()
    page.set_default_timeout(WAIT)
    errors: list[str] = []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/tile.js", patient)
    page.goto(url)
    yield page
    place.close()
    assert errors_allowed or not errors


def pixels(page, place=0) -> np.ndarray:
    for _ in range(600):
        found = page.evaluate(GRAB, place)
        if found is not None:
            width, height, data = found
            flat = np.frombuffer(base64.b64decode(data), np.uint8)
            return flat.reshape(height, width, 4)[..., :3]
        page.wait_for_timeout(100)
    raise AssertionError("no picture came")


def moving(page, place=0) -> list[np.ndarray]:
    """Pictures of a source that moves, some while apart."""
    found = [pixels(page, place)]
    for _ in range(1000):
        page.wait_for_timeout(50)
        now = pixels(page, place)
        if np.abs(now.astype(int) - found[-1]).max() > 60:
            found.append(now)
        if len(found) == 4:
            return found
    raise AssertionError("it stands still")


def text(page, key) -> str:
    return page.locator(f"#{key}").inner_text()


def until(page, condition, arg=None):
    page.wait_for_function(condition, arg=arg)


@pytest.fixture(scope="module")
def chromium(launch):
    found = launch()
    yield found
    found.close()


@pytest.fixture
def page(model, chromium):
    with served([plan_of(source=SOURCE)], model) as site, opened(site.url, chromium) as found:
        found.site = site
        yield found


def is_marked(picture: np.ndarray) -> bool:
    """Whether the pattern's white bar is tinted by the colour of the first object, a blue."""
    red, green, blue = np.moveaxis(picture[20:-20].astype(int), -1, 0)
    return bool(((red > 80) & (blue - red > 50) & (green > 130)).mean() > 0.01)


def test_the_pattern_comes_moving_and_processed_by_webrtc(page):
    pictures = moving(page)
    assert all(one.shape == (240, 320, 3) for one in pictures)
    assert all(is_marked(one) for one in pictures)
    until(page, "() => +document.getElementById('fps').textContent > 0")
    until(page, "() => +document.getElementById('latency').textContent > 0")
    assert page.locator(".tile img").count() == 0
    assert page.locator("#objects li").count() >= 1
    assert page.locator("#objects .dot").first.get_attribute("style") == (
        "background: rgb(0, 153, 255);"
    )
    assert "infer" in text(page, "legend")


def test_an_output_that_cannot_go_on_is_said_for_as_long_as_it_lasts(page):
    moving(page)
    assert text(page, "stuck") == ""
    output, *_ = page.site.room.run.outputs
    for why, said in (
        ("the disk is full, so /srv/take.mkv", "An output cannot be written"),
        ("", ""),
    ):
        output.error = SinkError(why) if why else None
        until(
            page, "said => said === document.getElementById('stuck').textContent.slice(0, 27)", said
        )
        assert "/srv" not in page.content(), "whoever watches need not know this machine's files"


def test_an_answer_names_one_address_and_none_of_the_browser_s_is_dialled(page):
    moving(page)
    (session,) = page.site.house.sessions
    (peer,) = session._peers.values()
    answer = peer._connection.localDescription.sdp
    candidates = [one for one in answer.splitlines() if "candidate:" in one]
    assert candidates and all(" 127.0.0.1 " in one for one in candidates)


def test_it_comes_as_motion_jpeg_where_webrtc_is_not_there(model, chromium):
    with (
        served([plan_of(source=SOURCE)], model) as site,
        opened(f"{site.url}/?mjpeg", chromium) as page,
    ):
        assert all(is_marked(one) for one in moving(page))
        assert page.locator(".tile img").count() == 1


def test_the_visitor_s_camera_comes_back_processed_to_that_visitor_alone(keen, chromium):
    with (
        served([plan_of(source=SOURCE)], keen) as site,
        opened(site.url, chromium) as page,
        opened(site.url, chromium) as other,
    ):
        page.get_by_role("button", name="Your camera", exact=True).click()
        until(page, "() => document.querySelectorAll('.tile video')[1]?.videoWidth > 0")
        moving(page, 1)
        page.select_option("#look", "binary")
        until(page, "() => document.getElementById('figures-of').textContent == 'Your camera'")
        for _ in range(1000):
            values = pixels(page, 1)[::4, ::4].mean(axis=2)
            if ((values < 60) | (values > 195)).mean() > 0.9 and (values > 195).mean() > 0.05:
                break
            page.wait_for_timeout(100)
        else:
            raise AssertionError("it is not the camera's picture in black and white")
        assert site.room.picture.look == "overlay", "the others' picture is as it was"
        assert other.locator(".tile").count() == 1
        (visit,) = site.house.visits
        assert visit.slot.viewers == 1
        page.get_by_role("button", name="Turn off").click()
        until(page, "() => document.querySelectorAll('.tile').length == 1")
        wait_until(lambda: not site.house.visits)


def test_a_clip_as_the_visitor_s_camera_is_marked_where_it_is_bright(model, launch, tmp_path):
    clip = tmp_path / "clip.y4m"
    with av.open(str(clip), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("rawvideo", 30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in Scene(frames=60):
            frame.image.pts, frame.image.time_base = frame.pts, Fraction(1, 30)
            container.mux(stream.encode(frame.image))
    with (
        served([plan_of(source=SOURCE)], model) as site,
        closing(launch(f"--use-file-for-fake-video-capture={clip}")) as chromium,
        opened(site.url, chromium) as page,
    ):
        page.keyboard.press("c")
        until(page, "() => document.querySelectorAll('.tile video')[1]?.videoWidth > 0")
        until(page, "() => document.querySelectorAll('#objects li').length == 1")
        picture = moving(page, 1)[-1].astype(int)
        blue = picture[..., 2] - picture[..., 0] > 40
        # The square is 60 by 80 pixels of 320 by 240, whatever size the browser sends.
        assert 0.02 < blue.mean() < 0.2


def test_every_control_does_what_it_says(page):
    site = page.site
    moving(page)
    room = site.room

    def settles(condition):
        for _ in range(600):
            if condition():
                return
            page.wait_for_timeout(50)
        raise AssertionError(f"nothing came of it: {room.settings()}, {text(page, 'said')}")

    page.select_option("#look", "replace")
    settles(lambda: room.picture.look == "replace")
    page.locator("#background-field").wait_for(state="visible")
    page.fill("#background", "#00ff00")
    settles(lambda: room.picture.background == "00ff00")
    settles(lambda: (pixels(page)[100].astype(int) - (0, 255, 0)).__abs__().max(axis=1).min() < 40)
    page.fill("#threshold", "0.7")
    settles(lambda: room.settings()["threshold"] == 0.7)
    page.click("summary")
    page.fill("#classes-filter", "do")
    assert page.locator("#classes label:visible").all_inner_texts() == ["dog"]
    page.uncheck("#classes input[value=dog]")
    settles(lambda: room.settings()["classes"] == ["person", "car"])
    page.uncheck("#labels")
    settles(lambda: room.picture.label == "none")
    for key, condition in {
        "m": lambda: room.picture.look == "binary",
        "l": lambda: room.picture.label != "none",
        "-": lambda: room.settings()["threshold"] == 0.65,
        "+": lambda: room.settings()["threshold"] == 0.7,
    }.items():
        page.locator("#stage").focus()
        page.keyboard.press(key)
        settles(condition)
    with page.expect_download() as download:
        page.click("#snapshot")
    snapshot = cv2.imread(str(download.value.path()))
    assert snapshot.shape == (240, 320, 3) and set(np.unique(snapshot)) == {0, 255}
    page.click("#record")
    until(page, "() => document.querySelector('.tile').hasAttribute('data-recording')")
    seen = "() => document.querySelector('.tile video').getVideoPlaybackQuality().totalVideoFrames"
    until(page, f"(before) => ({seen})() > before + 40", page.evaluate(seen))
    with page.expect_download() as download:
        page.click("#record")
    assert text(page, "said") == "Saved the recording."
    with av.open(str(download.value.path())) as container:
        length = container.duration / av.time_base
        pictures = list(container.decode(video=0))
    assert len(pictures) > 5 and pictures[0].height == 240
    assert 0 <= length - pictures[-1].time < 2, "it says how long it is"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("p")
    assert not page.locator("#panel").is_visible()
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") in ("light", "dark")


def test_several_are_a_wall_and_a_click_shows_one(model, chromium):
    with (
        served([plan_of(source=SOURCE) for _ in range(4)], model) as site,
        opened(site.url, chromium) as page,
    ):
        for place in range(4):
            assert is_marked(pixels(page, place)) or moving(page, place)
        boxes = [page.locator(".tile").nth(place).bounding_box() for place in range(4)]
        assert len({(round(one["x"]), round(one["y"])) for one in boxes}) == 4
        page.get_by_role("button", name="Show pattern-3 alone").click()
        assert page.locator(".tile:visible").count() == 1
        large = page.locator(".tile:visible").bounding_box()
        assert large["width"] * large["height"] > 3.5 * boxes[0]["width"] * boxes[0]["height"]
        for _ in range(1000):
            if sum(room.slot.viewers for room in site.house.rooms.values()) == 1:
                break
            page.wait_for_timeout(100)
        else:
            raise AssertionError("what is not shown is still sent")
        page.keyboard.press("0")
        assert page.locator(".tile:visible").count() == 4


def test_motion_jpeg_that_is_not_shown_is_not_sent(model, chromium):
    with (
        served([plan_of(source=SOURCE) for _ in range(2)], model) as site,
        opened(f"{site.url}/?mjpeg", chromium) as page,
    ):
        moving(page, 0)
        moving(page, 1)
        first, second = (room.slot for room in site.house.rooms.values())
        page.keyboard.press("1")
        wait_until(lambda: page.wait_for_timeout(50) or (first.viewers, second.viewers) == (1, 0))
        page.keyboard.press("0")
        moving(page, 1)
        assert (first.viewers, second.viewers) == (1, 1)


def test_more_by_motion_jpeg_than_a_browser_can_is_said_and_a_click_shows_one(model, chromium):
    with (
        served([plan_of(source=SOURCE) for _ in range(7)], model) as site,
        opened(f"{site.url}/?mjpeg", chromium) as page,
    ):
        until(
            page,
            """() => [...document.querySelectorAll('.tile')].every((one) =>
            one.querySelector('img')?.naturalWidth
            || one.querySelector('.problem').textContent.includes('A click shows this one'))""",
        )
        assert page.locator(".tile img").count() == 5
        page.get_by_role("button", name="Show pattern-7 alone").click()
        moving(page, 6)
        assert page.locator(".tile img").count() == 1
        assert not page.locator(".tile:visible .problem").is_visible()


def test_a_kiosk_shows_pictures_and_nothing_else(model, chromium):
    with (
        served([plan_of(source=SOURCE)], model) as site,
        opened(f"{site.url}/?kiosk", chromium) as page,
    ):
        moving(page)
        box = page.locator(".tile").bounding_box()
        assert (box["width"], box["height"]) == (1280, 760)
        for part in (".bar", "#panel", ".caption"):
            assert not page.locator(part).is_visible()


def test_the_page_asks_for_the_token_and_takes_it_from_the_link(model, chromium):
    options = ServeOptions(port=0, token=TOKEN)
    with served([plan_of(options=options, source=SOURCE)], model) as site:
        place = chromium.new_context()
        page = place.new_page()
        page.set_default_timeout(WAIT)
        page.goto(site.url)
        page.fill("#token", "not the token at all")
        page.get_by_role("button", name="Come in").click()
        until(page, "() => document.getElementById('wrong').textContent.includes('not the token')")
        page.route("**/api/session", lambda route: route.abort())
        page.get_by_role("button", name="Come in").click()
        until(
            page, "() => document.getElementById('wrong').textContent.includes('does not answer')"
        )
        page.unroute("**/api/session")
        page.fill("#token", TOKEN)
        page.get_by_role("button", name="Come in").click()
        moving(page)
        place.close()
        with opened(f"{site.url}/#token={TOKEN.replace(' ', '%20')}", chromium) as page:
            moving(page)
            assert TOKEN not in page.evaluate("location.href")
            assert page.evaluate("document.cookie") == ""


def test_a_phone_shows_all_below_each_other(model, chromium):
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with (
        served([plan_of(source=SOURCE), plan_of(source=SOURCE)], model) as site,
        opened(site.url, chromium, **phone) as page,
    ):
        moving(page)
        boxes = [page.locator(".tile").nth(place).bounding_box() for place in range(2)]
        assert boxes[0]["width"] > 360 and boxes[1]["y"] > boxes[0]["y"] + boxes[0]["height"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        small = page.evaluate("""() => [...document.querySelectorAll('button, select')]
            .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 36)
            .map((one) => one.id)""")
        assert small == []


def test_a_page_that_was_cut_off_comes_back(page):
    import asyncio

    moving(page)
    page.click("#record")
    until(page, "() => document.querySelector('.tile').hasAttribute('data-recording')")
    moving(page)

    site = page.site
    (session,) = site.house.sessions
    loop = session._socket._loop
    with page.expect_download():
        asyncio.run_coroutine_threadsafe(session.end(), loop).result(60)
    until(page, "() => document.getElementById('said').textContent.startsWith('The recording of')")
    assert text(page, "record") == "Record"
    until(page, "() => document.getElementById('connection').textContent == 'live'")
    page.wait_for_timeout(1500)
    moving(page)
    assert len(site.house.sessions) == 1


def test_a_server_that_says_nothing_is_not_called_live_and_is_asked_anew(page):
    """As where a network went away: no socket is closed by that."""
    site, mute, asked = page.site, [False], []

    def relay(socket):
        asked.append(socket)
        server, own = socket.connect_to_server(), mute[0]
        server.on_message(lambda said: None if own or mute[0] else socket.send(said))

    page.route_web_socket("**/api/live", relay)
    page.goto(site.url)
    said = "() => document.getElementById('connection').textContent == "
    until(page, f"{said}'live'")
    moving(page)
    mute[0] = True
    until(page, f"{said}'no answer'")
    assert page.locator(".problem").inner_text().startswith("The server does not answer.")
    assert not any(letter.isdigit() for letter in text(page, "fps"))
    mute[0] = False
    until(page, f"{said}'live'")
    assert len(asked) == 1 and not page.locator(".problem").is_visible(), "it was only slow"
    mute[0] = True
    until(page, f"{said}'no connection'")
    mute[0] = False
    until(page, f"{said}'live'")
    assert len(asked) > 1
    moving(page)


@pytest.mark.parametrize("other_version", [False, True], ids=["as before", "another version"])
def test_a_wall_is_there_again_when_its_server_is(model, chromium, monkeypatch, other_version):
    port = free_port()
    options = ServeOptions(port=port, token=TOKEN, tls=True)
    plans = [plan_of(options=options, source=SOURCE)]
    link = f"https://127.0.0.1:{port}/?kiosk#token={TOKEN.replace(' ', '%20')}"
    with ExitStack() as stack:
        with served(plans, model):
            page = stack.enter_context(opened(link, chromium, errors_allowed=True))
            moving(page)
            page.evaluate("window.same = true")
        until(page, "() => document.querySelector('.problem').textContent.includes('comes back')")
        if other_version:
            monkeypatch.setattr("stream.serve.house.page_version", lambda: "another")
        with served(plans, model):
            if other_version:
                until(page, "() => !window.same && document.querySelector('.tile')")
            moving(page)
            assert page.evaluate("window.same === true") is not other_version
            assert not page.locator("#door").is_visible()
            assert not page.locator(".problem").is_visible()


def test_a_token_that_is_no_longer_right_is_tried_once_and_then_asked_for(model, chromium):
    port = free_port()
    with ExitStack() as stack:
        with served([plan_of(options=ServeOptions(port=port, token=TOKEN), source=SOURCE)], model):
            link = f"http://127.0.0.1:{port}/#token={TOKEN.replace(' ', '%20')}"
            page = stack.enter_context(opened(link, chromium, errors_allowed=True))
            moving(page)
        options = ServeOptions(port=port, token=f"{TOKEN}, another")
        with served([plan_of(options=options, source=SOURCE)], model):
            page.locator("#door").wait_for(state="visible")
            for _ in range(2):
                with page.expect_request("**/api/session") as request:
                    pass
                assert request.value.post_data_json == {"token": ""}, "whoever is there can come in"
            page.fill("#token", options.token)
            page.get_by_role("button", name="Come in").click()
            moving(page)
            assert not page.locator("#door").is_visible()


def test_a_picture_whose_connection_broke_comes_back_by_webrtc(page):
    import asyncio

    moving(page)
    site = page.site
    (session,) = site.house.sessions
    # The page hears nothing of it, as where a network was away or a machine slept.
    (peer,) = session._peers.values()
    peer._track.stop()
    until(page, "() => +document.getElementById('fps').textContent == 0")
    until(page, "() => +document.getElementById('fps').textContent > 0")
    moving(page)
    assert page.locator(".tile img").count() == 0
    asyncio.run_coroutine_threadsafe(session._drop("0"), session._socket._loop).result(60)
    wait_until(lambda: "0" in session._peers)
    moving(page)
    assert page.locator(".tile img").count() == 0


# The first connection hears no answer, and minutes pass quickly.
DEAF_AT_FIRST = """
  const Real = window.RTCPeerConnection, later = window.setTimeout;
  window.made = 0;
  window.RTCPeerConnection = function () {
    const connection = new Real();
    if (!window.made++) connection.setRemoteDescription = async () => {};
    return connection;
  };
  window.setTimeout = (act, time, ...rest) => later(act, time === 60000 ? 3000 : time, ...rest);
"""


def test_webrtc_that_did_not_get_through_is_tried_again_beside_motion_jpeg(model, chromium):
    with served([plan_of(source=SOURCE)], model) as site:
        place = chromium.new_context(viewport={"width": 640, "height": 480})
        page = place.new_page()
        page.set_default_timeout(WAIT)
        page.add_init_script(DEAF_AT_FIRST)
        page.goto(site.url)
        until(page, "() => document.querySelector('.tile img')?.naturalWidth")
        until(page, "() => !document.querySelector('.tile img')")
        moving(page)
        assert page.evaluate("window.made") == 2
        wait_until(lambda: page.wait_for_timeout(50) or site.room.slot.viewers == 1)
        place.close()


def test_motion_jpeg_that_broke_off_is_asked_for_again(model, chromium):
    with served([plan_of(source=SOURCE)], model) as site:
        place = chromium.new_context(viewport={"width": 640, "height": 480})
        page = place.new_page()
        page.set_default_timeout(WAIT)
        asked: list[str] = []

        def refuse_first(route):
            asked.append(route.request.url)
            route.abort() if len(asked) == 1 else route.continue_()

        page.route("**/mjpeg?*", refuse_first)
        page.goto(f"{site.url}/?mjpeg")
        moving(page)
        assert len(asked) == 2
        place.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> Path:
    """The accessibility checker, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here, so axe-core cannot be had")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--no-fund", "axe-core@4"],
        cwd=folder, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    file = folder / "node_modules" / "axe-core" / "axe.min.js"
    if done.returncode or not file.exists():
        pytest.skip("axe-core cannot be installed here")
    return file


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", [(1280, 760), (390, 844)])
def test_it_can_be_used_by_everybody(model, chromium, axe, scheme, size):
    view = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": scheme}
    plans = [plan_of(source=SOURCE), plan_of(source=SOURCE)]
    # Playwright puts the checker in past the page's policy, which lets no other script in.
    with (
        served(plans, model) as site,
        opened(site.url, chromium, bypass_csp=True, **view) as page,
    ):
        moving(page)
        page.click("summary")
        page.add_script_tag(path=str(axe))
        found = page.evaluate("() => axe.run()")
        page.keyboard.press("?")
        problems = found["violations"] + page.evaluate("() => axe.run('#help')")["violations"]
        page.keyboard.press("Escape")
        page.evaluate("document.getElementById('door').showModal()")
        problems += page.evaluate("() => axe.run('#door')")["violations"]
    said = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in problems]
    assert not said, json.dumps(said, indent=1)
