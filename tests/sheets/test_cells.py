"""Facts about cells: no program takes one for a formula, and the import has every text back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrobus.sheets.cells import KEPT, disarmed, protected, restored, typed
from retrobus.sheets.xstrings import escaped, unescaped

FORMULAS = ("=1+1", "+33612345678", "-12", "@SUM(A1)", "\t=1", "\r=1", " =1+1", "\u00a0=1", "\uff1d1+1", "-", "\n=1")
CHANGED = ("01000", "007", "3-12", "1/2", "1E5", "12.05", "8 mai 1945", "mai 2025", "1er mars", "50%", "12 €", "VRAI",
           "1234567890123456", "0612345678", "1 234", "10:30:00",
           "10:30", "12:30 PM", "(5)")  # fmt: skip
PLAIN = ("920", "0", "Bus", "Citroën C6", "l'Autobus", "12 rue de la Paix", "a=1", "maison 12", "")
TEXTS = st.text(alphabet=st.sampled_from("'=+-@\t\r\n 0129/.,:%e\uff1daéVRI(nchangé)"), max_size=8)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert [disarmed(text), protected(text)] == [f"'{text}"] * 2


@pytest.mark.parametrize("text", CHANGED)
def test_what_a_spreadsheet_would_turn_into_something_else_is_protected(text: str) -> None:
    assert [disarmed(text), protected(text)] == [text, f"'{text}"]


@pytest.mark.parametrize("text", PLAIN)
def test_a_harmless_text_is_its_own_cell(text: str) -> None:
    assert [disarmed(text), protected(text), typed(text), restored(text)] == [text] * 4


@pytest.mark.parametrize("cell", ["'Allô", "'t Zand", "'(bientôt)"])
def test_an_apostrophe_that_a_person_typed_before_a_word_stays(cell: str) -> None:
    assert restored(cell) == cell


@given(TEXTS)
@example(KEPT)
@example("'")
@example("'+33 6")
def test_every_text_comes_back(text: str) -> None:
    assert [restored(disarmed(text)), restored(protected(text)), restored(typed(text))] == [text] * 3


@given(TEXTS)
@example(KEPT)
def test_no_text_is_taken_for_a_value_that_is_left_out(text: str) -> None:
    assert KEPT not in {disarmed(text), protected(text), typed(text)}


@given(st.text(alphabet=st.sampled_from("_x005F41aD\r\x0b\x1f\ufffe\n"), max_size=12))
@example("_x0041_")
@example("_x005F_x0041_")
def test_every_text_comes_back_from_a_workbook(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert not set(escaped(text)) & set("\r\x0b\x1f\ufffe")
