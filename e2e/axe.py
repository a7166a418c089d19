"""Runs axe on pages: light, dark and forced colors, on a desktop and at 320 pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

DESKTOP, NARROW = (1280, 900), (320, 640)
# The colors of a scheme are the same for all widths, and the elements are the same in all schemes:
# all rules are checked once for each width, and contrast in each scheme.
COLORS = {"runOnly": ["color-contrast", "link-in-text-block"]}
Variant = tuple[tuple[int, int], dict[str, Any], dict[str, Any]]  # size, media, options of axe
VARIANTS: tuple[Variant, ...] = (
    (DESKTOP, {"color_scheme": "light", "forced_colors": "none"}, {}),
    (DESKTOP, {"color_scheme": "dark", "forced_colors": "none"}, COLORS),
    (DESKTOP, {"color_scheme": "light", "forced_colors": "active"}, COLORS),
    (NARROW, {"color_scheme": "light", "forced_colors": "active"}, COLORS),
    (NARROW, {"color_scheme": "light", "forced_colors": "none"}, COLORS),
    (NARROW, {"color_scheme": "dark", "forced_colors": "none"}, {}),
)
SHORT = VARIANTS[::5]  # all rules, for both widths and two schemes
PHONE = (390, 844)
# Without `preload`, with which axe adds styles to a page whose style sheets import others, as those
# of Django's forms do: the policy blocks them.
ADMIN_VARIANTS: tuple[Variant, ...] = (
    (DESKTOP, {"color_scheme": "light", "forced_colors": "none"}, {"preload": False}),
    (DESKTOP, {"color_scheme": "dark", "forced_colors": "none"}, COLORS | {"preload": False}),
    (DESKTOP, {"color_scheme": "light", "forced_colors": "active"}, COLORS | {"preload": False}),
    (PHONE, {"color_scheme": "dark", "forced_colors": "active"}, COLORS | {"preload": False}),
    (PHONE, {"color_scheme": "dark", "forced_colors": "none"}, {"preload": False}),
)
# Targets have sizes that depend on the width alone, and the rule about them is off by default.
RUN = """async (options) => {
  if (!options.runOnly) options.rules = { "target-size": { enabled: true } };
  for (const change of document.getAnimations())
    if (change instanceof CSSTransition) change.finish(); // of colors, to another scheme
  const {violations} = await axe.run(document, {resultTypes: ["violations"], ...options});
  return violations.flatMap(({id, nodes}) =>
    nodes.map(({target, failureSummary}) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}"""
# Only the first blocks of long documents, whose blocks are alike: axe needs a minute for all of
# them.
SHORTEN = """() => {
  for (const list of document.querySelectorAll(".docs-text, .docs-contents ul"))
    [...list.children].slice(15).forEach((child) => child.remove());
}"""
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


class Axe:
    """Runs axe on pages, and collects what it finds."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: list[str] = []

    def open(self, url: str, variants: Iterable[Variant] = VARIANTS) -> None:
        """Check the page at that URL."""
        self.resize()
        response = self.page.goto(url)
        assert response
        assert self.page.url.endswith(url), f"{url} redirects to {self.page.url}"
        self.check(url, variants)

    def resize(self, size: tuple[int, int] = DESKTOP) -> None:
        """Set the size of the window, which the last check has changed."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def check(self, name: str, variants: Iterable[Variant] = VARIANTS) -> None:
        """Check the page in its present state."""
        self.page.evaluate(SHORTEN)
        self.page.evaluate(AXE_SCRIPT)
        for (width, height), colors, options in variants:
            self.resize((width, height))
            self.page.emulate_media(reduced_motion="reduce", **colors)
            variant = f"{name} {width} {' '.join(colors.values())}"
            self.found += [f"{variant}: {text}" for text in self.page.evaluate(RUN, options)]
            if overflow := self.page.evaluate(OVERFLOW):
                self.found.append(f"{variant}: {overflow} px too wide")

    def report(self) -> None:
        """Fail with all that was found."""
        assert not self.found, "\n".join(self.found)
