"""Facts about a real spreadsheet program: LibreOffice opens an export, saves it twice, and the import sees no change.

Needs `soffice` (Debian package libreoffice-calc); without it these tests say so and are skipped.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import LONGEST, Api, Person
from hostile_rows import TEXTS, stock

Ended = tuple[int, str, str]
SOFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(SOFFICE is None, reason="soffice is absent: Debian package libreoffice-calc")

FRENCH = 1036
READ = f"CSV:59,34,76,1,,{FRENCH},false,true"
"""A French program opens CSV: semicolons, UTF-8, and every number, date and truth value recognised, quoted or not."""

WRITE = f"csv:Text - txt - csv (StarCalc):59,34,76,1,,{FRENCH},false,true,false"
"""It saves CSV as the cells look on the screen."""

LOCALE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry"><item oor:path="/org.openoffice.Setup/L10N">
<prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>fr-FR</value></prop></item></oor:items>"""
"""The setting of a French program, in which it writes numbers, dates and times."""

WORKBOOK = "xlsx:Calc MS Excel 2007 XML"


@pytest.fixture
def profile(tmp_path: Path) -> str:
    """The option that names a profile of this test's own, with the settings of a French program."""
    settings = tmp_path / "profile/user/registrymodifications.xcu"
    settings.parent.mkdir(parents=True)
    settings.write_text(LOCALE, encoding="utf-8")
    return f"-env:UserInstallation=file://{tmp_path}/profile"


def saved(profile: str, files: list[Path], kind: str, folder: Path, *options: str) -> list[Path]:
    """What one start of the program makes of files: each opened and saved as another kind."""
    command = [str(SOFFICE), "--headless", "--norestore", profile, *options, "--convert-to", kind, "--outdir"]
    subprocess.run([*command, str(folder), *map(str, files)], check=True, capture_output=True, timeout=4 * LONGEST)
    return [folder / f"{file.stem}.{kind.partition(':')[0]}" for file in files]


def differing(terminal: Callable[..., Ended], resource: str, file: Path, url: str) -> list[Any]:
    """What an import of this file would write or refuse."""
    code, said, errors = terminal("import", resource, str(file), "--update", "--json", "--diff", url=url)
    assert code == 0, errors
    plan: dict[str, Any] = json.loads(said)
    [counts] = plan["counts"].values()
    assert sum(counts.values()) >= len(TEXTS)
    return [*plan["differences"], *plan["rejects"], *plan["inserts"], *plan["warnings"]]


def test_a_spreadsheet_program_opens_and_saves_an_export_and_nothing_differs(
    api: Api, admin: Person, terminal: Callable[..., Ended], tmp_path: Path, profile: str
) -> None:
    stock(api, admin)
    exported = [tmp_path / f"{resource}.csv" for resource in ("vehicles", "events", "members")]
    for file in exported:
        answer = api.get(f"/api/{file.name}", params={"dialect": "excel-fr"}, headers=admin.headers)
        file.write_bytes(answer.content)
    workbooks = saved(profile, exported, WORKBOOK, tmp_path, f"--infilter={READ}")
    again = saved(profile, workbooks, WRITE, tmp_path / "again")

    files = (*exported, *workbooks, *again)
    found = {str(file): differing(terminal, file.stem, file, api.database_url) for file in files}
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)
