"""The result of `make bench`: one Markdown table, and one picture where matplotlib is installed."""

import os
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from timing.collection import Workload
from timing.load import Slice

HEAD = """| what | server | figure | ours / it | p50 ms | p99 ms | errors |
| --- | --- | --- | --- | --- | --- | --- |"""
BEGIN, END = "<!-- the last run -->", "<!-- end of the last run -->"
HOW_TO_INSTALL = ".venv/bin/pip install --require-hashes -r requirements-bench.lock"


@dataclass
class Figures:
    """What was measured: slices by workload and server, the limit's rates by workload, memory and start by server."""

    slices: dict[tuple[Workload, str], list[Slice]] = field(default_factory=dict)
    limits: dict[Workload, list[float]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)

    def add(self, others: "Figures") -> None:
        """Adds the slices of another round."""
        for place, found in others.slices.items():
            self.slices.setdefault(place, []).extend(found)
        for workload, rates in others.limits.items():
            self.limits.setdefault(workload, []).extend(rates)

    def rates(self, workload: Workload) -> dict[str, float]:
        """The median rate of each server that was measured."""
        return {name: median(s.rate for s in found) for (work, name), found in self.slices.items() if work is workload}


def lines(figures: Figures, workloads: tuple[Workload, ...], ours: str, limit: str) -> Iterator[str]:
    """The table, line by line; ratios are medians over the rounds, because the rounds differ."""
    yield HEAD
    for workload in workloads:
        own = [each.rate for each in figures.slices[workload, ours]]
        for name in figures.rates(workload):
            rates, p50, p99, errors = zip(*figures.slices[workload, name], strict=True)
            figure, ratio = f"{median(rates):,.0f}", _ratio(own, rates)
            times = f"{median(p50):.2f} | {median(p99):.1f}"
            yield f"| {workload.title}, requests/s | {name} | {figure} | {ratio} | {times} | {sum(errors)} |"
        if rates := figures.limits.get(workload):
            figure, ratio = f"{median(rates):,.0f}", _ratio(own, rates)
            yield f"| {workload.title}, statements/s | {limit} | {figure} | {ratio} | – | – | – |"
    for name, size in figures.memory.items():
        ratio = _ratio([figures.memory[ours]], [size])
        yield f"| memory (RSS) after the load, MiB | {name} | {size:.0f} | {ratio} | – | – | – |"
    for name, starts in figures.starts.items():
        ratio = _ratio(figures.starts[ours], starts)
        yield f"| cold start to the first row, s | {name} | {median(starts):.2f} | {ratio} | – | – | – |"


def _ratio(ours: Iterable[float], theirs: Iterable[float]) -> str:
    """The median over the rounds of ours / theirs, without rounds in which a server answered nothing."""
    found = [a / b for a, b in zip(ours, theirs, strict=True) if b]
    return f"{median(found):.2f}" if found else "–"


def machine() -> str:
    """One sentence about when and where the run was."""
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    cores = f"{os.cpu_count()} cores ({processor[1] if processor else platform.machine()}), {size:.0f} GiB of memory"
    today = datetime.now(UTC).date()
    system = f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    return f"{today}: {cores}, {system}. Load average of the machine before the run: {os.getloadavg()[0]:.1f}."


def record(text: str, file: Path, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Puts the text between the two marks of a document, in place of the last run."""
    begin, end = marks
    before, found, rest = file.read_text().partition(begin)
    _, last, after = rest.partition(end)
    if not (found and last):
        raise ValueError(f"{file} lacks the marks {begin} and {end}")
    file.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(figures: Figures, workloads: tuple[Workload, ...], file: Path) -> None:
    """The table as a picture: one panel for each workload, one for memory and one for the start."""
    from matplotlib import colormaps  # noqa: PLC0415 - an extra that most do not install
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra that most do not install
    from matplotlib.patches import Patch  # noqa: PLC0415 - an extra that most do not install

    panels = {_title(workload, figures): figures.rates(workload) for workload in workloads}
    panels["memory after the load\nMiB, less is better"] = figures.memory
    panels["cold start to the first row\nseconds, less is better"] = {n: median(s) for n, s in figures.starts.items()}
    names = list(figures.memory)
    colours = dict(zip(names, colormaps["tab10"].colors, strict=False))
    drawing = Figure(figsize=(12, 5.5), layout="constrained")
    axes = drawing.subplots(2, -(-len(panels) // 2)).flat
    for axis, (title, panel) in zip(axes, panels.items(), strict=False):
        bars = axis.barh(list(panel), list(panel.values()), color=[colours[name] for name in panel])
        axis.bar_label(bars, [f"{v:,.0f}" if v >= 10 else f"{v:.2f}" for v in panel.values()], fontsize=8, padding=2)
        axis.set_title(title, fontsize=9)
        axis.invert_yaxis()
        axis.margins(x=0.25)
    for axis in drawing.axes:
        axis.set_visible(axis.has_data())
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    handles = [Patch(color=colours[name], label=name) for name in names]
    drawing.legend(handles=handles, loc="outside lower center", ncols=len(names), fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(file, dpi=100)


def _title(workload: Workload, figures: Figures) -> str:
    rates = figures.limits.get(workload)
    limit = f"; pgbench: {median(rates):,.0f}" if rates else ""
    return f"{workload.title}\nrequests/s, more is better{limit}"
