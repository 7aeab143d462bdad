"""The Azure Functions app: every function of the service, from the folder of its trigger."""

import os

import azure.functions as func

import manage_function
import rank_function
import reward_function
from manage_function import fallback_blueprint, manage_blueprint
from rank_function import rank_blueprint
from reward_function import reward_blueprint
from shared.runtime.settings import read_settings
from shared.runtime.wiring import build, once_per_process
from trainer_function import trainer_blueprint

settings = read_settings(os.environ)
services = once_per_process(lambda: build(settings))
operations = (*rank_function.OPERATIONS, *reward_function.OPERATIONS, *manage_function.OPERATIONS)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(rank_blueprint(services))
app.register_functions(reward_blueprint(services))
app.register_functions(manage_blueprint(services))
app.register_functions(trainer_blueprint(services, schedule=settings.trainer_schedule))
app.register_functions(fallback_blueprint(operations, services))
