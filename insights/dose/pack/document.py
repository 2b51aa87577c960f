"""The pack as a PDF that a screen reader can follow (PDF/UA): headings, tables with heads, a language, a title."""

from __future__ import annotations

import os
from datetime import date
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from insights.dose.pack.contents import Pack, Part
from insights.dose.words import amount

# The library that cuts the font to the letters used stamps it with the time, unless this says otherwise.
os.environ.setdefault("SOURCE_DATE_EPOCH", "0")

FONT = Path(__file__).parents[3] / "assets" / "fonts" / "inter-latin-wght-normal.woff2"
MOST_ROWS = 400
"""Rows of a table in the document; the workbook has all."""
STYLE = """
@font-face { font-family: Inter; src: url("%s"); font-weight: 100 900; }
@page { size: A4 landscape; margin: 14mm 12mm 16mm; @bottom-right { content: counter(page) " / " counter(pages); font: 8pt Inter; }
        @bottom-left { content: "%s"; font: 8pt Inter; } }
body { font: 8.5pt/1.35 Inter; color: #1d2939; }
h1 { font-size: 20pt; margin: 0 0 2mm; } h2 { font-size: 12pt; margin: 8mm 0 1mm; break-after: avoid; }
p { margin: 0 0 2mm; } .lead { font-size: 10pt; color: #475467; }
table { border-collapse: collapse; width: 100%%; table-layout: auto; } thead { display: table-header-group; }
th, td { border-bottom: 0.4pt solid #d0d5dd; padding: 1mm 1.4mm; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; border-bottom: 0.8pt solid #475467; } .number { text-align: right; white-space: nowrap; } tr { break-inside: avoid; }
"""


def document(pack: Pack) -> bytes:
    """The PDF; the same contents give the same bytes."""
    from weasyprint import HTML  # seconds to import: only who makes a document waits for it

    text = _html(pack)
    identity = sha256(text.encode()).digest()[:16]
    made: bytes = HTML(string=text, base_url=FONT.parent.as_uri()).write_pdf(
        pdf_variant="pdf/ua-1", pdf_identifier=identity
    )
    return made


def _html(pack: Pack) -> str:
    title = f"Dose: inspector's pack, {pack.first} to {pack.last}"
    style = STYLE % (FONT.as_uri(), escape(f"{pack.organisation} · {title}").replace('"', ""))
    head = (
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="author" content="{escape(pack.organisation, quote=True)}">'
        f'<meta name="dcterms.created" content="{pack.last.isoformat()}"><style>{style}</style></head><body>'
    )
    lead = f'<h1>{escape(title)}</h1><p class="lead">{escape(pack.organisation)}, {escape(pack.sites)}</p>'
    return head + lead + "".join(_part(part) for part in pack.parts) + "</body></html>"


def _part(part: Part) -> str:
    more = part.frame.height - MOST_ROWS
    note = part.note + (
        f" The first {MOST_ROWS} of {part.frame.height} rows; the workbook has all." if more > 0 else ""
    )
    start = f"<h2>{escape(part.title)}</h2>" + (f"<p>{escape(note.strip())}</p>" if note.strip() else "")
    if part.frame.is_empty():
        return start + "<p>None.</p>"
    kept = [name for name in part.frame.columns if part.frame[name].drop_nulls().len()]
    css = {name: "number" if part.frame[name].dtype.is_numeric() else "text" for name in kept}
    heads = "".join(f'<th scope="col" class="{css[name]}">{escape(name.replace("_", " "))}</th>' for name in kept)
    rows = "".join(
        "<tr>" + "".join(f'<td class="{css[name]}">{escape(_said(row[name]))}</td>' for name in kept) + "</tr>"
        for row in part.frame.head(MOST_ROWS).iter_rows(named=True)
    )
    return f"{start}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return amount(value, "")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
