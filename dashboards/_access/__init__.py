"""Sign-in, roles and scope, and the guard before every route.

The shell calls `install` once; pages and the shell ask `current_person`, `current_scope` and `audit_export`; further
Flask views of the shell say with `needs` which permission opens them.
"""

from dashboards._access.guard import needs
from dashboards._access.installation import install
from dashboards._access.people import Person, audit_export, current_person, current_scope
from dashboards._access.startup import InsecureError, refuse_insecure

__all__ = [
    "InsecureError",
    "Person",
    "audit_export",
    "current_person",
    "current_scope",
    "install",
    "needs",
    "refuse_insecure",
]
