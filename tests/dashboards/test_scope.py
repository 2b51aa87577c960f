"""Nobody sees a row outside their sites and departments, whatever the address asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboards._shell.reading import Reading
from dashboards.dose.queries import QUANTITIES, highest_events
from warehouse.filters import Filters, visible_exam
from warehouse.measures import CATALOGUE, evaluate
from warehouse.scope import Scope

CLOSED = [
    Scope(rows=True, sites=frozenset()),
    Scope(rows=True, departments=frozenset()),
    Scope(rows=True, departments=frozenset({"Elsewhere"})),
]


@pytest.mark.parametrize("scope", CLOSED)
@pytest.mark.parametrize("name", CATALOGUE)
def test_no_measure_counts_a_row_outside_the_scope(name: str, scope: Scope, reading: Reading) -> None:
    assert (evaluate(reading.star, name, reading.filters, scope)["n"].fill_null(0) == 0).all()


def test_own_department_sees_what_everybody_sees_of_it(reading: Reading) -> None:
    """Every exam of the small star was ordered by Emergency."""
    own = evaluate(reading.star, "exams", reading.filters, Scope(departments=frozenset({"Emergency"})))
    assert own.equals(evaluate(reading.star, "exams", reading.filters, Scope()))


def test_forged_filter_only_narrows(reading: Reading) -> None:
    sites = reading.star.text("SELECT site_code FROM dim_site WHERE site_key <> 0 ORDER BY 1")["site_code"].to_list()
    scope = Scope(rows=True, sites=frozenset(sites[:1]))
    foreign = replace(reading.filters, site=tuple(sites[1:]))
    assert (evaluate(reading.star, "exams", foreign, scope)["n"].fill_null(0) == 0).all()
    everything = Filters.from_query({"site": ",".join(sites), "period": "365d"}, reading.filters.end)
    found = evaluate(reading.star, "exams", everything, scope, ("site",))
    assert set(found["site"].to_list()) <= {sites[0]}


@pytest.mark.parametrize("scope", CLOSED)
def test_rows_and_single_exams_outside_the_scope_are_not_there(scope: Scope, reading: Reading) -> None:
    key = reading.star.text("SELECT exam_key FROM fact_exam LIMIT 1")["exam_key"][0]
    assert reading.star.frame(visible_exam(key, Scope())).height == 1
    assert reading.star.frame(visible_exam(key, scope)).is_empty()
    closed = replace(reading, scope=scope)
    assert all(highest_events(closed, quantity).is_empty() for quantity in QUANTITIES.values())
