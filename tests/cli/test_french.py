"""The terminal speaks French: errors of the command line, help, questions and their answers."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from retrobus.cli.usage import SENTENCES

Ended = tuple[int, str, str]
CREATE = ["member", "create-admin", "--email", "alix@example.org"]
ENGLISH = re.compile(
    r"\b(?:Try|Missing|No such|Invalid|Usage:|Error|required|default:|env var|Show this|should|must|Aborted|"
    r"Commands|str|int|bool|COMMAND|Input|Repeat|Possible|Did you mean)\b"
)
WRONG = [
    ("frob", "retrobus : commande inconnue : frob"),
    ("membre list", "retrobus : commande inconnue : membre ; voulez-vous dire member ?"),
    ("db frob", "retrobus db : commande inconnue : frob"),
    ("serve --frob", "retrobus serve : option inconnue : --frob"),
    ("serve --por 3", "retrobus serve : option inconnue : --por ; voulez-vous dire --port ?"),
    ("serve --port", "retrobus : l'option --port attend une valeur"),
    ("serve --port abc", "retrobus serve : --port : nombre entier attendu"),
    ("serve --port 70000", "retrobus serve : --port : au plus 65535"),
    ("serve --workers 0", "retrobus serve : --workers : au moins 1"),
    ("doctor --json=3", "retrobus : l'option --json n'attend pas de valeur"),
    ("restore", "retrobus restore : il manque l'argument name"),
    ("verify", "retrobus verify : il manque l'option --token (ou la variable TOKEN)"),
    ("token", "retrobus token : il manque l'option --email"),
    ("member list extra", "retrobus member list : en trop : extra"),
    ("db repair --returned x", "retrobus db repair : --returned : valeurs possibles : keep, drop"),
    ("--env-file x", "retrobus : il manque une commande"),
]


@pytest.mark.parametrize(("line", "said"), WRONG)
def test_a_wrong_command_line_is_told_in_french(terminal: Callable[..., Ended], line: str, said: str) -> None:
    code, out, errors = terminal(*line.split())

    command = said.partition(" : ")[0]
    assert (code, out) == (2, "")
    assert errors == f"❌ {said}\n   Aide : {command} --help\n"


def test_every_sentence_about_the_command_line_is_seen_by_a_test() -> None:
    forms = [re.escape(sentence).replace(r"\{0\}", ".+").replace(r"\{1\}", ".+") for _, sentence in SENTENCES]

    assert [form for form in forms if not any(re.search(f"{form}$", said) for _, said in WRONG)] == []


@pytest.mark.parametrize("line", ["", "db", "serve", "restore", "db show", "member create-admin", "backup create"])
def test_help_has_no_english_word(terminal: Callable[..., Ended], line: str) -> None:
    code, out, _ = terminal(*line.split(), "--help")

    assert code == 0
    assert ENGLISH.findall(out) == []
    assert "Affiche cette aide." in out


@pytest.fixture
def leftover(tmp_path: Path) -> Path:
    """A file that a purge removes."""
    found = tmp_path / "runtime-state.json"
    found.write_text("{}")
    return found


@pytest.mark.parametrize("yes", ["o", "oui", "O", "Oui", "OUI", "y", "yes", "Y", "Yes", " oui "])
def test_yes_may_be_said_in_both_languages(terminal: Callable[..., Ended], leftover: Path, yes: str) -> None:
    code, out, _ = terminal("purge", given=f"{yes}\n", BACKUPS_DIR=leftover.parent)

    assert (code, leftover.exists()) == (0, False)
    assert "Continuer ? [o/N] " in out


@pytest.mark.parametrize("no", ["n", "non", "N", "Non", "no", "No", "", "  "])
def test_no_may_be_said_in_both_languages_or_by_enter_alone(
    terminal: Callable[..., Ended], leftover: Path, no: str
) -> None:
    code, _, errors = terminal("purge", given=f"{no}\n", BACKUPS_DIR=leftover.parent)

    assert (code, errors, leftover.exists()) == (1, "❌ rien n'a été changé\n", True)


def test_any_other_answer_is_asked_again(terminal: Callable[..., Ended], leftover: Path) -> None:
    code, out, errors = terminal("purge", given="peut-être\noui\n", BACKUPS_DIR=leftover.parent)

    assert (code, errors, leftover.exists()) == (0, "Répondez o (oui) ou n (non).\n", False)
    assert out.count("Continuer ?") == 2


def test_a_password_without_a_terminal_is_asked_without_an_english_warning(database: str, tmp_path: Path) -> None:
    typed = "un-mot-de-passe\nautre-chose\nun-mot-de-passe\nun-mot-de-passe\n"

    done = subprocess.run(
        [sys.executable, "-c", "from retrobus.cli import main; main()", *CREATE],
        input=typed, cwd=tmp_path, env=os.environ | {"DATABASE_URL": database},
        capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip

    assert done.returncode == 0
    assert done.stderr == "Les deux mots de passe diffèrent : recommencez.\n"
    assert done.stdout.count("Mot de passe : ") == done.stdout.count("Encore une fois : ") == 2


def test_without_an_answer_nothing_is_done(terminal: Callable[..., Ended], leftover: Path) -> None:
    code, _, errors = terminal("purge", given="", BACKUPS_DIR=leftover.parent)

    assert (code, leftover.exists()) == (1, True)
    assert errors == "\n❌ pas de réponse : rien n'a été changé\n"
