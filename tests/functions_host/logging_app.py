"""A function app that logs from everywhere; the tests copy it to a folder as function_app.py."""

import asyncio
import logging
import threading

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
gone_on: list[asyncio.Task[None]] = []


async def later() -> None:
    await asyncio.sleep(0.1)
    logging.warning("after its call")


@app.route(route="logs", methods=["POST"])
async def logs(req: func.HttpRequest) -> func.HttpResponse:
    logging.warning("in its call")
    await asyncio.create_task(asyncio.to_thread(logging.warning, "in a thread of its call"))
    thread = threading.Thread(target=logging.warning, args=("in a thread",))
    thread.start()
    thread.join()
    gone_on.append(asyncio.create_task(later()))
    return func.HttpResponse(req.get_body() or b"no body", headers={"x-agent": req.headers.get("x-agent", "")})


@app.route(route="fails", methods=["GET"])
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise LookupError("on purpose")


@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
async def yearly(timer: func.TimerRequest) -> None:
    logging.warning("the timer ran, past due: %s", timer.past_due)


@app.queue_trigger(arg_name="message", queue_name="sample", connection="AzureWebJobsStorage")
def take(message: func.QueueMessage) -> None:
    logging.warning("took %s, try %s", message.get_body().decode(), message.dequeue_count)
