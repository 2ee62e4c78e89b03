"""What `retrobus doctor` says of what `retrobus db repair` mends."""

from collections.abc import Iterator

from retrobus.cli.checklist import Item, bad, doubtful, good
from retrobus.cli.repair import counted, named
from retrobus.repair.findings import Findings

CURE = "retrobus db repair"


def repair_items(found: Findings) -> Iterator[Item]:
    """A line for each kind of harm that is done past the triggers."""
    yield _identity(found)
    yield _triggers(found)
    yield _sequences(found)
    yield _rows(found)
    yield _deletions(found)


def _identity(found: Findings) -> Item:
    if not found.at_home:
        return bad("Identité de la base", "celle d'une autre base : celle-ci a été restaurée ou copiée", CURE)
    return good("Identité de la base", "donnée à cette base")


def _triggers(found: Findings) -> Item:
    kinds = (("modifié ou absent", found.functions), ("absent", found.missing), ("désactivé", found.disabled))
    told = [f"{text} : {named(names)}" for text, names in kinds if names]
    if told:
        return bad("Déclencheurs", " ; ".join(told), CURE)
    return good("Déclencheurs", "présents et actifs")


def _sequences(found: Findings) -> Item:
    if found.sequences:
        text = f"derrière leur table (la prochaine écriture qui s'y heurte les avance) : {named(found.sequences)}"
        return doubtful("Séquences", text, CURE)
    return good("Séquences", "devant leurs tables")


def _rows(found: Findings) -> Item:
    if found.orphans:
        return bad("Lignes", f"événements d'un véhicule absent : {named(found.orphans)}", CURE)
    if found.stale:
        return bad(
            "Lignes", f"écrites sans les déclencheurs, servies dans un état ancien : {counted(found.stale)}", CURE
        )
    return good("Lignes", "servies telles qu'elles sont")


def _deletions(found: Findings) -> Item:
    told = [f"{len(found.erased)} membres effacés ({named(found.erased)})"] if found.erased else []
    told += [counted(found.returned)] if found.returned else []
    if told:
        return bad("Suppressions", f"revenus sans être créés : {' ; '.join(told)}", f"{CURE} --dry-run")
    return good("Suppressions", "aucune ligne supprimée n'est revenue")
