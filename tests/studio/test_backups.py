"""The page of backups: what there is, one made now, and the restore as a command to copy."""

from pathlib import Path

from playwright.sync_api import expect

from harness import Api, Person
from studio.rows import create
from studio.shell import copied, typed
from studio.visitor import Visitor


def test_a_backup_is_made_and_its_restore_is_a_command_that_works(
    visitor: Visitor, service: Api, admin: Person, backups_dir: Path
) -> None:
    create(service, admin, "vehicle", parc="920", modele="Citaro")
    visitor.log_in(admin)
    visitor.go("Sauvegardes")
    before = visitor.page.locator("tbody tr").count()

    visitor.press("Sauvegarder maintenant")
    expect(visitor.page.get_by_role("status").filter(has_text="2 lignes")).to_contain_text("relu en entier.")
    expect(visitor.page.locator("tbody tr")).to_have_count(before + 1)
    expect(visitor.page.locator("tbody tr").first.get_by_role("cell").first).to_have_text("2 lignes")
    service.sql("SET session_replication_role = replica", "DELETE FROM vehicle")  # lost, as with a disk
    visitor.page.get_by_role("button", name="Restaurer").first.click()
    command = copied(visitor, visitor.page.get_by_role("dialog"))

    shown = typed(command, service.database_url, backups_dir)
    assert service.sql("SELECT modele FROM vehicle") == [], "the command as it is writes nothing"
    typed(f"{command} --apply --yes", service.database_url, backups_dir)

    assert "1 à insérer" in shown
    assert service.sql("SELECT modele FROM vehicle")[0][0] == "Citaro"
