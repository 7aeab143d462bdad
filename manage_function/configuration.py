"""HTTP: the service configuration."""

import azure.functions as func

from shared.api.configuration import ConfigurationResponse, read_configuration, read_set, read_unset, write_configuration
from shared.domain.errors import InvalidContainerError, InvalidSasUriError, UnreadableError
from shared.domain.loop import LoopSettings
from shared.runtime.http import QUERY_VERSION, Call, Operation, answer


async def get(call: Call) -> func.HttpResponse:
    """Answer with the configuration in force, as it is stored now."""
    return answer(200, await _body(call, await call.services.configurator.read()))


async def put(call: Call) -> func.HttpResponse:
    """Change the configuration; answers with what is in force then, when it is stored."""
    changes = read_configuration(call.body, call.version)
    try:
        settings = await call.services.configurator.configure(changes)
    except InvalidSasUriError as error:
        if call.version == QUERY_VERSION:
            raise
        raise InvalidContainerError(str(error), target=error.target) from error
    return answer(200, await _body(call, settings))


async def set_(call: Call) -> func.HttpResponse:
    """Have the members that are sent be the loop's own from now on, whatever they were; answers with what is in force then."""
    return answer(200, await _body(call, await call.services.configurator.own(read_set(call.body))))


async def unset(call: Call) -> func.HttpResponse:
    """Have members follow the app's settings again; answers with what is in force then."""
    return answer(200, await _body(call, await call.services.configurator.unset(read_unset(call.body))))


async def _body(call: Call, settings: LoopSettings) -> ConfigurationResponse:
    try:
        stored = await call.services.store.pointer()
    except UnreadableError:  # a later release's: its figures are not known here, the configuration is
        stored = None
    if stored is None:
        return write_configuration(settings, call.version)
    return write_configuration(settings, call.version, metrics=stored[0].apprentice, processed_until=stored[0].watermark)


OPERATIONS = (
    Operation("configuration_get", "GET", "configurations/service", get),
    Operation("configuration_put", "PUT", "configurations/service", put),
    Operation("configuration_set", "POST", "configurations/set", set_),
    Operation("configuration_unset", "POST", "configurations/unset", unset),
)
