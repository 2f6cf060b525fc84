"""The report that is written: one page that holds everything, says what it must, and shows what is there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from leukostream import evaluate as command
from models.checkpoint import load
from models.evaluation import figures_of
from models.judged import HeldApart
from models.report.page import number, percent
from models.report.paper import CAVEAT, TABLE_1, beside
from models.report.write import Evaluation, measured_in_full, write

HOSTILE = "<script>alert(1)</script>$x_{"
FETCHING = {"src", "srcset", "href", "action", "data", "poster", "background"}


class Page(HTMLParser):
    """What a page holds: tags, what its attributes fetch, headings and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.fetched += [value or "" for name, value in attrs if name in FETCHING]

    def handle_data(self, data: str) -> None:
        self.text += data


def renamed(cells: HeldApart, old: str, new: str) -> HeldApart:
    groups = np.where(cells.groups == old, new, cells.groups.astype(f"<U{max(len(new), 40)}"))
    return replace(cells, groups=groups)


@pytest.fixture(scope="module")
def evaluation(trained: Path, painted_data: Path) -> Evaluation:
    """A painted evaluation in which a patient has a hostile name."""
    told: list[str] = []
    cache = trained.parent / "cache"
    made = measured_in_full(load(trained), painted_data, told.append, cache=cache, threads=1)
    assert len(told) == 3
    held = renamed(made.measured.held, str(made.measured.held.groups[0]), HOSTILE)
    measured = replace(made.measured, held=held)
    found = made.found | figures_of(measured)
    shown = replace(made.look.shown, groups=np.full(len(made.look.shown), HOSTILE))
    return replace(made, measured=measured, found=found, look=replace(made.look, shown=shown))


@pytest.fixture(scope="module")
def written(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its report."""
    return write(evaluation, tmp_path_factory.mktemp("report"), lambda _line: None).parent


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def stated(written: Path) -> dict[str, Any]:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads((written / "report.json").read_text(), parse_constant=no_constant)
    return found


def test_the_page_asks_the_network_for_nothing(page: Page, written: Path) -> None:
    """Every picture is in the page, every link stays on it, and no script, frame or style sheet is fetched."""
    assert page.fetched
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.fetched)
    assert not page.tags & {"script", "iframe", "link", "object", "embed", "base", "form"}
    text = (written / "report.html").read_text()
    assert not re.findall(r"url\(|@import|https?://", text)


def test_hostile_names_are_only_text(page: Page, written: Path) -> None:
    """A patient called <script> is shown by that name, and runs nothing."""
    assert HOSTILE in page.text
    assert "<script" not in (written / "report.html").read_text()


def test_it_says_what_it_is_for_and_whom_it_fails(page: Page, evaluation: Evaluation) -> None:
    """Research use at the top and at the end, and the worst patient by name in the first section."""
    assert page.text.count("Research use only") >= 2
    before_patients = page.text[: page.text.index("Patient by patient")]
    assert f"It serves patient {evaluation.found['patients']['worst']} worst" in re.sub(r"\s+", " ", before_patients)


def test_the_papers_table_stands_beside_with_its_caveat(page: Page, stated: dict[str, Any]) -> None:
    """All fifteen figures as printed, the measured ones, and what the table is worth."""
    assert CAVEAT in page.text
    for row in TABLE_1.values():
        for value in row.values():
            assert percent(value / 100, 2) in page.text
    measured = stated["paper"]["Normal"]["sensitivity"]["measured"]
    assert measured["value"] == stated["cells"]["all"]["specificity"]["value"]
    assert stated["paper"]["Average"]["auroc"] == {"paper": pytest.approx(0.9675), "measured": None}


def test_pictures_are_there_and_not_blank(written: Path, evaluation: Evaluation) -> None:
    """Each picture varies over its whole area, and the page holds as many."""
    names = {path.stem for path in (written / "pictures").glob("*.png")}
    must = {"roc", "reliability", "probabilities", "decisions", "patients", "controls", "kinds", "grad-cam"}
    assert must | {"randomisation", "feature-maps-first"} <= names
    assert any(name.startswith("sheet-all") for name in names)
    for path in (written / "pictures").glob("*.png"):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        assert grey.std() > 5, path.name
        middle = grey[grey.shape[0] // 8 : -grey.shape[0] // 8, grey.shape[1] // 8 : -grey.shape[1] // 8]
        assert len(np.unique(middle)) > 8, path.name


def test_json_holds_the_same_figures_with_intervals(stated: dict[str, Any], evaluation: Evaluation) -> None:
    """Per cell, patient and part; every headline with its interval and its n."""
    for name in ("auroc", "weighted_f1", "accuracy", "sensitivity", "specificity", "ece", "brier"):
        figure = stated["cells"]["all"][name]
        assert figure["low"] <= figure["value"] + 1e-9 or name == "ece"
        assert figure["cells"] > 0
        assert figure["patients"] > 0
    held = evaluation.measured.held
    assert set(stated["patients"]["rows"]) == set(held.groups)
    assert sum(row["cells"] for row in stated["patients"]["rows"].values()) == len(held)
    assert stated["patients"]["worst"] == evaluation.found["patients"]["worst"]
    assert stated["notice"].startswith("Research use only")
    assert stated["fields"] is None, "no BCCD is painted"
    assert len(stated["explanation"]["randomisation"]) == 4


def test_what_was_not_measured_is_said(page: Page) -> None:
    """Painted data has no whole fields."""
    assert "there is no folder bccd/fields with the data" in re.sub(r"\s+", " ", page.text)


def test_the_measured_row_of_normals_mirrors_that_of_blasts(evaluation: Evaluation) -> None:
    """With two classes the sensitivity for one is the specificity for the other."""
    rows = beside(evaluation.found["cells"]["all"])
    assert rows["ALL"]["sensitivity"]["measured"] == rows["Normal"]["specificity"]["measured"]
    assert rows["ALL"]["auroc"]["measured"] == rows["Normal"]["auroc"]["measured"]


def test_the_command_writes_and_prints_the_same(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON on stdout and in the folder are one, and without a folder nothing is written but a table."""
    monkeypatch.setattr(command, "measured_in_full", lambda *_: evaluation)
    model = evaluation.checkpoint.path
    assert command.run(tmp_path, model, tmp_path / "out", as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "report.json").read_text())
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    assert command.run(tmp_path, model, None, as_json=False) == 0
    table = capsys.readouterr().out
    assert "AUROC, 95 % by patient" in table
    assert HOSTILE[:20] in table
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_numbers_are_written_for_people() -> None:
    """A minus sign, a dash where nothing is known, a percent sign that stays with its number."""
    assert number(-0.0071) == "\N{MINUS SIGN}0.007"
    assert number(float("nan")) == percent(float("nan")) == "\N{EN DASH}"
    assert percent(0.5678) == "56.8\N{NO-BREAK SPACE}%"
