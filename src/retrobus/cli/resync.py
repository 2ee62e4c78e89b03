"""`retrobus resync`: the writes that memory took in an outage, and that the replay could not apply by itself."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.conflict_list import (
    DECISIONS,
    NONE_OPEN,
    document,
    settled_document,
    show_one,
    show_open,
    show_settled,
    written,
)
from retrobus.cli.failures import sentence
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, Yes, answer, confirm, row_named, say, stop
from retrobus.cli.terminal import report as report_done
from retrobus.settings import Settings
from retrobus.store.authors import names_of
from retrobus.words import plural

if TYPE_CHECKING:
    from retrobus.cli.conflict_list import Found
    from retrobus.database.pooler import OwnNames
    from retrobus.fallback.conflict_view import ConflictView
    from retrobus.fallback.parts import Report
    from retrobus.fallback.resync import OpenConflict, SettledConflict

    Listed = tuple[list[Found], dict[str, str]]
    Past = tuple[list[SettledConflict], dict[str, str]]

DAY = 86_400.0
ALONE = "--list, --show, --apply, --discard, --apply-all, --discard-all ou --restore"
HIGHEST = 2**31 - 1
"""The highest number that the table of conflicts can give."""

Numbers = Annotated[
    list[int] | None, typer.Option(min=1, max=HIGHEST, help="Numéro d'un conflit de la liste. Répétable.")
]


def resync(  # noqa: PLR0913 - one parameter for each option
    *,
    list_: Annotated[bool, typer.Option("--list", help="Montre seulement ; ne change rien.")] = False,
    apply: Numbers = None,
    discard: Numbers = None,
    apply_all: Annotated[bool, typer.Option("--apply-all", help="Applique tous les conflits, dans l'ordre.")] = False,
    discard_all: Annotated[bool, typer.Option("--discard-all", help="Écarte tous les conflits.")] = False,
    show: Annotated[
        int | None, typer.Option(min=1, max=HIGHEST, help="Montre un conflit champ par champ ; ne change rien.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Avec --list : aussi ce qui est réglé.")] = False,
    restore: Annotated[
        int | None, typer.Option(min=1, max=HIGHEST, help="Remet la ligne que garde un conflit réglé (--list --all).")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Reprend un journal laissé sur le disque, puis montre ou règle les conflits ; sans option, montre."""
    if sum(map(bool, (list_, show, apply, discard, apply_all, discard_all, restore))) > 1:
        raise stop(f"une seule option à la fois : {ALONE}")
    if show is not None:
        _show_one(show, as_json=as_json)
        return
    if restore is not None:
        _restore(restore, yes=yes, as_json=as_json)
        return
    report = _bring_in(only_look=list_)
    listed = with_connection(_open)
    wanted = _chosen(listed[0], apply or discard or [])
    if not (apply or discard or apply_all or discard_all):
        _show(listed, with_connection(_settled) if all_ else None, report, as_json=as_json)
        return
    applies = bool(apply or apply_all)
    if wanted:
        words = "Appliquer" if applies else "Écarter"
        confirm(f"{words} {plural(len(wanted), 'écriture')} ? PostgreSQL garde la trace.", yes=yes, as_json=as_json)
    results = {one.number: _decided(one, applies=applies, named=bool(apply)) for one in wanted}
    _tell(wanted, results, DECISIONS["applied" if applies else "discarded"], as_json=as_json)


def _bring_in(*, only_look: bool) -> Report | None:
    """Replays a journal on the disk, unless a service that runs uses the folder: that service replays it."""
    from retrobus import logbook
    from retrobus.fallback.journal import NAME, read_journal
    from retrobus.fallback.opening import LOCK
    from retrobus.fallback.resync import bring_in
    from retrobus.fallback.timelines import read_timelines
    from retrobus.files.folder import Locked, locked

    settings = Settings()
    logbook.configure("console", "error")
    folder = settings.backups_dir
    if not os.path.lexists(folder / NAME):
        return None
    try:
        with locked(folder, LOCK):
            journal = read_journal(folder, max_age=settings.journal_max_age * DAY)
            if not only_look:
                return with_connection(lambda connection: bring_in(connection, journal), read_timelines(folder))
            damaged = "" if journal.refusal is None else f" ({journal.refusal})"
            waiting = f"{plural(len(journal), 'écriture')} à reprendre{damaged}"
            typer.echo(f"📓 Sur le disque : {waiting} : retrobus resync", err=True)
    except Locked:
        typer.echo(f"Un service utilise {folder} : il reprend lui-même son journal.", err=True)
    return None


