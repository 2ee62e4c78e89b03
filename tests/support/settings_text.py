"""What the documents say of the settings, made from the settings themselves."""

from pathlib import Path

from pydantic.fields import FieldInfo

from retrobus.settings import Settings

HEADER = """\
# Every setting of the service. A commented line shows the default; a line without value has none.
# Read in this order, the last one wins: .env, .env.local, the environment of the process.
# Or, instead of both files: retrobus --env-file /etc/retrobus.env …; the environment of the process still wins.
# Neither .env nor .env.local is ever committed.
"""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value if value is not None else "")


def _fields() -> list[tuple[str, FieldInfo]]:
    return [(name.upper(), field) for name, field in Settings.model_fields.items()]


def example_file() -> str:
    """`.env.example`, whole."""
    return HEADER + "".join(_entry(name, field) for name, field in _fields())


def _entry(name: str, field: FieldInfo) -> str:
    example = f"# For example: {field.examples[0]}\n" if field.examples else ""
    return f"\n# {field.description}\n{example}#{name}={_shown(field.default)}\n"


def table() -> str:
    """The table of the README."""
    rows = [f"| `{name}` | {_code(_shown(field.default))} | {field.description} |" for name, field in _fields()]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])


def _code(value: str) -> str:
    return ", ".join(f"`{word}`" for word in value.split(",")) if value else "–"


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    (root / ".env.example").write_text(example_file(), encoding="utf-8")
    readme = (root / "README.md").read_text(encoding="utf-8")
    before, _, rest = readme.partition("| variable | default | meaning |")
    (root / "README.md").write_text(before + table() + "\n\n" + rest.partition("\n\n")[2], encoding="utf-8")
