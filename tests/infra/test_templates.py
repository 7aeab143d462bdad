"""The templates keep their rules, and whoever breaks one is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.runtime.settings import read_settings
from shared.storage.settings import AccountSettings
from tests.infra.predicting import count, parameters
from tests.infra.templates import ACCOUNTS, REPOSITORY, RULES, Project, problems

CHECKER = "BICEP_CHECKER"
"""The setting that names a folder with a checker that knows the types that Azure publishes; the compiler does, in the workflow."""
CHECKOV = REPOSITORY / ".venv-infra" / "bin" / "checkov"

PLANTED = {
    "a parameter that the file does not map": ("infra/main.bicep", "param logShards int", "param logPieces int"),
    "another default in the file": ("infra/main.parameters.json", "_SHARDS=1}", "_SHARDS=2}"),
    "a literal instead of a variable": ("infra/main.parameters.json", '"${PERSONALIZER_KEYS}"', '"0123456789abcdef"'),
    "one variable for two parameters": ("infra/main.parameters.json", "${PERSONALIZER_ADMIN_KEY}", "${PERSONALIZER_KEYS}"),
    "a module's parameter that is not there": ("infra/main.bicep", "    retentionDays: telem", "    retainDays: telem"),
    "a module's parameter that is missing": ("infra/main.bicep", "    email: alertEmail\n    failure", "    failure"),
    "a module that is not there": ("infra/main.bicep", "core/rbac.bicep", "core/roles.bicep"),
    "a setting that is forgotten": ("infra/main.bicep", "  PERSONALIZER_INGEST_GRACE: ingestGrace\n", ""),
    "a setting that is misspelt": ("infra/main.bicep", "PERSONALIZER_MODELS_KEPT:", "PERSONALIZER_MODEL_KEPT:"),
    "an account's setting that is forgotten": ("infra/app/function.bicep", "    PERSONALIZER_STORAGE__tableServiceUri: dataTableUri\n", ""),
    "a default that is not the code's": ("infra/main.bicep", "rewardWaitTime string = 'PT10M'", "rewardWaitTime string = 'PT1H'"),
    "a setting that Flex Consumption does not know": (
        "infra/app/function.bicep",
        "AzureWebJobsStorage__cl",
        "WEBSITE_TIME_ZONE: 'x'\n    AzureWebJobsStorage__cl",
    ),
    "another service's name": ("azure.yaml", "  api:", "  app:"),
    "no tag for azd": ("infra/app/function.bicep", "'azd-service-name'", "'azd-service'"),
    "a secret in an output": ("infra/main.bicep", "output AZURE_LOCATION string = location", "output KEY string = '${adminKey}'"),
    "an account's keys": (
        "infra/core/storage.bicep",
        "output name string = account.name",
        "output name string = account.listKeys().keys[0].value",
    ),
    "a key in the open": ("infra/main.bicep", "@secure()\n@description('The key of the adm", "@description('The key of the adm"),
    "a name that is too long": ("infra/main.bicep", "Accounts}host${token}", "Accounts}functionshost${token}"),
    "a name with a hyphen": ("infra/abbreviations.json", '"storageStorageAccounts": "st"', '"storageStorageAccounts": "st-"'),
    "another container than the code's": ("infra/main.bicep", "'personalizer-logs'", "'logs'"),
    "another queue than the code's": ("infra/main.bicep", "'personalizer-jobs'", "'jobs'"),
    "another queue for training than the code's": ("infra/main.bicep", "'personalizer-training'", "'training'"),
    "a queue that is not made": ("infra/main.bicep", ", trainingQueue, '${trainingQueue}-poison']", ", trainingQueue]"),
    "another poison queue than the host's": ("infra/main.bicep", "'${jobsQueue}-poison'", "'${jobsQueue}-failed'"),
    "the queues' setting that is forgotten": ("infra/app/function.bicep", "    AzureWebJobsStorage__queueServiceUri: hostQueueUri\n", ""),
    "no bundle for queues": ("host.json", '"version": "[4.*, 5.0.0)"', '"version": "[2.*, 3.0.0)"'),
    "several jobs at a time": ("host.json", '"batchSize": 1', '"batchSize": 16'),
    "no way to the queues through the network": (
        "infra/core/network.bicep",
        "resource: hostAccountId, group: 'queue', zone: 2",
        "resource: hostAccountId, group: 'table', zone: 1",
    ),
    "an endpoint in another service's zone": ("infra/core/network.bicep", "group: 'queue', zone: 2", "group: 'queue', zone: 1"),
    "a role that may do more": ("infra/core/rbac.bicep", "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
    "a role that is not known": (
        "infra/core/keyvault.bicep",
        "4633458b-17de-408a-b874-0445c86b69e6",
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    ),
    "shared keys": ("infra/core/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
    "public blobs": ("infra/core/storage.bicep", "allowBlobPublicAccess: false", "allowBlobPublicAccess: true"),
    "plain HTTP": ("infra/app/function.bicep", "httpsOnly: true", "httpsOnly: false"),
    "password logins": ("infra/app/function.bicep", "properties: { allow: false }", "properties: { allow: true }"),
    "telemetry by key": ("infra/core/monitoring.bicep", "DisableLocalAuth: true", "DisableLocalAuth: false"),
    "another plan": ("infra/app/function.bicep", "name: 'FC1', tier: 'FlexConsumption'", "name: 'EP1', tier: 'ElasticPremium'"),
    "one call at a time": (
        "infra/app/function.bicep",
        "        triggers: { http: { perInstanceConcurrency: hosting.httpConcurrency } }\n",
        "",
    ),
    "an option that is on": ("infra/main.bicep", "param vnetEnabled bool = false", "param vnetEnabled bool = true"),
    "an instance that is always ready": ("infra/main.bicep", "param httpAlwaysReady int = 0", "param httpAlwaysReady int = 1"),
    "a module that is not optional": ("infra/main.bicep", "= if (monthlyBudget > 0) {", "= {"),
    "a template that nobody uses": ("infra/core/budget.bicep", None, "infra/core/spare.bicep"),
    "a prediction for a parameter that is not there": ("infra/tests/everything.bicepparam", "param logShards", "param logPieces"),
    "a prediction without all that is optional": ("infra/tests/everything.bicepparam", "param vnetEnabled = true\n", ""),
    "a prediction that depends on the day": ("infra/tests/defaults.bicepparam", "param thisMonth = '2026-01-01'\n", ""),
    "a prediction that nobody counts": ("infra/tests/resources.txt", "defaults 30\n", ""),
    "a wrong count": ("infra/tests/resources.txt", "everything 72", "everything 71"),
    "a resource that nobody counts": ("infra/main.bicep", "containers: [modelsContainer, logsContainer]", "containers: [modelsContainer]"),
    "a preview without a reason": (
        "infra/core/diagnostics.bicep",
        "versions // There is no newer one, and none that is not a preview.",
        "versions",
    ),
}

TYPED = {
    "a property that does not exist": (
        "infra/core/storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: false\n    allowSharedKey: false",
    ),
    "a value that does not exist": ("infra/core/storage.bicep", "accessTier: 'Hot'", "accessTier: 'Warm'"),
    "a version that does not exist": ("infra/app/function.bicep", "serverfarms@2025-03-01", "serverfarms@2025-03-02"),
    "a name that is not declared": ("infra/main.bicep", "tags: tags\n}", "tags: labels\n}"),
    "a brace too few": ("infra/core/alerts.bicep", "actionGroups: [owner.id] }", "actionGroups: [owner.id]"),
    "a required property that is missing": ("infra/core/alerts.bicep", "    groupShortName: 'Personalizer'\n", ""),
    "a parameter that nobody uses": ("infra/core/identity.bicep", "param tags object", "param tags object\nparam spare string = ''"),
    "a module without a scope": ("infra/main.bicep", "  name: 'rbac'\n  scope: group\n", "  name: 'rbac'\n"),
    "an output that is not there": ("infra/main.bicep", "app.outputs.endpoint", "app.outputs.address"),
    "a file that is not there": ("infra/core/alerts.bicep", "alerts/trainer-lag.kql", "alerts/trainer-late.kql"),
}
"""What only Azure's published types, or the grammar, can tell."""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of what a deployment is made of, to do wrong in."""
    root = tmp_path / "project"
    shutil.copytree(REPOSITORY / "infra", root / "infra")
    for file in ("azure.yaml", "host.json", "requirements.txt", ".funcignore"):
        shutil.copy(REPOSITORY / file, root)
    return root


