"""A function app that shows how its host treats it; the tests copy it to a folder as function_app.py."""

import asyncio
import json
import logging
import os
import time

import azure.functions as func

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class WithExtras(logging.Formatter):
    """Writes what was given as ``extra`` behind the text, for hosts to which only that comes."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        extras = {name: value for name, value in vars(record).items() if name not in STANDARD}
        return f"{record.message} {json.dumps(extras)}" if extras else record.message


for handler in logging.getLogger().handlers:
    if handler.formatter is None:
        handler.setFormatter(WithExtras())

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def seen(req: func.HttpRequest, function: str) -> func.HttpResponse:
    request = {
        "function": function,
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "query": dict(req.params),
        "route": dict(req.route_params),
        "length": len(req.get_body()),
        "body": req.get_body()[:100].decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(request), mimetype="application/json")


@app.route(route="status", methods=["GET"])
async def status(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "status")


@app.route(route="events/{id}/reward", methods=["POST", "HEAD"])
async def reward(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("reward called", extra={"id": req.route_params["id"]})
    return seen(req, "reward")


@app.route(route="events/latest/reward", methods=["POST"])
def latest(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "latest")


@app.route(route="{*path}", methods=["GET", "POST"])
async def unmatched(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req, "unmatched")


@app.route(route="answers/text", methods=["GET"])
async def text(req: func.HttpRequest) -> str:
    return "plain"


@app.route(route="answers/nothing", methods=["GET"])
async def nothing(req: func.HttpRequest):
    return None


@app.route(route="answers/dict", methods=["GET"])
async def dictionary(req: func.HttpRequest):
    return {"not": "allowed"}


@app.route(route="answers/failure", methods=["GET"])
async def failure(req: func.HttpRequest) -> func.HttpResponse:
    raise LookupError("a secret detail")


@app.route(route="answers/failure-in-a-thread", methods=["GET"])
def failure_in_a_thread(req: func.HttpRequest) -> func.HttpResponse:
    raise LookupError("a secret detail")


@app.route(route="answers/unsendable", methods=["GET"])
async def headers_unsendable(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("", headers={"x-name": "\N{SNOWMAN}"})


@app.route(route="answers/no-content", methods=["GET"])
async def no_content(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)


@app.route(route="answers/headers", methods=["GET"])
async def headers(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"{}", status_code=418, headers={"Content-Type": "application/problem+json", "Retry-After": "7"})


@app.route(route="context", methods=["GET"])
def context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(context.function_name)


@app.route(route="store", methods=["GET"])
def store(req: func.HttpRequest) -> str:
    return json.dumps({name: value for name, value in os.environ.items() if name.startswith(("AzureWebJobs", "PERSONALIZER_STOR"))})


@app.route(route="process", methods=["GET"])
async def process(req: func.HttpRequest) -> str:
    return str(os.getpid())


@app.route(route="slow", methods=["GET"])
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("slow started")
    await asyncio.sleep(1)
    return func.HttpResponse("finished")


@app.timer_trigger(schedule="%SAMPLE_SCHEDULE%", arg_name="timer")
async def every_second(timer: func.TimerRequest) -> None:
    logging.info("every_second started", extra={"past_due": timer.past_due})
    await asyncio.sleep(1.2)
    logging.info("every_second ended")


@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer", run_on_startup=True)
def at_startup(timer: func.TimerRequest) -> None:
    time.sleep(0.01)
    logging.info("at_startup ran")


@app.timer_trigger(schedule="* * * * * *", arg_name="timer")
def failing(timer: func.TimerRequest) -> None:
    raise LookupError("the timer's own fault")


@app.queue_trigger(arg_name="message", queue_name="%SAMPLE_QUEUE%", connection="AzureWebJobsStorage")
async def take(message: func.QueueMessage) -> None:
    moments = {"inserted": message.insertion_time, "expires": message.expiration_time, "next": message.time_next_visible}
    facts = {name: moment and moment.isoformat() for name, moment in moments.items()}
    text = message.get_body().decode()
    logging.info("message seen", extra={"text": text, "message_id": message.id, "tries": message.dequeue_count, **facts})
    if "fail" in text:
        raise LookupError("the queue function's own fault")
    if "long" in text:
        await asyncio.sleep(3)
    logging.info("message done", extra={"text": text})


@app.queue_trigger(arg_name="message", queue_name="%SAMPLE_QUEUE%-poison", connection="AzureWebJobsStorage")
def bury(message: func.QueueMessage) -> None:
    logging.info("poison seen", extra={"text": message.get_body().decode()})
