"""Upload to an object storage, and playback from it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from e2e.conftest import OpenPage
from e2e.test_pages import answered, upload
from transcodio_site.testing import Media, Stack, wait_until
from transcodio_site.testing_storage import ObjectStorage

PREFIX = "e2e"


class StackWithBucket(Stack):
    """A stack whose recordings are in a bucket."""

    def __init__(self, var: Path, storage: ObjectStorage) -> None:
        super().__init__(var)
        self.storage = storage
        self.storage_origins = (f"http://127.0.0.1:{storage.port}",)

    @property
    def environment(self) -> dict[str, str]:
        """See `Stack`. Files may be larger than one part."""
        return super().environment | {
            "STORAGE_URL": self.storage.url(PREFIX),
            "MAX_FILE_SIZE_MB": "32",
        }


@pytest.fixture(scope="module")
def stack(object_storage: ObjectStorage) -> Iterator[StackWithBucket]:
    """`manage.py up` with a bucket."""
    with tempfile.TemporaryDirectory(prefix="transcodio-stack-") as folder:
        running = StackWithBucket(Path(folder), object_storage)
        try:
            running.start()
            yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def two_parts(media: Media) -> Path:
    """Half a minute of silence in 12 MB."""
    source = "anullsrc=r=96000:cl=stereo:d=31"
    return media.make("long.wav", "-f", "lavfi", "-i", source)


@pytest.mark.slow
@pytest.mark.covers("fault", "The connection is lost while a browser sends a part to the storage")
def test_recording_is_sent_in_parts_and_played_from_the_storage(
    sign_up: OpenPage, stack: StackWithBucket, two_parts: Path
) -> None:
    page = sign_up("direct@example.com")
    methods: list[str] = []
    origin = stack.storage_origins[0]

    def lose_first_part(route: Route) -> None:
        methods.append(route.request.method)
        if methods.count("PUT") == 1 and methods[-1] == "PUT":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(f"{origin}/**", lose_first_part)
    upload(page, two_parts)
    page.wait_for_url("**/transcriptions/*/")
    assert methods.count("PUT") == 3  # two parts, and the first one again
    page.unroute(f"{origin}/**")
    expect(page.locator("[data-state=completed]").first).to_be_visible()
    page.get_by_role("button", name="Play").click()
    audio = page.locator(".player-media")
    wait_until(lambda: audio.evaluate("audio => audio.currentTime > 0"))
    audio.evaluate("audio => { audio.currentTime = 30; }")
    wait_until(lambda: audio.evaluate("audio => audio.ended"))
    assert list((stack.var / "media").glob("**/*.source")) == []


@pytest.mark.slow
def test_cancelled_upload_leaves_nothing_in_the_storage(
    sign_up: OpenPage, stack: StackWithBucket, two_parts: Path
) -> None:
    before = stack.storage.keys(PREFIX)
    page = sign_up("cancel@example.com")
    parts: list[Route] = []
    page.route(f"{stack.storage_origins[0]}/**", lambda route: parts.append(route))
    upload(page, two_parts)
    wait_until(lambda: answered(page, parts))
    assert len(stack.storage.keys(PREFIX)) == len(before) + 1
    page.click("upload-box >> text=Cancel")
    expect(page.locator("upload-box li")).to_have_count(0)
    wait_until(lambda: stack.storage.keys(PREFIX) == before)


@pytest.mark.slow
@pytest.mark.covers("fault", "The response to the end of an upload in parts is lost")
def test_response_lost_before_reload_creates_one_recording(
    sign_up: OpenPage, two_parts: Path
) -> None:
    page = sign_up("direct-once@example.com")

    def lose_response(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/api/uploads/*/complete", lose_response)
    upload(page, two_parts)
    expect(page.locator("[data-phase=kept]")).to_have_count(1)
    page.unroute("**/api/uploads/*/complete")
    page.reload()
    expect(page.get_by_role("link", name="long.wav")).to_be_visible()
    assert len(page.request.get("/api/transcriptions").json()["items"]) == 1
