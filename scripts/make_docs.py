"""Writes the pages of docs/ that are made from the code; `--check` only says whether they are current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sqlalchemy import Column, Table

from state.roles import PERMISSIONS, Permission, matrix_markdown
from warehouse.measures import BREAKDOWNS, CATALOGUE, Measure
from warehouse.schema import TABLES

DOCS = Path(__file__).resolve().parents[1] / "docs"
MADE = "<!-- Made from the code by `make docs`; change the code, not this page. -->\n\n"
GOOD = {"up": "up is good", "down": "down is good", "neither": "neither way is good or bad"}


def star_schema() -> str:
    """Every table of the star: grain, keys, columns with unit, source and checks."""
    dimensions = [table for name, table in TABLES.items() if name.startswith("dim_")]
    facts = [table for name, table in TABLES.items() if name.startswith("fact_")]
    parts = [
        "# The star schema\n",
        "From `warehouse/schema.py`. Key 0 (in `dim_time`: -1) is the row for unknown in every dimension. Times are UTC;",
        "days, hours and months are those of the exam's site. Tables marked *by month* are Delta tables partitioned by",
        "`month`. Every publication passes the checks named here before anybody sees it.\n",
        "| table | one row | by month |\n| --- | --- | :-: |",
        *(_overview(table) for table in (*dimensions, *facts)),
        "",
        *(_table(table) for table in (*dimensions, *facts)),
    ]
    return "\n".join(parts)


def _overview(table: Table) -> str:
    return f"| [{table.name}](#{table.name}) | {table.info['grain']} | {'yes' if table.info['monthly'] else ''} |"


def _table(table: Table) -> str:
    unique = ", ".join(f"`{name}`" for name in table.info["unique"])
    head = f"## {table.name}\n\n{table.info['grain']} Unique: {unique}.\n"
    columns = "\n".join(_column(column) for column in table.columns)
    return f"{head}\n| column | type | unit | meaning | source | checks |\n| --- | --- | --- | --- | --- | --- |\n{columns}\n"


def _column(column: Column[object]) -> str:
    info = column.info
    checks = [] if column.nullable else ["not null"]
    if info["references"]:
        checks.append(f"in {info['references']}")
    if info["values"]:
        checks.append("one of " + ", ".join(info["values"]))
    if info["low"] is not None:
        checks.append(f"at least {info['low']}")
    cells = (f"`{column.name}`", str(column.type).lower(), info["unit"], column.doc, info["source"], "; ".join(checks))
    return _row(cells)


def measures() -> str:
    """Every measure: what it means and what it rests on."""
    listed = list(CATALOGUE.values())
    parts = [
        "# The measures\n",
        "Every number on every page, in every export and finding is one of these, defined once in `warehouse/measures`.",
        "Phantom, service and test patients are left out of all of them. A value with a smaller n than the minimum is",
        "shown in grey, and no conclusion is drawn from it.\n",
        f"They can be split by {', '.join(BREAKDOWNS)}.\n",
        "| measure | title | unit | good | minimum n |\n| --- | --- | --- | --- | ---: |",
        *(_row((f"[{m.name}](#{m.name})", m.title, m.unit, m.direction, str(m.minimum_n))) for m in listed),
        "",
        *(_measure(each) for each in listed),
    ]
    return "\n".join(parts)


def _measure(measure: Measure) -> str:
    lines = [
        f"## {measure.name}\n",
        f"**{measure.title}**{f', in {measure.unit}' if measure.unit else ''}; {GOOD[measure.direction]}. "
        f"Version {measure.version}. Asked with the permission “{Permission(measure.permission).words}”.\n",
        f"- Formula: {measure.formula}",
        f"- Rests on: {measure.sources}",
        f"- Left out: {measure.exclusions}",
    ]
    return "\n".join([*lines, *([f"- Note: {measure.notes}"] if measure.notes else []), ""])


def permissions() -> str:
    """Who may do what."""
    return "\n".join(
        [
            "# Permissions\n",
            "From `state/roles.py`. Code asks for a permission, never for a role; what is not granted here is refused. A",
            "person may hold several roles, and is limited to the sites and departments named in the account. Counts below the configured",
            "`small_count` are withheld from whoever may not see exam rows.\n",
            f"There are {len(PERMISSIONS)} roles and {len(Permission)} permissions.\n",
            matrix_markdown(),
        ]
    )


def _row(cells: Iterable[str | None]) -> str:
    return "| " + " | ".join((cell or "").replace("|", "\\|") for cell in cells) + " |"


PAGES: dict[str, Callable[[], str]] = {
    "star-schema.md": star_schema,
    "measures.md": measures,
    "permissions.md": permissions,
}


def outdated() -> list[str]:
    """Names of generated pages that differ from what the code says now."""
    return [
        name
        for name, made in PAGES.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != MADE + made().rstrip() + "\n"
    ]


def main() -> int:
    """Writes the pages, or with `--check` exits with 1 where one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is out of date")
    if parser.parse_args().check:
        late = outdated()
        if late:
            print(f"out of date in docs/: {', '.join(late)}. Run `make docs`.", file=sys.stderr)
        return 1 if late else 0
    for name, made in PAGES.items():
        (DOCS / name).write_text(MADE + made().rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
