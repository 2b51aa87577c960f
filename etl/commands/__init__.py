"""One module a command: `COMMAND` says how it is called and what it does."""

from __future__ import annotations

import importlib
import pkgutil

from etl.commands.command import Command, CommandError


def _found() -> tuple[Command, ...]:
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return tuple(
        sorted((module.COMMAND for module in modules if hasattr(module, "COMMAND")), key=lambda command: command.order)
    )


COMMANDS = _found()
"""All commands, in the order of the help."""

__all__ = ["COMMANDS", "Command", "CommandError"]
