"""Each benchmark runs, in a size that says nothing about speed, and prints its table."""

import doctest
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import table, timing
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.table import Goal, Line, plain

REPOSITORY = Path(__file__).resolve().parents[2]

OTHERS = [["append", "train", "evaluation"], ["reload", "delay", "many", "steady"], ["scale"], ["behind", "store", "cold", "verify"]]
"""Those that `make test` leaves to `make exhaustive`, in parts that take about as long as each other."""


PARTS = [
    ["rank"],
    *(pytest.param(names, marks=[pytest.mark.exhaustive, pytest.mark.long]) for names in OTHERS),
]


@pytest.mark.azurite
@pytest.mark.slow
@pytest.mark.parametrize("names", PARTS, ids="+".join)
@pytest.mark.timeout(900)
def test_benchmarks_print_their_figures_beside_the_floor(names):
    command = [sys.executable, "-m", "benchmarks", "--quick", *names]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    heading, *lines = run.stdout.splitlines()
    assert heading.split() == ["benchmark", "measure", "ours", "floor", "ratio", "goal"]
    assert list(dict.fromkeys(line.split()[0] for line in lines)) == names
    for name in names:
        assert any(line.endswith(("pass", "FAIL")) for line in lines if line.split()[0] == name), name


def test_each_benchmark_is_in_a_part():
    assert sorted(["rank", *itertools.chain(*OTHERS)]) == sorted(BENCHMARKS)


def test_only_strict_turns_a_missed_goal_into_an_exit_code(monkeypatch, capsys):
    missed = [Line("rank", "p50", "9 ms", "3 ms", 3.0, Goal(1.3))]
    monkeypatch.setattr("benchmarks.__main__.measure", lambda names, *, quick: missed)
    assert main([]) == 0
    assert main(["rank", "--strict"]) == 1
    assert capsys.readouterr().out.count("FAIL") == 2


def test_an_unknown_benchmark_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["rnak"])
    assert exit_.value.code == 2
    assert "there is no benchmark rnak" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("goal", "ratio", "verdict"),
    [(Goal(1.3), 1.3, "pass"), (Goal(1.3), 1.31, "FAIL"), (Goal(8, at_least=True), 8.0, "pass"), (Goal(8, at_least=True), 7.9, "FAIL")],
)
def test_a_goal_is_met_on_its_bound(goal, ratio, verdict):
    line = Line("x", "y", "1", "1", ratio, goal)
    assert line.verdict == verdict
    assert plain([line]).endswith(verdict)


@pytest.mark.parametrize("module", [table, timing])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0
