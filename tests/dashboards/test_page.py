"""The page's files: served from here alone, small, and readable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboards.viewer.app import STATIC
from tests.dashboards.samples import parts

FIRST_LOAD_LIMIT = 300_000
TEXT_PAIRS = [
    ("ink", "ground"), ("ink", "surface"), ("muted", "ground"), ("muted", "surface"), ("muted", "raised"),
    ("blast", "blast-ground"), ("normal", "normal-ground"), ("none", "none-ground"), ("blast", "raised"),
    ("normal", "raised"), ("none", "raised"), ("good", "surface"), ("warn", "warn-ground"), ("bad", "bad-ground"),
    ("bad", "surface"), ("surface", "accent"), ("accent", "surface"),
]  # fmt: skip


def files(*suffixes: str) -> list[Path]:
    return [file for file in STATIC.rglob("*") if file.suffix in suffixes]


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No address of another host, but for the name space of SVG and the vendored file's own banner."""
    for file in files(".html", ".css", ".js", ".svg"):
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        text = text.replace("/*! https://github.com/leeoniya/uPlot (v1.6.32) */", "")
        assert not re.search(r"https?://|[\"'(]//\w", text), file


def test_all_that_the_page_names_is_there_and_small(tmp_path: Path) -> None:
    """Every file named by the page, by its style sheets and modules, is served; the first load is bounded."""
    waiting, size, seen = ["/"], 0, set[str]()
    with parts(tmp_path) as one:
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            answer = one.get(path)
            assert answer.status_code == 200, path
            size += len(answer.content)
            if path == "/":
                waiting += re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
            elif "/js/" in path:
                waiting += [f"/static/js/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)]
    unused = {f"/static/{file.relative_to(STATIC)}" for file in files(".css", ".js")} - seen
    assert not unused
    assert size < FIRST_LOAD_LIMIT


def test_no_script_or_style_stands_in_the_page() -> None:
    """The policy forbids them, so they would not work."""
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)
    for file in files(".js"):
        if "vendor" not in file.parts:
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", file.read_text())


def test_it_always_says_that_it_is_for_research_only() -> None:
    """In the page itself, before any script has run."""
    page = re.sub(r"<[^>]+>", "", (STATIC / "index.html").read_text())
    assert "Research use only. Not for diagnosis." in page


def test_the_vendored_files_have_their_licence_and_version() -> None:
    """As their licence asks."""
    assert "MIT" in (STATIC / "vendor/uplot/LICENSE").read_text()
    assert "1.6.32" in (STATIC / "vendor/VENDORED.md").read_text()
    assert "v1.6.32" in (STATIC / "vendor/uplot/uPlot.iife.min.js").read_text()[:100]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_enough_contrast(theme: str) -> None:
    """4.5 to 1 at least (WCAG 2.2 AA) for every pair of text and ground that is used."""
    light, dark = (STATIC / "css/base.css").read_text().split("@media", 1)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if theme == "light" else light + dark))
    assert {
        pair: _contrast(*(colours[name] for name in pair))
        for pair in TEXT_PAIRS
        if _contrast(*(colours[name] for name in pair)) < 4.5
    } == {}


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
