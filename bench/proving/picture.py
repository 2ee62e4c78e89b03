"""The run as a picture: for each fault what was answered, how fast, and how long nothing was."""

from collections.abc import Sequence
from pathlib import Path

from proving.catalogue import FAULTS
from proving.run import Result
from proving.site import Kind

COLOURS: dict[Kind, str] = {"strict": "tab:blue", "fallback": "tab:orange"}
Value = float | None


def draw(results: Sequence[Result], file: Path) -> None:
    """Writes the picture; matplotlib must be installed."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that most do not install
    from matplotlib.patches import Patch  # noqa: PLC0415 - an extra that most do not install

    names = [name for name in FAULTS if any(result.fault == name for result in results)]
    drawing = Figure(figsize=(13, 1.5 + 0.32 * len(names)), layout="constrained")
    panels = {
        "requests served during the fault, %": (_available, False),
        "p99 of 2xx, ms (log)": (lambda result: result.figures.p99, True),
        "p99 of 503, ms (log)": (lambda result: result.figures.refused_p99, True),
        "seconds without an acknowledged write": (lambda result: result.figures.no_write, False),
    }
    for axis, (title, (value, logarithmic)) in zip(
        drawing.subplots(1, len(panels), sharey=True), panels.items(), strict=True
    ):
        for offset, kind in ((-0.2, "strict"), (0.2, "fallback")):
            found = {result.fault: value(result) for result in results if result.kind == kind}
            places = [place + offset for place, name in enumerate(names) if found.get(name) is not None]
            values = [found[name] for name in names if found.get(name) is not None]
            axis.barh(places, values, height=0.38, color=COLOURS[kind], log=logarithmic)
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axis.set_yticks(range(len(names)), [FAULTS[name].title for name in names])
    axis.invert_yaxis()
    handles = [Patch(color=colour, label=kind) for kind, colour in COLOURS.items()]
    drawing.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(file, dpi=100)


def _available(result: Result) -> Value:
    return 100 * result.figures.served / result.figures.calls if result.figures.calls else None
