"""Equations as MathML: what is known is written, and what is not is an error."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from docs.mathml import BadMath, mathml, parts

SPACE = "{http://www.w3.org/1998/Math/MathML}"


def shape(element: ElementTree.Element) -> str:
    """The elements of an equation, those that only group left out."""
    inside = "".join(map(shape, element))
    name = element.tag.removeprefix(SPACE)
    return inside if name in ("math", "mrow") else f"{name}({inside or element.text})"


@pytest.mark.parametrize(
    ("latex", "written"),
    [
        (r"\tau_\mathrm{mem}", "msub(mi(τ)mi(m)mi(e)mi(m))"),
        (r"x_1^2", "msubsup(mi(x)mn(1)mn(2))"),
        (r"\frac{h}{\tau}", "mfrac(mi(h)mi(τ))"),
        ("-1", "mo(−)mn(1)"),
        (r"a \leftarrow b", "mi(a)mo(←)mi(b)"),
        ("a < b", "mi(a)mo(<)mi(b)"),
    ],
)
def test_an_equation_is_written_element_by_element(latex: str, written: str) -> None:
    assert shape(ElementTree.fromstring(mathml(latex))) == written


def test_who_cannot_see_it_reads_its_latex() -> None:
    found = ElementTree.fromstring(mathml('a  < "b"', display=True))
    assert (found.get("aria-label"), found.get("display")) == ('a < "b"', "block")


@pytest.mark.parametrize("latex", [r"\unknown{x}", "{a", "a}", "a_"])
def test_what_is_not_known_is_an_error(latex: str) -> None:
    with pytest.raises(BadMath):
        mathml(latex)


def test_an_equation_is_cut_where_its_parts_stand_apart_and_nowhere_else() -> None:
    assert parts(r"a = 1,\quad b = {c \quad d}\qquad e") == ["a = 1,", r"b = {c \quad d}", "e"]
