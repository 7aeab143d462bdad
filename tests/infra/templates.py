"""The templates of a folder as data, and the rules they keep: each rule gives what breaks it, so that planted errors can be judged too."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml
from pycep import BicepParser

from shared.runtime.settings import DEFAULTS
from shared.storage.names import JOBS, LOGS, MODELS, TRAINING
from tests.infra.predicting import UncountableError, count, parameters

REPOSITORY = Path(__file__).resolve().parent.parent.parent


@cache
def parser() -> BicepParser:
    """The grammar takes half a second to be read."""
    return BicepParser()


@lru_cache(maxsize=200)
def parsed(text: str) -> dict[str, Any]:
    """Parse a template; most texts are parsed many times over by the tests."""
    return dict(parser().parse(text=text))


COMPUTED = {"thisMonth"}
"""Parameters that nobody gives: their default is an expression."""

SETTINGS = {*DEFAULTS, "PERSONALIZER_ADMIN_KEY", "PERSONALIZER_POLICY_ARGUMENTS"}
"""What the app may be told beside its accounts."""

ACCOUNTS = {
    *(f"AzureWebJobsStorage__{part}" for part in ("credential", "clientId", "blobServiceUri", "queueServiceUri")),
    *(f"PERSONALIZER_STORAGE__{part}" for part in ("credential", "clientId", "blobServiceUri", "tableServiceUri")),
}
REACHED = {("host", "blob"), ("host", "queue"), ("data", "blob"), ("data", "table")}
"""The services of the accounts that those settings name."""

TELEMETRY = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"}

PAGES = {"AzureWebJobsDisableHomepage"}
"""What has the Functions host leave the address `/` to the app."""

NOT_ON_FLEX = re.findall(
    r"\w+",
    """
    ENABLE_ORYX_BUILD FUNCTIONS_EXTENSION_VERSION FUNCTIONS_WORKER_RUNTIME FUNCTIONS_WORKER_RUNTIME_VERSION
    FUNCTIONS_MAX_HTTP_CONCURRENCY FUNCTIONS_WORKER_PROCESS_COUNT FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED
    SCM_DO_BUILD_DURING_DEPLOYMENT WEBSITE_CONTENTAZUREFILECONNECTIONSTRING WEBSITE_CONTENTOVERVNET WEBSITE_CONTENTSHARE
    WEBSITE_DNS_SERVER WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT WEBSITE_NODE_DEFAULT_VERSION WEBSITE_RUN_FROM_PACKAGE
    WEBSITE_SKIP_CONTENTSHARE_VALIDATION WEBSITE_TIME_ZONE WEBSITE_VNET_ROUTE_ALL linuxFxVersion
    """,
)
"""Settings of other plans."""

ROLES = {
    "blobOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "blobContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "tableContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "queueContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "metricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "secretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
}
"""Storage Blob Data Owner, Storage Blob, Table and Queue Data Contributor, Monitoring Metrics Publisher, Key Vault Secrets User."""

DEMANDS: Mapping[str, Mapping[str, Any]] = {
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.supportsHttpsTrafficOnly": True,
        "properties.minimumTlsVersion": "TLS1_2",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": True, "properties.WorkspaceResourceId": ...},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
    "Microsoft.KeyVault/vaults": {"properties.enableRbacAuthorization": True},
    "Microsoft.Web/serverfarms": {"sku.name": "FC1", "sku.tier": "FlexConsumption", "properties.reserved": True},
    "Microsoft.Web/sites": {
        "kind": "functionapp,linux",
        "identity.type": "UserAssigned",
        "properties.httpsOnly": True,
        "properties.siteConfig.ftpsState": "Disabled",
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
        "properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency": ...,
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": False},
    "Microsoft.Authorization/roleAssignments": {"properties.principalType": ...},
}
"""What resources of a type must say: a value, or (...) anything."""

LIMITS = {
    "functionName": (2, 60, r"[A-Za-z0-9-]+"),
    "planName": (1, 60, r"[A-Za-z0-9-]+"),
    "identityName": (3, 128, r"[A-Za-z0-9_-]+"),
    "hostAccountName": (3, 24, r"[a-z0-9]+"),
    "dataAccountName": (3, 24, r"[a-z0-9]+"),
    "workspaceName": (4, 63, r"[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]"),
    "componentName": (1, 260, r"[A-Za-z0-9.-]+"),
    "actionGroupName": (1, 260, r"[A-Za-z0-9.-]+"),
    "vaultName": (3, 24, r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]"),
    "networkName": (2, 64, r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9_]"),
    "securityGroupName": (1, 80, r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9_]"),
    "endpointPrefix": (1, 60, r"[A-Za-z0-9][A-Za-z0-9._-]*"),
}
"""Shortest and longest name of each kind, and its characters."""

TOKEN = "a1b2c3d4e5f6g"
"""As long as what uniqueString gives."""

OFF = {"false": False, "''": "", "0": 0}


@dataclass(frozen=True)
class Template:
    """One file, parsed."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> dict[str, Any]:
        return parsed(self.text)

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.tree.get("parameters", {})
        return found

    @property
    def defaults(self) -> dict[str, str]:
        """The text behind the parameters' names, for those that have a default."""
        return dict(re.findall(r"^param (\w+) \w+ = (.+)$", self.text, re.MULTILINE))

    @property
    def secure(self) -> set[str]:
        return {name for name, each in self.parameters.items() if {"type": "secure"} in [{"type": d["type"]} for d in each["decorators"]]}

    @property
    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Names, types and bodies; conditions and loops around them are left out."""
        for name, each in self.tree.get("resources", {}).items():
            if not each["existing"]:
                yield name, each["type"], body(each["config"])

    @property
    def modules(self) -> Iterator[tuple[str, Path, dict[str, Any]]]:
        for name, each in self.tree.get("modules", {}).items():
            yield name, (self.path.parent / each["detail"]["path"]).resolve(), body(each["config"])["params"]


@dataclass(frozen=True)
class Project:
    """What a deployment is made of: the templates, and what refers to them."""

    root: Path
    templates: dict[Path, Template] = field(init=False)

    def __post_init__(self) -> None:
        paths = sorted((self.root / "infra").rglob("*.bicep"))
        object.__setattr__(self, "templates", {path.resolve(): Template(path) for path in paths})

    @property
    def main(self) -> Template:
        return self.templates[(self.root / "infra" / "main.bicep").resolve()]

    @property
    def function(self) -> Template:
        return self.templates[(self.root / "infra" / "app" / "function.bicep").resolve()]

    @property
    def values(self) -> dict[str, str]:
        content = json.loads((self.root / "infra" / "main.parameters.json").read_text("utf-8"))
        return {name: each["value"] for name, each in content["parameters"].items()}

    @property
    def azure_yaml(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self.root / "azure.yaml").read_text("utf-8"))
        return content

    @property
    def settings(self) -> dict[str, str]:
        """The app's settings, with the expressions behind them."""
        ours = re.search(r"^var settings = \{\n(.*?)^\}", self.main.text, re.DOTALL | re.MULTILINE)
        given = re.search(r"union\(settings, \{\n(.*?)\}\)", self.function.text, re.DOTALL)
        text = (ours[1] if ours else "") + (given[1] if given else "")
        return dict(re.findall(r"^ +(\w+): (.+)$", text, re.MULTILINE))


