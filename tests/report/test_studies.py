"""Pages and figures of studies inside the report."""

from __future__ import annotations

from pathlib import Path

from nir_interop.report.page import studies as module
from nir_interop.report.page.studies import studies


def study(folder: Path, text: str, name: str = "one") -> Path:
    """A folder of results with one study."""
    place = folder / name
    place.mkdir()
    (place / "README.md").write_text(text, encoding="utf-8")
    return place


def test_tables_and_headings_are_rendered_below_the_page_s_own(tmp_path: Path) -> None:
    study(tmp_path, "# one: does it?\n\n## Part\n\n| a | b |\n|:--|--:|\n| 1 | 2<br>3 |\n")
    (found,) = studies(tmp_path)
    assert (found.name, found.title) == ("one", "one: does it?")
    assert "does it?" not in found.body
    assert "<h2>Part</h2>" in found.body
    assert "<td>2<br />\n3</td>" in found.body


def test_a_study_without_a_heading_is_called_as_its_folder(tmp_path: Path) -> None:
    study(tmp_path, "words\n\n# Late\n")
    (found,) = studies(tmp_path)
    assert found.title == "one"
    assert "<h2>Late</h2>" in found.body


def test_markup_scripts_and_addresses_that_run_are_text(tmp_path: Path) -> None:
    study(
        tmp_path,
        "<b onclick=x>hi</b>\n\n<script>1</script>\n\n[a](javascript:alert(1)) [b](file:///etc/passwd) [c](other.md)\n",
    )
    (found,) = studies(tmp_path)
    assert "<script" not in found.body and "<b " not in found.body
    assert "href" not in found.body


def test_a_figure_of_the_study_is_embedded_and_one_from_elsewhere_is_not(tmp_path: Path) -> None:
    place = study(tmp_path, "![inside](a.svg) ![outside](../secret.png) ![far](https://example.org/a.png)\n")
    (place / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (found,) = studies(tmp_path)
    assert found.body.count("data:image/svg+xml;base64,") == 1
    assert "https://example.org" not in found.body
    assert found.left_out == ("../secret.png", "https://example.org/a.png")


def test_a_figure_that_its_page_does_not_name_is_shown_at_its_end(tmp_path: Path) -> None:
    place = study(tmp_path, "words\n")
    (place / "by_step.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (found,) = studies(tmp_path)
    assert 'alt="by step"' in found.body


def test_figures_stop_where_the_page_would_grow_too_large(tmp_path: Path) -> None:
    place = study(tmp_path, "![large](a.png)\n")
    (place / "a.png").write_bytes(bytes(module.BUDGET + 1))
    (found,) = studies(tmp_path)
    assert found.left_out == ("a.png",)
    assert "<img" not in found.body
