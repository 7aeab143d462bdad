"""HTTP: the service configuration."""

import azure.functions as func

from shared.api.conditions import etag, read_condition
from shared.api.configuration import ConfigurationResponse, read_configuration, read_set, read_unset, write_configuration
from shared.domain.errors import InvalidContainerError, InvalidSasUriError, UnreadableError
from shared.domain.loop import LoopSettings
from shared.runtime.http import QUERY_VERSION, Call, Operation, answer
from shared.services.loops.configuring import configuration_tag


async def get(call: Call) -> func.HttpResponse:
    """Answer with the configuration in force, as it is stored now."""
    return await _answer(call, await call.services.configurator.read())


async def put(call: Call) -> func.HttpResponse:
    """Change the configuration; answers with what is in force then, when it is stored."""
    changes = read_configuration(call.body, call.version)
    try:
        settings = await call.services.configurator.configure(changes, only_if=read_condition(call.request.headers))
    except InvalidSasUriError as error:
        if call.version == QUERY_VERSION:
            raise
        raise InvalidContainerError(str(error), target=error.target) from error
    return await _answer(call, settings)


async def set_(call: Call) -> func.HttpResponse:
    """Have the members that are sent be the loop's own from now on, whatever they were; answers with what is in force then."""
    members, only_if = read_set(call.body), read_condition(call.request.headers)
    return await _answer(call, await call.services.configurator.own(members, only_if=only_if))


async def unset(call: Call) -> func.HttpResponse:
    """Have members follow the app's settings again; answers with what is in force then."""
    members, only_if = read_unset(call.body), read_condition(call.request.headers)
    return await _answer(call, await call.services.configurator.unset(members, only_if=only_if))


async def _answer(call: Call, settings: LoopSettings) -> func.HttpResponse:
    return answer(200, await _body(call, settings), headers=etag(configuration_tag(settings)))


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
