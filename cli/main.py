"""All commands together, and what becomes of what goes wrong in them: one line for a person, an exit code for a script."""

import asyncio
import logging
import sys
from collections.abc import Sequence

import typer

from cli import (
    backups,
    config,
    copying,
    evaluate,
    events,
    export_log,
    figures,
    import_log,
    keys,
    loops,
    migrate,
    models,
    policy,
    replay,
    schedules,
    stats,
    status,
    weights,
)
from cli.output import visible
from shared.domain.errors import PersonalizerError

DONE, DIFFERENT, IMPOSSIBLE, STOPPED = 0, 1, 2, 130

_HELP = """\
Manage learning loops: their logs, models and settings.

**config**, **events**, **figures**, **keys**, **loops**, **models**, **policy**, **schedules** and **status** speak to the running service
(--endpoint and a key). All other commands work on its storage (a folder or a storage account), with the app's own settings in the
environment, or on files, and need no service. Without these options, the service of this machine (`make run`) is used. Every command
prints JSON with --json.

Exit codes: 0 done, 1 done and the answer is no, 2 it could not be done, 130 stopped by Ctrl-C.
"""


def build() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        name="cli", help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
    )
    app.command("import")(import_log.import_)
    app.command("migrate")(migrate.migrate)
    app.command("export")(export_log.export)
    app.command("evaluate")(evaluate.evaluate)
    app.command("replay")(replay.replay)
    app.command("stats")(stats.stats)
    app.command("status")(status.status)
    app.command("weights")(weights.weights)
    app.command("copy")(copying.copy)
    app.command("backup")(backups.backup)
    app.command("restore")(backups.restore)
    groups = {
        "loops": loops.app,
        "keys": keys.app,
        "config": config.app,
        "policy": policy.app,
        "models": models.app,
        "events": events.app,
        "figures": figures.app,
        "schedules": schedules.app,
    }
    for name, group in groups.items():
        app.add_typer(group, name=name)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and give its exit code."""
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())  # what went wrong is told once, by what is raised
    try:
        code = build()(args=arguments, prog_name="python -m cli", standalone_mode=False)
    except PersonalizerError as error:
        return _impossible(str(error))
    except typer.TyperException as error:
        return _impossible(error.format_message() or "a command is missing: name one of those above")
    except OSError as error:
        return _impossible(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        return _stopped()
    return _stopped() if code == STOPPED else int(code or DONE)


def _impossible(reason: str) -> int:
    text = visible(" ".join(reason.split())).removesuffix(".")
    print(f"This cannot be done: {text}.", file=sys.stderr)
    return IMPOSSIBLE


def _stopped() -> int:
    print("Stopped.", file=sys.stderr)
    return STOPPED
