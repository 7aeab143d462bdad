"""The Azure Functions app: every function of the service, from the folder of its trigger."""

import gc

gc.set_threshold(10_000, 20, 20)  # what is imported is there to stay: looking through it for what is not takes a sixth of the start

import logging
import os
from collections.abc import Sequence
from functools import cache

import azure.functions as func

import rank_function
import reward_function
from dashboard_function import dashboard_blueprint, demo_blueprint
from evaluation_function.workers import worker_blueprint
from manage_function import manage_blueprints
from rank_function import rank_blueprint
from reward_function import reward_blueprint
from shared.domain.errors import SettingsError
from shared.runtime.assembly.process import once_per_process
from shared.runtime.http import Operation, out_of_order
from shared.runtime.settings import misspelt, read_settings
from shared.runtime.telemetry import write_facts
from shared.runtime.wiring import Deployment
from trainer_function import trainer_blueprint


@cache
def operations() -> Sequence[Operation]:
    """Give all operations; what Rank and Reward do not need is imported here."""
    from dashboard_function.documentation import OPERATIONS as DOCUMENTATION
    from dashboard_function.landing import OPERATIONS as LANDING
    from evaluation_function.operations import OPERATIONS as EVALUATING
    from manage_function.operations import OPERATIONS as MANAGING
    from manage_function.operations import with_description

    described = with_description((*rank_function.OPERATIONS, *reward_function.OPERATIONS, *MANAGING, *EVALUATING))
    return (*described, *LANDING, *DOCUMENTATION)


write_facts(logging.getLogger().handlers)  # before anything is logged: no call is under way yet in which a host would hear it
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
try:
    settings = read_settings(os.environ)
except SettingsError as error:  # what is raised while the host looks for functions leaves it without any: each path would be a bare 404
    logging.getLogger(__name__).error("the app is out of order: %s", error.public)
    app.register_functions(out_of_order(error))
else:
    for name, meant in misspelt(os.environ).items():
        logging.getLogger(__name__).warning("nothing reads the setting %s: %s is meant, perhaps", name, meant)
    deployment = once_per_process(lambda: Deployment(settings))
    app.register_functions(rank_blueprint(deployment))
    app.register_functions(reward_blueprint(deployment))
    app.register_functions(trainer_blueprint(deployment, schedule=settings.trainer_schedule))
    app.register_functions(worker_blueprint(deployment))
    app.register_functions(dashboard_blueprint(deployment))
    app.register_functions(demo_blueprint(deployment))
    for blueprint in manage_blueprints(operations, deployment):
        app.register_functions(blueprint)
