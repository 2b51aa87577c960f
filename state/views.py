"""Saved views: the choices of a page's address under a name, for oneself or for all who may open the page.

A view holds choices and never data: who opens it sees what their own scope opens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Engine, delete, func, insert, or_, select

from state.audit import utc_now
from state.database import writing
from state.tables import saved_views

MOST_NAME, MOST_QUERY = 60, 2000
MOST_VIEWS = 40
"""Of one person on one page."""


class ViewError(Exception):
    """A view that cannot be kept; the message says why."""


@dataclass(frozen=True)
class SavedView:
    """One view."""

    id: int
    owner: str
    page: str
    name: str
    query: str
    is_shared: bool


@dataclass(frozen=True)
class SavedViews:
    """The views of one database."""

    engine: Engine
    clock: Callable[[], datetime] = utc_now

    def keep(self, owner: str, page: str, name: str, query: str, *, is_shared: bool) -> None:
        """Keeps a view; the owner's view of the same name on the page is replaced.

        Raises:
            ViewError: no name, a name or query that is too long, or too many views.
        """
        plain = " ".join(name.split())
        if not plain or len(plain) > MOST_NAME:
            raise ViewError(f"Give it a name of at most {MOST_NAME} characters.")
        if len(query) > MOST_QUERY:
            raise ViewError("So many choices fit in no view: choose fewer.")
        mine = (saved_views.c.owner == owner, saved_views.c.page == page)
        row = {"owner": owner, "page": page, "name": plain, "query": query, "is_shared": is_shared}
        with writing(self.engine) as connection:
            connection.execute(delete(saved_views).where(*mine, saved_views.c.name == plain))
            if (
                connection.execute(select(func.count()).select_from(saved_views).where(*mine)).scalar_one()
                >= MOST_VIEWS
            ):
                raise ViewError(f"You have {MOST_VIEWS} views of this page: forget one first.")
            connection.execute(insert(saved_views).values(row | {"kept_at": self.clock()}))

    def forget(self, owner: str, number: int) -> bool:
        """Forgets a view of its owner; False where there is none of that number."""
        with writing(self.engine) as connection:
            gone = delete(saved_views).where(saved_views.c.id == number, saved_views.c.owner == owner)
            return connection.execute(gone).rowcount > 0

    def of(self, reader: str, page: str) -> list[SavedView]:
        """The reader's own views of a page and those that others share, by name."""
        visible = or_(saved_views.c.owner == reader, saved_views.c.is_shared)
        columns = [saved_views.c[one.name] for one in fields(SavedView)]
        query = select(*columns).where(saved_views.c.page == page, visible)
        with self.engine.connect() as connection:
            found = [SavedView(**row._mapping) for row in connection.execute(query)]
        return sorted(found, key=lambda one: (one.name.casefold(), one.owner))
