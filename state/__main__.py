"""The commands of people and safety: accounts, audit, identities, the privilege matrix. `python -m state --help`."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Sequence

from settings import Settings, SettingsError, load_settings
from state.accounts import Account, Accounts
from state.audit import AuditTrail
from state.database import open_state
from state.errors import AccountError, StateError
from state.home import DataHome
from state.roles import Role, matrix_markdown
from state.vault import Vault

DONE, FAILED, WRONG_USE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 done, 1 failed, 2 wrong use or configuration."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, Settings], int] = parsed.run
    try:
        return run(parsed, load_settings())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return WRONG_USE
    except StateError as error:
        print(error, file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m state", description="Accounts, audit, identities and roles.")
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    account = groups.add_parser("account", help="make and change accounts").add_subparsers(required=True)
    for name, run, words in (
        ("add", _add, "make an account; asks for the password"),
        ("rights", _rights, "replace an account's roles, sites and departments; its sessions end"),
        ("password", _password, "replace an account's password; its sessions end"),
        ("disable", _disable, "close an account; its sessions end"),
        ("enable", _enable, "open a closed account again"),
    ):
        command = account.add_parser(name, help=words, description=words)
        command.set_defaults(run=run)
        command.add_argument("name", metavar="NAME", help="user name")
        if name in {"add", "rights"}:
            command.add_argument("--role", action="append", required=True, type=Role, help=f"one of {', '.join(Role)}; may be repeated")  # fmt: skip
            command.add_argument("--site", action="append", help="site code that may be seen; may be repeated; all where absent")  # fmt: skip
            command.add_argument("--department", action="append", help="ordering department that may be seen; may be repeated; all where absent")  # fmt: skip
        if name == "add":
            command.add_argument("--display-name", default="", help="name shown on the pages")
        if name in {"add", "password"}:
            command.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    listing = account.add_parser("list", help="all accounts", description="all accounts")
    listing.set_defaults(run=_list)
    listing.add_argument("--json", action="store_true", help="as JSON on standard output")
    audit = groups.add_parser("audit", help="check and read the audit").add_subparsers(required=True)
    verify = audit.add_parser("verify", help="prove that no row was changed, removed or inserted")
    verify.set_defaults(run=_verify)
    show = audit.add_parser("show", help="the latest rows, newest first")
    show.set_defaults(run=_show)
    show.add_argument("--count", type=int, default=20, help="how many (20)")
    show.add_argument("--json", action="store_true", help="as JSON on standard output")
    identity = groups.add_parser("identity", help="open the identity behind a pseudonym; audited with the reason")
    identity.set_defaults(run=_identity)
    identity.add_argument("pseudonym", metavar="PSEUDONYM", help="32 hexadecimal digits, as the star shows them")
    identity.add_argument("--reason", required=True, help="why it is opened; kept in the audit")
    roles = groups.add_parser("roles", help="the privilege matrix as Markdown")
    roles.set_defaults(run=_roles)
    return parser


def _actor() -> str:
    return f"operator:{getpass.getuser()}"


def _audit(settings: Settings, *, make: bool = False) -> AuditTrail:
    """The audit of the data directory, which is made first where the command may begin one."""
    path = settings.data_directory
    home = DataHome.open_or_initialise(path) if make else DataHome.open(path)
    return AuditTrail(open_state(home.state_file), home.derived("audit"))


def _accounts(settings: Settings, *, make: bool = False) -> Accounts:
    audit = _audit(settings, make=make)
    return Accounts(audit.engine, audit)


def _asked_password(parsed: argparse.Namespace) -> str:
    if parsed.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password (15 characters or more): ")
    if getpass.getpass("The same again: ") != first:
        raise AccountError("The two passwords differ. Start again.")
    return first


def _known_sites(parsed: argparse.Namespace, settings: Settings) -> list[str] | None:
    """The sites asked for, or None for all; a code that the settings do not know is refused."""
    known = [site.code for site in settings.sites]
    for code in parsed.site or ():
        if code not in known:
            raise AccountError(f"--site {code} is none of the configured sites: {', '.join(known)}.")
    sites: list[str] | None = parsed.site
    return sites


def _add(parsed: argparse.Namespace, settings: Settings) -> int:
    sites = _known_sites(parsed, settings)
    accounts = _accounts(settings, make=True)
    made = accounts.create(
        _actor(),
        parsed.name,
        _asked_password(parsed),
        parsed.role,
        display_name=parsed.display_name,
        sites=sites,
        departments=parsed.department,
    )
    print(f"Account {made.username} is made.")
    return DONE


def _rights(parsed: argparse.Namespace, settings: Settings) -> int:
    _accounts(settings).set_rights(
        _actor(), parsed.name, parsed.role, _known_sites(parsed, settings), parsed.department
    )
    print("Done. The account's sessions have ended.")
    return DONE


def _password(parsed: argparse.Namespace, settings: Settings) -> int:
    _accounts(settings).set_password(_actor(), parsed.name, _asked_password(parsed))
    print("Done. The account's sessions have ended.")
    return DONE


def _disable(parsed: argparse.Namespace, settings: Settings) -> int:
    _accounts(settings).set_disabled(_actor(), parsed.name, True)
    print("Done. The account's sessions have ended.")
    return DONE


def _enable(parsed: argparse.Namespace, settings: Settings) -> int:
    _accounts(settings).set_disabled(_actor(), parsed.name, False)
    print("Done.")
    return DONE


def _list(parsed: argparse.Namespace, settings: Settings) -> int:
    accounts = _accounts(settings).all()
    if parsed.json:
        print(json.dumps([_shown(account) for account in accounts]))
        return DONE
    for account in accounts:
        sites = "all sites" if account.sites is None else ", ".join(account.sites) or "no site"
        if account.departments is not None:
            sites += f", only {', '.join(account.departments) or 'no department'}"
        state = "  (disabled)" if account.disabled else ""
        print(f"{account.username:<24} {', '.join(account.roles):<40} {sites}{state}")
    return DONE


def _shown(account: Account) -> dict[str, object]:
    return {
        "username": account.username,
        "display_name": account.display_name,
        "roles": list(account.roles),
        "sites": None if account.sites is None else list(account.sites),
        "departments": None if account.departments is None else list(account.departments),
        "disabled": account.disabled,
        "locked_until": account.locked_until.isoformat() if account.locked_until else None,
        "created_at": account.created_at.isoformat(),
    }


def _verify(_parsed: argparse.Namespace, settings: Settings) -> int:
    audit = _audit(settings)
    broken = audit.verify_chain()
    if broken is not None:
        print(f"The audit is broken at row {broken}: a row was changed, removed or inserted there.", file=sys.stderr)
        return FAILED
    head = audit.head()
    print(f"The audit is whole: {head.seq} rows, last hash {head.hash}" if head else "The audit is empty.")
    return DONE


def _show(parsed: argparse.Namespace, settings: Settings) -> int:
    for entry in _audit(settings).latest(parsed.count):
        at = entry.at.isoformat(timespec="seconds")
        if parsed.json:
            print(json.dumps(vars(entry) | {"at": at, "detail": json.loads(entry.detail)}))
        else:
            print(f"{entry.seq:>6} {at} {entry.actor} {entry.action} {entry.target} {entry.detail}")
    return DONE


def _identity(parsed: argparse.Namespace, settings: Settings) -> int:
    home = DataHome.open(settings.data_directory)
    vault = Vault(home.vault_file, home.derived("vault"))
    identity = vault.reveal(parsed.pseudonym, reason=parsed.reason, actor=_actor(), audit=_audit(settings))
    print(f"{identity.kind}: {identity.original}" + (f" ({identity.name})" if identity.name else ""))
    return DONE


def _roles(_parsed: argparse.Namespace, _settings: Settings) -> int:
    print(matrix_markdown(), end="")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
