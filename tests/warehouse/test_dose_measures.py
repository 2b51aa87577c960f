"""Dose measures: the same answers from both engines, and pages whose spread is of the same rows as the median."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Connection, and_, func, insert, select

from dashboards.dose.queries import QUANTITIES
from tests.dashboards.star_builder import IN_DOUBT, build_star
from warehouse.engines import Star, StarReader
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE, evaluate
from warehouse.measures.measure import percentile
from warehouse.schema import dim_date, dim_protocol, fact_exam, fact_exam_dose, fact_irradiation_event, metadata
from warehouse.scope import EVERYTHING

DOSE = [name for name, measure in CATALOGUE.items() if measure.permission == "view_dose"]


@pytest.fixture
def star(tmp_path: Path) -> Star:
    build_star(tmp_path / "star")
    return StarReader(tmp_path / "star").current()


def whole(star: Star) -> Filters:
    first, last = star.frame(select(func.min(fact_exam.c.local_day), func.max(fact_exam.c.local_day))).row(0)
    return Filters(first, last)


@pytest.mark.services
def test_postgresql_gives_the_same_dose(star: Star, postgres: Connection) -> None:
    metadata.create_all(postgres)
    for table in (fact_exam, fact_irradiation_event, fact_exam_dose, dim_date, dim_protocol):
        postgres.execute(insert(table), star.frame(select(table)).to_dicts())
    days, compared = whole(star), 0
    for name in DOSE:
        query = CATALOGUE[name].query(days, EVERYTHING, ("month", "protocol"))
        theirs = sorted(tuple(row) for row in postgres.execute(query))
        ours = sorted(star.frame(query).rows())
        assert len(theirs) == len(ours), name
        for one, other in zip(ours, theirs, strict=True):
            assert (*one[:2], one[3]) == (*other[:2], other[3]), name
            assert (one[2] is None) == (other[2] is None), name
            assert one[2] is None or float(one[2]) == pytest.approx(float(other[2])), name
            compared += 1
    postgres.close()
    assert compared > 3 * len(DOSE)


@pytest.mark.parametrize("name", ["dlp", "ctdivol", "ctdivol_head", "agd"])
def test_what_the_page_spreads_are_the_rows_of_its_median(star: Star, name: str) -> None:
    quantity, days = QUANTITIES[name], whole(star)
    fact = quantity.fact
    joined = fact.join(fact_exam, and_(fact.c.exam_key == fact_exam.c.exam_key, fact.c.month == fact_exam.c.month))
    every = select(percentile(0.5, quantity.value), func.count()).select_from(joined)
    drawn = star.frame(every.where(days.clauses(fact, EVERYTHING), quantity.where)).row(0)
    told = evaluate(star, CATALOGUE[quantity.measure], days, EVERYTHING).select("value", "n").row(0)
    assert drawn == pytest.approx(told)


def test_exams_in_doubt_are_in_no_spread(star: Star) -> None:
    """Counted by hand: the star marks every exam whose key leaves 50 when divided by 97."""
    exams = star.frame(select(fact_exam_dose.c.exam_key, fact_exam_dose.c.dose_kind))
    ours = [key for key, kind in exams.rows() if kind == "ct" and key % 97 != IN_DOUBT]
    drawn = star.frame(select(func.count()).where(QUANTITIES["dlp"].where)).item()
    assert drawn == len(ours) < exams.filter(pl.col("dose_kind") == "ct").height
