"""Structured logs: one JSON object a line."""

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from local.processes import LocalError

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; everything else was given as ``extra``."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger, message, the process's name if it has one, the extra fields and, after a failure, the traceback."""

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._beside = {"process": process} if process else {}

    def format(self, record: logging.LogRecord) -> str:
        """One line; values JSON does not know are written as text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._beside,
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_level(environment: Mapping[str, str]) -> str:
    """Read ``PERSONALIZER_LOG_LEVEL``; raises `LocalError` for what is not a level.

    >>> log_level({"PERSONALIZER_LOG_LEVEL": "warning"})
    'WARNING'
    """
    level = environment.get("PERSONALIZER_LOG_LEVEL", "").strip().upper() or "INFO"
    if level not in LEVELS:
        raise LocalError(f"PERSONALIZER_LOG_LEVEL is {level!r}, but must be one of {', '.join(LEVELS)}.")
    return level


def write_logs_as_json(process: str = "") -> None:
    """Send every logger's lines to standard error, from ``PERSONALIZER_LOG_LEVEL`` up; the Azure SDK's own only from warnings up.

    ``process`` names this one of several that write to the same place.
    """
    level = log_level(os.environ)
    handler = logging.StreamHandler()
    handler.setLevel(level)  # as well as the root's: the records of loggers with a level of their own do not ask for that one
    handler.setFormatter(JsonFormatter(process))
    handler.addFilter(lambda record: getattr(record, "commits", None) != 0)  # a run of the trainer that found nothing to do
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("azure").setLevel(logging.WARNING)  # it logs each request with its headers at INFO
