"""What the app tells Application Insights: which facts of which log messages, and in what form.

The Functions host takes the text of a message and no more: what is given as ``extra`` does not get there, and neither does what is
logged outside of a call, as by the thread that polls. So the facts named here are written behind the text, as one JSON object. Nothing
else is: no feature, no key and no text of a caller's. The workbook and the alerts of infra/ read them.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType

MESSAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "window committed": (
            "loop",
            "model_version",
            "events",
            "learned",
            "quarantined",
            "rewards",
            "late_rewards",
            "unknown_rewards",
            "explored",
            "reward_sum",
            "best_weight",
            "best_reward_sum",
            "baseline_weight",
            "baseline_reward_sum",
        ),
        "learning anew": ("loop", "chunk", "chunks", "learned"),
        "training finished": ("loop", "commits", "lag_seconds", "model_age_seconds"),
        "retention done": ("tables_dropped", "models_dropped"),
        "job given up": ("loop", "kind"),
        "refused": ("operation", "status", "code", "request_id"),
        "unexpected failure": ("operation", "request_id"),
        "storage refused": ("operation", "status", "reason"),
        "storage did not answer in time": ("operation",),
        "storage cannot be reached": ("operation", "error"),
    }
)
"""The facts that are written, by message; a message that is not here goes without."""


class FactsFormatter(logging.Formatter):
    """Writes a record's text and the facts that `MESSAGES` names.

    >>> record = logging.makeLogRecord({"msg": "training finished", "loop": "news", "commits": 2, "secret": "s"})
    >>> FactsFormatter().format(record)
    'training finished {"loop":"news","commits":2}'
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """Give the text, without the traceback that may follow."""
        names = MESSAGES.get(record.msg, ()) if isinstance(record.msg, str) else ()
        facts = {name: getattr(record, name) for name in names if hasattr(record, name)}
        text = super().formatMessage(record)
        return f"{text} {json.dumps(facts, separators=(',', ':'), default=str)}" if facts else text


def write_facts(handlers: Iterable[logging.Handler]) -> None:
    """Let the handlers that have no form of their own, as the Functions worker's, write the facts."""
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(FactsFormatter())
