from __future__ import annotations

import pytest
from sqlalchemy import Engine

from state.views import MOST_VIEWS, SavedViews, ViewError
from tests.state.conftest import Clock


@pytest.fixture
def views(engine: Engine, clock: Clock) -> SavedViews:
    return SavedViews(engine, clock)


def test_own_views_and_shared_ones_are_seen_by_name(views: SavedViews) -> None:
    views.keep("ada", "/dose/inbox", "size", "reader=size", is_shared=True)
    views.keep("ada", "/dose/inbox", " Drift,  CT ", "reader=drift&modality=CT", is_shared=False)
    views.keep("ben", "/dose/inbox", "Closed", "show=closed", is_shared=False)
    views.keep("ada", "/dose", "CT", "modality=CT", is_shared=True)
    assert [one.name for one in views.of("ada", "/dose/inbox")] == ["Drift, CT", "size"]
    assert [(one.name, one.owner) for one in views.of("ben", "/dose/inbox")] == [("Closed", "ben"), ("size", "ada")]


def test_the_same_name_is_replaced_and_only_the_owner_forgets(views: SavedViews) -> None:
    views.keep("ada", "/dose", "CT", "modality=CT", is_shared=True)
    views.keep("ada", "/dose", "CT", "modality=CT&site=NORTH", is_shared=True)
    [one] = views.of("ben", "/dose")
    assert one.query == "modality=CT&site=NORTH"
    assert not views.forget("ben", one.id)
    assert views.forget("ada", one.id)
    assert not views.forget("ada", one.id)
    assert views.of("ada", "/dose") == []


def test_names_choices_and_their_number_have_bounds(views: SavedViews) -> None:
    for name, query in (("  ", "a=1"), ("x" * 61, "a=1"), ("x", "a=" + "1" * 2000)):
        with pytest.raises(ViewError):
            views.keep("ada", "/dose", name, query, is_shared=False)
    for number in range(MOST_VIEWS):
        views.keep("ada", "/dose", f"view {number}", "a=1", is_shared=False)
    with pytest.raises(ViewError, match="forget one first"):
        views.keep("ada", "/dose", "one more", "a=1", is_shared=False)
    views.keep("ada", "/dose", "view 1", "a=2", is_shared=False)
    views.keep("ben", "/dose", "one more", "a=1", is_shared=False)
