"""Table extracts of an EMR or RIS: CSV and Parquet files whose columns the configuration maps, one `Offered` a row."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from etl.sources.contract import (
    Context,
    Identities,
    Input,
    Offered,
    Reject,
    Verdict,
    digest_of,
    not_applicable,
    rejected,
)
from etl.sources.extract.mapping import RefusedRowError, RowMapper, check_extracts
from etl.sources.extract.tables import RefusedFileError, TableRow, column_places, named, open_table
from settings import Extract, Settings

__all__ = ["READER", "check_extracts", "extract_of"]

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")


def extract_of(settings: Settings, name: str) -> Extract | None:
    """The first declared extract whose `files` fits the file's name."""
    plain = _plain(name)
    names = {plain, plain.removesuffix(".gz")}
    return next((one for one in settings.extracts if any(fnmatch.fnmatchcase(each, one.files) for each in names)), None)


def _pulled(settings: Settings, name: str) -> Extract | None:
    """The extract of a pulled file; what the pull wrote of numbers has a point, whatever the extract's files have."""
    found = next((extract for extract in settings.extracts if extract.name == name), None)
    return found and found.model_copy(update={"decimal_mark": "."})


def _plain(name: str) -> str:
    return PurePath(name.rsplit("!", 1)[-1]).name


class ExtractReader:
    """Reads table files; see `etl.sources.contract.Reader`."""

    name = "extract"
    order = 30

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:  # noqa: ARG002
        """Whether the name ends as a table's, or an extract is declared for it."""
        return name.lower().endswith(SUFFIXES) or extract_of(settings, name) is not None

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered` for each row; one for the file where it cannot be mapped."""
        extract = extract_of(context.settings, source.name)
        try:
            with source.opener() as raw:
                table = open_table(raw, source.size, extract, context.settings.limits)
                if table.extract is not None:
                    extract = _pulled(context.settings, table.extract)
                if extract is None:
                    raise _no_mapping(source.name, table.columns)
                mapper = _Mapper(extract, table.columns, context)
                for row in table.rows():
                    yield mapper.offered(row)
        except RefusedFileError as error:
            yield Offered(
                "extract",
                error.verdict,
                _file_digest(source),
                source_name=extract.name if extract else "",
                reject=error.reject,
            )


class _Mapper:
    """One extract applied to the rows of one file."""

    def __init__(self, extract: Extract, columns: list[str], context: Context) -> None:
        self._name = extract.name
        self._places = column_places(extract, columns)
        self._rows = RowMapper(extract, context)
        self._pseudonymiser = context.pseudonymiser
        self._columns = [
            name if name and columns.count(name) == 1 else f"{name}#{place}" for place, name in enumerate(columns)
        ]

    def offered(self, row: TableRow) -> Offered:
        """The row's verdict and landing row."""
        about: dict[str, Any] = {"position": f"row {row.number}", "source_name": self._name}
        if row.reject:
            return rejected("extract", digest_of(self._name, row.data), row.reject, payload=row.data, **about)
        canonical = self._canonical(row)
        digest = digest_of(self._name, canonical)
        if not any(cell is not None and str(cell).strip() for cell in row.cells):
            return not_applicable("extract", digest, "blank-row", "All cells of the row are empty.", **about)
        identities = Identities(self._pseudonymiser)
        try:
            landing = self._rows.row({name: row.cells[place] for name, place in self._places.items()}, identities)
        except RefusedRowError as error:
            return rejected("extract", digest, error.reject, payload=row.data or canonical, **about)
        landing["position"] = about["position"]
        return Offered(
            "extract", Verdict.ACCEPTED, digest, rows={"workflow": [landing]}, identities=identities.seen, **about
        )

    def _canonical(self, row: TableRow) -> bytes:
        """All cells by column, the same for any order of columns, delimiter, quoting and encoding of the file."""
        cells = (cell.strip() if isinstance(cell, str) else cell for cell in row.cells)
        text = json.dumps(dict(zip(self._columns, cells, strict=True)), sort_keys=True, ensure_ascii=False, default=str)
        return text.encode("utf-8", "surrogatepass")


def _file_digest(source: Input) -> str:
    hasher = sha256()
    with source.opener() as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


def _no_mapping(name: str, columns: list[str]) -> RefusedFileError:
    return RefusedFileError(
        Reject(
            "no-mapping",
            f"No [[extracts]] entry's `files` matches this name; found are {named(columns)}.",
            f'To load it, add to the configuration: [[extracts]] with name = "…" and files = "{_plain(name)}", and under '
            '[extracts.columns] lines such as accession = "<column>" and "event:report_final" = "<column>".',
        ),
        Verdict.NOT_APPLICABLE,
    )


READER = ExtractReader()
"""The module's reader."""
