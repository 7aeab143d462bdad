"""Structured logs: one JSON object a line."""

import json
import logging
from datetime import UTC, datetime

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; everything else was given as ``extra``."""


class JsonFormatter(logging.Formatter):
    """Writes time, level, logger, message, the extra fields and, after a failure, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; values JSON does not know are written as text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def write_logs_as_json() -> None:
    """Send every logger's lines to standard error; the Azure SDK's own only from warnings up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    handler.addFilter(lambda record: getattr(record, "commits", None) != 0)  # a run of the trainer that found nothing to do
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("azure").setLevel(logging.WARNING)  # it logs each request with its headers at INFO
