"""The pages on deploying, watching and paying say what the templates do."""

import re

from tests.infra.templates import REPOSITORY, SETTINGS, Project

PAGE = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
COSTS = (REPOSITORY / "docs" / "costs.md").read_text("utf-8")
OURS = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
FOLLOWS = {"PERSONALIZER_MEMORY_MB"}
"""What follows from another option: the memory of an instance."""


def test_every_option_is_on_the_page_with_its_default_and_no_other():
    """The app's own settings have a page of theirs."""
    mapped = dict(re.findall(r"\$\{([A-Z_]+)(?:=([^}]*))?\}", " ".join(Project(REPOSITORY).values.values())))
    expected = {name: default for name, default in mapped.items() if name not in SETTINGS | OURS}
    rows = re.findall(r"^\| `(PERSONALIZER_[A-Z_]+)` \| (?:`(.*?)`)? *\|", PAGE, re.MULTILINE)
    assert dict(rows) == expected
    assert len(rows) == len(expected)


def test_every_setting_of_the_app_has_its_own_name_as_an_option():
    mapped = set(re.findall(r"\$\{([A-Z_]+)", " ".join(Project(REPOSITORY).values.values())))
    assert mapped | FOLLOWS >= SETTINGS
    assert not mapped & FOLLOWS


def test_every_alert_is_on_the_page():
    rules = set(re.findall(r"^    name: '([\w-]+)'$", (REPOSITORY / "infra" / "core" / "alerts.bicep").read_text("utf-8"), re.MULTILINE))
    assert len(rules) == 8
    assert not [rule for rule in rules if f"| `{rule}` |" not in PAGE]


def test_the_files_that_the_page_names_are_there():
    named = set(re.findall(r"`((?:infra|tests|shared|\.github)/[\w./-]+)`", PAGE))
    assert len(named) >= 5
    assert not [name for name in named if not (REPOSITORY / name).exists()]


def test_the_sums_of_the_costs_are_right():
    table = re.search(r"^\| Rank calls a day.*?(?=^$)", COSTS, re.DOTALL | re.MULTILINE)
    assert table is not None
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]
    figures = {name: [float(cell.replace("−", "-")) for cell in cells] for name, *cells in rows}
    sums = figures.pop("sum, about")
    figures.pop("with alerts")
    assert len(figures) == 7
    for column, said in enumerate(sums):
        exact = sum(cells[column] for cells in figures.values())
        assert abs(exact - said) <= max(0.05 * said, 0.5)
