"""The facts of what `retrobus db repair` would mend: harm that was done past the triggers."""

from retrobus.checklist.judging import Facts
from retrobus.cli.repair import counted, named
from retrobus.repair.findings import Findings
from retrobus.words import plural


def repair_facts(found: Findings) -> Facts:
    """The findings as texts that the sentences of the checks show; an empty text where nothing is wrong."""
    kinds = (("modifié ou absent", found.functions), ("absent", found.missing), ("désactivé", found.disabled))
    erased = (
        [f"{plural(len(found.erased), 'membre effacé', 'membres effacés')} ({named(found.erased)})"]
        if found.erased
        else []
    )
    return {
        "at_home": found.at_home,
        "triggers": " ; ".join(f"{text} : {named(names)}" for text, names in kinds if names),
        "sequences": named(found.sequences),
        "orphans": named(found.orphans),
        "stale": counted(found.stale),
        "returned": " ; ".join(erased + ([counted(found.returned)] if found.returned else [])),
    }
