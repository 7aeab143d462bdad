"""What is told of a log record where only its text arrives."""

import asyncio
import io
import json
import logging

from shared.runtime.telemetry import FactsFormatter, in_a_call, write_facts


def written(message: str, *args: object, **extra: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    write_facts([handler])
    logger = logging.Logger("told")
    logger.addHandler(handler)

    async def function() -> None:
        logger.info(message, *args, extra=extra)

    asyncio.run(in_a_call(function)())
    return stream.getvalue().rstrip("\n")


def test_the_facts_of_a_message_are_behind_its_text_as_json():
    text, _, facts = written("training finished", loop="news", commits=2, lag_seconds=0.5, model_age_seconds=None).partition(" {")
    assert text == "training finished"
    assert json.loads("{" + facts) == {"loop": "news", "commits": 2, "lag_seconds": 0.5, "model_age_seconds": None}


def test_what_is_no_declared_fact_is_not_told():
    assert written("refused", operation="rank", reason="features[0].name is 'Ada'") == 'refused {"operation":"rank"}'


def test_a_message_that_is_not_declared_stays_as_it_is():
    assert written("hello %s", "you", loop="news") == "hello you"
    assert written("window committed") == "window committed"


def test_a_traceback_follows_the_facts():
    record = logging.makeLogRecord({"msg": "unexpected failure", "operation": "rank", "exc_text": "Traceback ..."})
    assert FactsFormatter().format(record).splitlines() == ['unexpected failure {"operation":"rank"}', "Traceback ..."]


def test_a_handler_with_a_form_of_its_own_keeps_it():
    handler, form = logging.StreamHandler(), logging.Formatter("%(message)s")
    handler.setFormatter(form)
    write_facts([handler])
    assert handler.formatter is form


def test_a_message_that_is_no_text_is_written_as_ever():
    record = logging.makeLogRecord({"msg": ["training finished"], "loop": "news"})
    assert FactsFormatter().format(record) == "['training finished']"
