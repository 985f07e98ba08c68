"""Write docs/reference/inputs.md from the tables of inputs that check and diff read. A test holds it current."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flow_resources.core import cluster_fields, job_fields, ssh_key_fields, volume_fields
from flow_resources.core.inputs import Field

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "inputs.md"
TABLES: dict[str, Sequence[Field]] = {
    "GpuCluster": cluster_fields.FIELDS,
    "Job": job_fields.FIELDS,
    "SshKey": ssh_key_fields.FIELDS,
    "Volume": volume_fields.FIELDS,
}
HEAD = """\
# Inputs

Every input of every resource. `python tools/inputs_page.py` writes this page from the tables that check and diff read.

- **Type**: what the input takes; each of them can also be an output of another resource.
- **A change**: what it does to a resource that exists. "In place" needs no new resource; "replace" makes a new one.
- **Sensitive**: no message shows the value, and the name in the service contains only a keyed hash of it.
"""
COLUMNS = ("input", "type", "what it means", "default", "a change", "sensitive")


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for name, fields in TABLES.items() for line in section(name, fields))])


def section(name: str, fields: Sequence[Field]) -> Iterator[str]:
    """Yield the lines of one resource's section."""
    yield from (f"## {name}", "", row(*COLUMNS), row(*["---"] * len(COLUMNS)))
    for field in fields:
        sensitive = "yes" if field.sensitive else "no"
        yield row(f"`{field.name}`", field.type, field.doc, default(field), field.change.value, sensitive)
    yield ""


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cell.replace('|', 'or') for cell in cells)} |"


def default(field: Field) -> str:
    """Return the default of an input, as a program writes it."""
    if field.required and field.unless:
        return f"required, or {' or '.join(f'`{one}`' for one in field.unless)}"
    return "required" if field.required else f"`{field.default!r}`".replace("'", '"')


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
