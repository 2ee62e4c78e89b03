"""Rows whose texts, numbers and dates spreadsheet programs like to write in their own way."""

from harness import Api, Person
from rows import create

TEXTS = (
    "=1+1", "+33 6 12 34 56 78", "-12", "@SUM(A1)", "'", "''", "'=1", "'Allô", "(inchangé)", "a;b,c d", 'dit "oui"',
    '"', ";", "007", "0612345678", "06 12 34 56 78", "3-12", "1E5", "1e-7", "8 mai 1945", "8/5/45", "12:30", "12:30:05",
    "VRAI", "true", "TRUE", "12,5", "12.50", "1 234,50", "1\u00a0234", "12 %", "12 €", "null", "0", "0,0", "-0", "1.0",
    "123456789012345678901", "1/2", "mai 1945", "#N/A", "#REF!", "Inf", "NaN", "\u05e9\u05dc\u05d5\u05dd", "𝄞 é ★ 🚌",
    '=HYPERLINK("https://example.org";"x")', "<b>&amp;</b>", "\\", "a\\nb", "_x0041_",
    "http://example.org", "a@example.org",
)  # fmt: skip
LINES = ("=1\n=2", "a\r\nb", "\n", 'un\n\n"deux";trois,\n', "é" * 20_000, "\t=1", "fin\n")


def stock(api: Api, who: Person) -> None:
    """Rows of each resource with these texts, and with numbers and dates that programs write in their own way."""
    for number, text in enumerate(TEXTS):
        create(
            *(api, who, "members"), firstName=text, city=text, notes=LINES[number % len(LINES)], phone=f"0{number}",
            matricule=f"{number:03}", paymentAmount=number + 0.05, birthDate=f"19{number + 10}-02-0{number % 9 + 1}",
            newsletter=number % 2 == 0, permissions=[text],
        )  # fmt: skip
        create(
            *(api, who, "vehicles"), parc=f"0{number}", modele=text, immat=text, history=LINES[number % len(LINES)],
            caracteristiques=[{"label": text, "value": text}], fuel=number * 1.25, mileage=number / 7,
            isPublic=number % 2 == 0, gallery=[text.replace("\\", "/")],
        )  # fmt: skip
        create(
            *(api, who, "events"), id=f"e{number}", title=f"x{text}", location=text, vehicleId=f"0{number}",
            extras={text: [1, 2.5, None, text]}, adultPrice=number + 0.5, time="09:05",
            date=f"2026-05-01T11:30:{number % 60:02}.{number:03}+02:00",
        )  # fmt: skip