async def _open(connection: OwnNames) -> Listed:
    """The open conflicts with what differs, and the names of the members who wrote."""
    from retrobus.fallback.resync import differences, open_conflicts

    found = [(one, await differences(connection, one)) for one in await open_conflicts(connection)]
    return found, await names_of(connection, (one.member for one, _ in found))


def _chosen(found: list[Found], numbers: list[int]) -> list[OpenConflict]:
    """The conflicts with these numbers, all of them without any; a number that is not open ends the command."""
    by_number = {one.number: one for one, _ in found}
    unknown = [str(number) for number in numbers if number not in by_number]
    if unknown:
        raise stop(f"aucun conflit ouvert ne porte ce numéro : {', '.join(unknown)}")
    return [by_number[number] for number in dict.fromkeys(numbers)] or list(by_number.values())


def _show(listed: Listed, past: Past | None, report: Report | None, *, as_json: bool) -> None:
    """Shows the open conflicts, and those of the past if they were asked for."""
    found, names = listed
    if as_json:
        conflicts = [document(one, changes, names) for one, changes in found]
        settled = {} if past is None else {"settled": [settled_document(one, past[1]) for one in past[0]]}
        answer({"conflicts": conflicts, "replayed": _counts(report)} | settled)
        return
    if report is not None:
        words = f"{plural(report.applied, 'reprise')}, {report.already} déjà là, {len(report.conflicts)} en conflit"
        typer.echo(f"📓 Journal du disque : {words}")
    show_open(found, names)
    if past is not None:
        show_settled(*past)


async def _settled(connection: OwnNames) -> Past:
    from retrobus.fallback.resync import settled_conflicts

    found = await settled_conflicts(connection)
    return found, await names_of(connection, (one.member for one in found))


def _show_one(number: int, *, as_json: bool) -> None:
    from retrobus.fallback.conflict_view import document_of, ids_in, view_of

    async def work(connection: OwnNames) -> tuple[ConflictView, dict[str, str]] | None:
        view = await view_of(connection, number)
        return None if view is None else (view, await names_of(connection, ids_in(view)))

    shown = with_connection(work)
    if shown is None:
        raise stop(f"aucun conflit ne porte le numéro {number} : voir retrobus resync --list --all")
    if as_json:
        answer(document_of(*shown))
    else:
        show_one(*shown)


def _restore(number: int, *, yes: bool, as_json: bool) -> None:
    from retrobus.fallback.resync import NothingKept
    from retrobus.fallback.resync import restore as put_back

    words = f"Remettre la ligne gardée par le conflit {number} ? Celle d'aujourd'hui, s'il y en a une, prend sa place."
    confirm(words, yes=yes, as_json=as_json)
    try:
        resource, key = with_connection(partial(put_back, number=number))
    except NothingKept:
        raise stop(f"le conflit {number} ne garde aucune ligne : voir retrobus resync --list --all") from None
    if as_json:
        report_done({"restored": {"resource": resource, "key": key}})
    else:
        say(f"✅ {row_named(resource, key)} remis")


def _counts(report: Report | None) -> dict[str, int] | None:
    if report is None:
        return None
    return {"replayed": report.applied, "already": report.already, "conflicts": len(report.conflicts)}


def _decided(one: OpenConflict, *, applies: bool, named: bool) -> str | None:
    """None if the conflict is decided now; else the reason why nothing of it was done."""
    from retrobus.database.errors import REFUSED_VALUES
    from retrobus.fallback.resync import Decided, Deleted, discard
    from retrobus.fallback.resync import apply as apply_conflict

    decide = partial(discard, number=one.number)
    if applies:
        decide = partial(apply_conflict, conflict=one, named=named)
    try:
        with_connection(decide)
    except Decided:
        return "déjà réglé"
    except Deleted:
        return f"la ligne a été supprimée depuis ; pour la rétablir : --apply {one.number}"
    except REFUSED_VALUES as error:
        return sentence(error)
    return None


def _tell(wanted: list[OpenConflict], results: dict[int, str | None], done: str, *, as_json: bool) -> None:
    """Prints what became of each conflict; the command ends with 1 if one is left open."""
    left = {number: reason for number, reason in results.items() if reason is not None}
    if as_json:
        answer({"done": [number for number in results if number not in left], "left": left})
    for one in () if as_json else wanted:
        sign, words = ("⚠️ ", f"laissé : {left[one.number]}") if one.number in left else ("✅", done)
        say(f"{sign} {one.number} {written(one)} : {words}")
    if not wanted and not as_json:
        typer.echo(NONE_OPEN)
    if left:
        raise typer.Exit(1)
