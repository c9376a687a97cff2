from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
_SECTIONS = ["Context", "Decision", "Consequences", "Tried and considered"]


def _name(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a forge makes them: lower case, words joined by hyphens."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target
        assert not anchor or anchor in _anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_names_no_path_of_a_machine(page: Path) -> None:
    assert not re.findall(r"(?<![\w.:/])/(?:root|home|work|Users|mnt)\b\S*", page.read_text(encoding="utf-8"))


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_decisions_are_numbered_without_a_gap_and_listed_with_title_and_status() -> None:
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for number, path in enumerate(DECISIONS, 1):
        lines = path.read_text(encoding="utf-8").splitlines()
        title, status = lines[0].removeprefix(f"# {number:04d}. "), lines[2].removeprefix("Status: ")
        assert path.name.startswith(f"{number:04d}-")
        assert f"| [{number:04d}]({path.name}) | {title} | {status} |" in index


@pytest.mark.parametrize("page", DECISIONS, ids=_name)
def test_a_decision_is_short_and_has_all_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == _SECTIONS
    assert len(text.splitlines()) <= 32
