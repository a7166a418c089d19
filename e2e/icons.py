"""`python -m e2e.icons`: recreates the icons of the installed app from static/img/favicon.svg."""

from __future__ import annotations

import io
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from e2e.browser import FLAGS, find_browser

IMAGES = Path(__file__).resolve().parent.parent / "static" / "img"
LOGO = IMAGES / "favicon.svg"
# Systems crop maskable icons to their own shape: the background reaches the edges, and the drawing
# is within the circle that is never cropped (80 % of the width).
SAFE_SCALE = 0.72
ICONS = (("icon-192.png", 192, False), ("icon-512.png", 512, False))
MASKABLE = ("icon-maskable-512.png", 512, True)


def main() -> None:
    """Write all icons."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        page = browser.new_page()
        for name, size, is_maskable in (*ICONS, MASKABLE):
            svg = maskable(LOGO.read_text()) if is_maskable else LOGO.read_text()
            save(draw(page, svg, size), IMAGES / name)
        browser.close()


def maskable(svg: str) -> str:
    """The logo with a square background, and a smaller drawing in the middle."""
    margin = 16 * (1 - SAFE_SCALE)
    transform = f'transform="translate({margin} {margin}) scale({SAFE_SCALE})"'
    return re.sub(r' rx="\d+"', "", svg).replace("<g ", f"<g {transform} ")


def draw(page: Page, svg: str, size: int) -> bytes:
    """The drawing as a PNG of this width and height."""
    page.set_viewport_size({"width": size, "height": size})
    style = "body { margin: 0 } svg { display: block; width: 100vw; height: 100vh }"
    page.set_content(f"<style>{style}</style>{svg}")
    return page.screenshot(omit_background=True)


def save(png: bytes, path: Path) -> None:
    """Write the picture with the best lossless compression."""
    Image.open(io.BytesIO(png)).save(path, optimize=True)


if __name__ == "__main__":
    main()