def body(config: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = config.get("config", config) if "config" in config and "name" not in config else config
    return inner


def problems(project: Project) -> list[str]:
    """Give everything that breaks a rule."""
    return [problem for rule in RULES for problem in rule(project)]


def every_parameter_is_mapped_with_its_default(project: Project) -> Iterator[str]:
    main, values = project.main, project.values
    for name in (main.parameters.keys() - COMPUTED) ^ values.keys():
        yield f"parameter {name} is in only one of main.bicep and main.parameters.json"
    variables: dict[str, str] = {}
    for name, value in values.items():
        mapped = re.fullmatch(r"\$\{([A-Z_]+)(?:=([^}]*))?\}", value)
        if mapped is None:
            yield f"parameter {name} is {value!r} and not a variable of the environment"
        elif (mapped[2] or "") != main.defaults.get(name, "''").strip("'"):
            yield f"parameter {name} has another default in main.parameters.json than in main.bicep"
        elif mapped[1] in variables:
            yield f"parameters {name} and {variables[mapped[1]]} are the same variable"
        else:
            variables[mapped[1]] = name


def what_the_compiler_predicts_for_covers_all_that_is_optional(project: Project) -> Iterator[str]:
    files = {path.stem: path for path in (project.root / "infra" / "tests").glob("*.bicepparam")}
    given = {name: dict(re.findall(r"^param (\w+) = (.+)$", path.read_text("utf-8"), re.MULTILINE)) for name, path in files.items()}
    known, defaults = project.main.parameters.keys(), project.main.defaults
    for name, values in given.items():
        yield from (f"{name}.bicepparam gives the parameter {each}, which is not there" for each in values.keys() - known)
        yield from (f"{name}.bicepparam does not give {each}" for each in (known - defaults.keys() | COMPUTED) - values.keys())
    off = {name for name, value in defaults.items() if value in OFF and name != "defaultReward"}
    yield from (f"everything.bicepparam leaves {each} off" for each in off - given.get("everything", {}).keys())


def all_resources_are_counted(project: Project) -> Iterator[str]:
    files = {path.stem: path for path in (project.root / "infra" / "tests").glob("*.bicepparam")}
    lines = (project.root / "infra" / "tests" / "resources.txt").read_text("utf-8").splitlines()
    counted = {name: int(number) for name, number in map(str.split, lines)}
    yield from (f"{name} is counted or described, and not both" for name in counted.keys() ^ files.keys())
    for name in counted.keys() & files.keys():
        try:
            there = count(project.main.path, parameters(files[name]))
        except (OSError, UncountableError) as error:
            yield f"{name}: the resources cannot be counted: {error}"
            continue
        if there != counted[name]:
            yield f"{name} has {there} resources, and resources.txt says {counted[name]}"


def a_preview_says_why(project: Project) -> Iterator[str]:
    excused = re.compile(r"^#disable-next-line use-recent-api-versions // \w.+$")
    for path, template in project.templates.items():
        lines = template.text.splitlines()
        for above, line in zip(["", *lines], lines, strict=False):
            if re.search(r"-preview' = ", line) and not excused.match(above):
                yield f"{path.name}: {line.split()[1]} is a preview without a reason"


def every_module_gets_what_it_asks_for(project: Project) -> Iterator[str]:
    reached = {project.main.path.resolve()}
    for template in project.templates.values():
        for name, path, given in template.modules:
            reached.add(path)
            asked = project.templates.get(path)
            if asked is None:
                yield f"module {name}: there is no {path.name}"
                continue
            yield from (f"module {name} has no parameter {extra}" for extra in given.keys() - asked.parameters.keys())
            needed = asked.parameters.keys() - asked.defaults.keys() - given.keys()
            yield from (f"module {name} needs the parameter {missing}" for missing in needed)
    yield from (f"{path.name} is used by nothing" for path in project.templates.keys() - reached)


def every_setting_is_set_and_no_other(project: Project) -> Iterator[str]:
    expected = SETTINGS | ACCOUNTS | TELEMETRY | PAGES
    yield from (f"the setting {name} is not set" for name in expected - project.settings.keys())
    yield from (f"the setting {name} is known to nobody" for name in project.settings.keys() - expected)
    for name, expression in project.settings.items():
        parameter = re.sub(r"^string\((\w+)\)$", r"\1", expression)
        default = project.main.defaults.get(parameter, "''").strip("'")
        if default and DEFAULTS.get(name, default) != default:
            yield f"the setting {name} has the default {default}, but {DEFAULTS[name]} in the code"


def flex_consumption_is_told_nothing_it_does_not_know(project: Project) -> Iterator[str]:
    for path, template in project.templates.items():
        yield from (f"{path.name}: {word} is not for Flex Consumption" for word in NOT_ON_FLEX if re.search(rf"\b{word}\b", template.text))


def the_service_is_found_by_its_tag(project: Project) -> Iterator[str]:
    services = project.azure_yaml["services"]
    for name, service in services.items():
        if not re.search(rf"^var serviceName = '{name}'$", project.main.text, re.MULTILINE):
            yield f"azure.yaml has the service {name}, the templates another"
        if (service["host"], service["language"]) != ("function", "python"):
            yield f"service {name} is no function app in Python"
        folder = project.root / service["project"]
        yield from (
            f"service {name} has no {file}" for file in ("host.json", "requirements.txt", ".funcignore") if not (folder / file).is_file()
        )
    if "'azd-service-name': serviceName" not in project.function.text or "'azd-env-name': environmentName" not in project.main.text:
        yield "the tags by which azd finds the app are missing"


def no_output_tells_a_secret(project: Project) -> Iterator[str]:
    for path, template in project.templates.items():
        outputs = "\n".join(line for line in template.text.splitlines() if line.startswith("output "))
        yield from (f"{path.name}: an output tells {name}" for name in template.secure if re.search(rf"\b{name}\b", outputs))
        yield from (f"{path.name} asks for keys by {name}" for name in re.findall(r"\blist[A-Z]\w*\(", template.text))


def keys_are_secure_parameters(project: Project) -> Iterator[str]:
    for path, template in project.templates.items():
        for name in template.parameters:
            if re.search(r"(?i)(^keys$|apikeys|adminkey|secret|password)", name) and name not in template.secure:
                yield f"{path.name}: the parameter {name} is not secure"


def names_fit(project: Project) -> Iterator[str]:
    prefixes = json.loads((project.root / "infra" / "abbreviations.json").read_text("utf-8"))
    written = dict(re.findall(r"^var (\w+) = '(.*)'$", project.main.text, re.MULTILINE))
    for name, (shortest, longest, characters) in LIMITS.items():
        text = re.sub(r"\$\{abbreviations\.(\w+)\}", lambda found: prefixes.get(found[1], "?"), written.get(name, "?"))
        text = text.replace("${token}", TOKEN)
        if not shortest <= len(text) <= longest or not re.fullmatch(characters, text):
            yield f"{name} would be {text!r}"
    used = set(re.findall(r"\$\{abbreviations\.(\w+)", project.main.text))
    yield from (f"the abbreviation {name} is in only one of the two places" for name in used ^ prefixes.keys())


def names_in_storage_are_those_of_the_code(project: Project) -> Iterator[str]:
    for name, place in (("modelsContainer", MODELS), ("logsContainer", LOGS), ("jobsQueue", JOBS), ("trainingQueue", TRAINING)):
        if f"var {name} = '{place}'" not in project.main.text:
            yield f"{name} is not {place}"
    each = [part for name in ("jobsQueue", "trainingQueue") for part in (name, f"'${{{name}}}-poison'")]
    if f"var queues = [{', '.join(each)}]" not in project.main.text:
        yield "the queues are not those that the host wants"


def the_host_can_serve_queues(project: Project) -> Iterator[str]:
    host = json.loads((project.root / "host.json").read_text("utf-8"))
    if host.get("extensionBundle") != {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}:
        yield "host.json names no extension bundle that queues can be served with"
    queues = host["extensions"].get("queues", {})
    if (queues.get("batchSize"), queues.get("newBatchThreshold"), queues.get("messageEncoding")) != (1, 0, "base64"):
        yield "host.json has an instance take several jobs at a time, or another encoding than is sent"


def each_storage_service_in_use_is_reached_through_the_network(project: Project) -> Iterator[str]:
    network = project.templates[(project.root / "infra" / "core" / "network.bicep").resolve()].text
    zones = re.findall(r"^  'privatelink\.(\w+)\.", network, re.MULTILINE)
    endpoints = re.findall(r"name: '(\w+)(?:-\w+)?', resource: \w+, group: '(\w+)', zone: (\d) \}", network)
    for name, group, zone in endpoints:
        if not zones[int(zone)].startswith(group):
            yield f"network.bicep: the endpoint {name} of {group} is in another service's zone"
    missing = REACHED - {each[:2] for each in endpoints}
    yield from (f"network.bicep: no endpoint for the {account} account's {service}s" for account, service in missing)


def roles_are_the_least(project: Project) -> Iterator[str]:
    for path, template in project.templates.items():
        for name, role in re.findall(r"^var (\w+) = '([0-9a-f-]{36})'$", template.text, re.MULTILINE):
            if ROLES.get(name) != role:
                yield f"{path.name}: {name} is not the role {role}"
        for name in re.findall(r"'([0-9a-f]{8}-[0-9a-f-]{27})'", template.text):
            if name not in ROLES.values():
                yield f"{path.name}: {name} is no role that is needed"


def resources_are_closed(project: Project) -> Iterator[str]:
    for path, template in project.templates.items():
        for name, kind, content in template.resources:
            for place, wanted in DEMANDS.get(kind, {}).items():
                found = at(content, place)
                if found is None or (wanted is not ... and found != wanted):
                    yield f"{path.name}: {name}.{place} is {found!r}"


def at(content: Any, place: str) -> Any:
    for part in place.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def what_costs_is_off(project: Project) -> Iterator[str]:
    """Each condition of a module is on parameters alone that are off."""
    defaults = project.main.defaults
    for name, condition in re.findall(r"^module (\w+) .* = if \((.+)\) \{$", project.main.text, re.MULTILINE):
        parameter = re.sub(r"^!empty\((\w+)\)$|^(\w+) > 0$", r"\1\2", condition)
        if defaults.get(parameter) not in OFF:
            yield f"module {name} is on by default"
    for parameter in ("httpAlwaysReady", "trainerAlwaysReady", "zoneRedundant", "rollingUpdate", "encryptionVaultUri", "logCoolAfterDays"):
        if defaults.get(parameter) not in OFF:
            yield f"{parameter} is on by default"
    optional = {"vault", "network", "auth", "alerts", "budget", "diagnostics"}
    conditional = set(re.findall(r"^module (\w+) .* = if ", project.main.text, re.MULTILINE))
    yield from (f"module {name} is not optional" for name in optional - conditional)


RULES = (
    every_parameter_is_mapped_with_its_default,
    every_module_gets_what_it_asks_for,
    what_the_compiler_predicts_for_covers_all_that_is_optional,
    all_resources_are_counted,
    a_preview_says_why,
    every_setting_is_set_and_no_other,
    flex_consumption_is_told_nothing_it_does_not_know,
    the_service_is_found_by_its_tag,
    no_output_tells_a_secret,
    keys_are_secure_parameters,
    names_fit,
    names_in_storage_are_those_of_the_code,
    the_host_can_serve_queues,
    each_storage_service_in_use_is_reached_through_the_network,
    roles_are_the_least,
    resources_are_closed,
    what_costs_is_off,
)
