"""Builders of small real inputs, and comparisons of stars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from etl.load import Loader, Outcome
from settings import Settings, Site
from state.home import DataHome
from warehouse.engines import Star, StarReader
from warehouse.schema import TABLES

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

NOT_COMPARED = {"fact_load_run", "fact_reject"}
"""When and from which copy something arrived is no fact about an exam."""
RECEIPT_COLUMNS = {"file", "run_id", "position"}

Load = Callable[..., Outcome]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real files from real systems; absent in a clone elsewhere."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared collection of real files (../shared/data), which is not part of the repository")
    return SHARED


@pytest.fixture
def settings() -> Settings:
    return Settings(
        sites=(
            Site(code="NORTH", name="North", time_zone="Europe/Berlin", aliases=("North Hospital",)),
            Site(code="WEST", name="West", time_zone="America/New_York", aliases=("West Clinic",)),
        )
    )


@pytest.fixture
def home(tmp_path: Path) -> DataHome:
    return DataHome.initialise(tmp_path / "data")


@pytest.fixture
def load(home: DataHome, settings: Settings) -> Load:
    def run(*paths: Path) -> Outcome:
        return Loader(home, settings).load(list(paths))

    return run


def star_of(home: DataHome) -> Star:
    return StarReader(home.star).current()


def facts(star: Star) -> dict[str, pl.DataFrame]:
    """Every table of a star, in one order, without what tells only how it arrived."""
    answer = {}
    for name, table in TABLES.items():
        if name not in NOT_COMPARED:
            columns = [column.name for column in table.columns if column.name not in RECEIPT_COLUMNS]
            answer[name] = star.frame(table.select()).select(columns).sort(list(table.info["unique"]), nulls_last=True)
    return answer


def assert_same(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> None:
    for name, frame in left.items():
        assert frame.equals(right[name]), f"{name} differs:\n{frame}\n{right[name]}"


def order(control: str, kind: str, *, at: str, accession: str = "A1", patient: str = "P1", more: str = "") -> str:
    """An ORM message about one exam, as a RIS sends it."""
    return "\r".join(
        [
            f"MSH|^~\\&|RIS|North Hospital|ISO|HUB|{at}||ORM^O01|{control}|P|2.3.1",
            f"PID|1||{patient}^^^NORTH^MR||DOE^JANE||19600102|F",
            "PV1|1|E|ED^1",
            f"ORC|{kind}|PL{accession}|{accession}||{more}||||{at}",
            f"OBR|1|PL{accession}|{accession}|CTHEAD^CT head^L||||||||||||||{accession}||||||CT|||^^^^^S",
        ]
    )


def result(
    control: str,
    status: str,
    *,
    exam_at: str,
    report_at: str,
    accession: str = "A1",
    patient: str = "P1",
    text: str = "normal",
) -> str:
    """An ORU message: OBR-7 is the exam's time, OBR-22 the report's."""
    return "\r".join(
        [
            f"MSH|^~\\&|RIS|North Hospital|ISO|HUB|{report_at}||ORU^R01|{control}|P|2.3.1",
            f"PID|1||{patient}^^^NORTH^MR||DOE^JANE||19600102|F",
            f"OBR|1|PL{accession}|{accession}|CTHEAD^CT head^L|||{exam_at}|||||||||||{accession}||||{report_at}||CT|{status}",
            f"OBX|1|TX|||{text}",
        ]
    )


def merge(control: str, survivor: str, ended: str, *, at: str) -> str:
    """An A40 message: the identity in MRG-1 ends."""
    return "\r".join(
        [
            f"MSH|^~\\&|ADT|North Hospital|ISO|HUB|{at}||ADT^A40|{control}|P|2.3.1",
            f"EVN|A40|{at}",
            f"PID|1||{survivor}^^^NORTH^MR||DOE^JANE||19600102|F",
            f"MRG|{ended}^^^NORTH^MR",
        ]
    )