def plant(root: Path, file: str, old: str | None, new: str) -> None:
    if old is None:
        shutil.copy(root / file, root / new)
        return
    text = (root / file).read_text("utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))


def checker() -> Path:
    if CHECKER not in os.environ:
        pytest.skip(f"{CHECKER} names no folder of a checker that knows the types that Azure publishes")
    return Path(os.environ[CHECKER])


def checked(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checker() / "bicep_check.py"), "--strict", "infra/main.bicep", "infra/main.parameters.json"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_templates_keep(rule):
    assert not list(rule(Project(REPOSITORY)))


def test_a_copy_has_no_problem(copied):
    assert not problems(Project(copied))


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_error_is_caught(copied, planted):
    plant(copied, *planted)
    assert problems(Project(copied))


COUNTED = """
param names array
param isOpen bool
param spare string = ''
var both = concat(names, isOpen ? ['c'] : []) // 'not a text'
resource there 'Some/where@2026-01-01' existing = {
  name: 'there'
}
resource one 'Some/one@2026-01-01' = {
  name: 'it\\'s ${isOpen ? 'open}' : there.name}'
  properties: { parts: [for each in both: { name: each }] }
}
#disable-next-line BCP081
resource each 'Some/each@2026-01-01' = [
  for (name, i) in both: {
    name: name
    place: i + 1
  }
]
resource closed 'Some/closed@2026-01-01' = [
  for name in names: if (!isOpen && (empty(spare) || length(names) > 1)) {
    name: name
  }
]
module inner './inner.bicep' = if (isOpen || !empty(spare)) {
  name: 'inner'
  params: { names: both, place: closed!.outputs.name }
}
"""


@pytest.mark.parametrize(
    ("names", "is_open", "expected"), [("['a', 'b']", "true", 1 + 3 + 3), ("['a', 'b']", "false", 1 + 2 + 2), ("[]", "false", 1)]
)
def test_resources_are_counted_by_their_conditions_and_loops(tmp_path, names, is_open, expected):
    (tmp_path / "main.bicep").write_text(COUNTED)
    (tmp_path / "inner.bicep").write_text("param names array\nresource r 'A/b@2026-01-01' = [for name in names: {\n  name: name\n}]\n")
    (tmp_path / "given.bicepparam").write_text(f"using 'main.bicep'\nparam names = {names}\nparam isOpen = {is_open}\n")
    assert count(tmp_path / "main.bicep", parameters(tmp_path / "given.bicepparam")) == expected


def test_the_app_reads_the_settings_it_is_given():
    given = Project(REPOSITORY).settings
    services = {name: name.split("__")[1].removesuffix("ServiceUri") for name in ACCOUNTS}
    values = {name: f"https://x.{service}.core.windows.net" if "Uri" in name else "id" for name, service in services.items()}
    values |= {name: "managedidentity" for name in ACCOUNTS if name.endswith("credential")}
    defaults = {name: value.strip("'") for name, value in Project(REPOSITORY).main.defaults.items()}
    loop = {
        name: defaults.get(expression.removeprefix("string(").removesuffix(")"), "")
        for name, expression in given.items()
        if name not in values
    }
    settings = read_settings({**loop, **values})
    assert settings == read_settings(values), "the templates' defaults are the app's"
    assert isinstance(settings.storage, AccountSettings)
    assert isinstance(settings.host_storage, AccountSettings)
    assert settings.storage.managed_identity
    assert settings.storage.client_id == "id"
    assert settings.host_storage.managed_identity
    assert settings.host_storage.queue_uri == "https://x.queue.core.windows.net"
    assert settings.storage.table_uri == "https://x.table.core.windows.net"


def test_the_templates_agree_with_azures_published_types():
    run = checked(REPOSITORY)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("planted", TYPED.values(), ids=TYPED.keys())
def test_a_planted_error_against_the_published_types_is_caught(copied, planted):
    plant(copied, *planted)
    run = checked(copied)
    assert run.returncode == 1, run.stdout


def test_the_project_agrees_with_its_templates():
    command = [sys.executable, str(checker() / "project_check.py"), str(REPOSITORY), "shared"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.slow
def test_checkov_finds_nothing_and_can_read_everything():
    if not CHECKOV.exists():
        pytest.skip("checkov has an environment of its own: `make infra` sets it up")
    command = [str(CHECKOV), "--config-file", "infra/checkov.yaml", "--output", "json", "--skip-download"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert '"parsing_errors": 0' in run.stdout
    assert '"failed": 0' in run.stdout
    assert "Failed to run check" not in run.stderr
