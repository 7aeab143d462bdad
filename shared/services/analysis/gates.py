"""Gates: whether a policy of an evaluation may be put to use, by rules that somebody has set."""

from collections.abc import Sequence
from math import isfinite
from typing import Final

from shared.domain.evaluation import Job, JobStatus, Lift, Report
from shared.domain.gates import Check, Gate, Looks, Ruling

_RARE: Final = 3.29 / 1.96
"""By how much a 99.9 % interval is wider than one of 95 %: a policy that is sound is seldom called unsound."""

_NEARLY: Final = 1e-6

_STANDING: Final = {JobStatus.NOT_SUBMITTED: "waiting to begin", JobStatus.RUNNING: "running"}


def ruling(gate: Gate, reports: Sequence[Report], policy: str) -> Ruling:
    """Tell whether a policy passes, over all slots; one without figures does not."""
    whole = {each.name: each for each in reports if not each.slot}
    report = whole.get(policy)
    if report is None:
        return Ruling(policy, [_without_figures("it has to be evaluated", "this evaluation has no figures of it")])
    name = gate.compared_with or report.compared_with
    other, lift = whole.get(name), report.lifts.get(name)
    checks = [_of_lift(gate, lift, other, name), _of_weights(report)]
    if gate.least_events:
        found = f"there are {report.rounds:,}"
        checks.append(Check("events", f"at least {gate.least_events:,}", found, report.rounds >= gate.least_events))
    if gate.most_weight is not None:
        asked, found = f"no event may stand for more than {gate.most_weight:g}", f"one stands for {report.largest_weight:.4g}"
        checks.append(Check("weight", asked, found, report.largest_weight <= gate.most_weight))
    checks += [_of_estimator(gate, each, report, other) for each in gate.estimators]
    return Ruling(policy, checks)


def not_told(job: Job, reports: Sequence[Report]) -> Check | None:
    """Give the rule that an evaluation without figures breaks, with the reason; None for one that has figures."""
    if reports:
        return None
    if not job.status.is_over:
        return _without_figures("the evaluation has to be over", f"it is still {_STANDING[job.status]}")
    if job.status in (JobStatus.FAILED, JobStatus.TIMEOUT, JobStatus.CANCELED):
        return _without_figures("the evaluation has to succeed", f"its status is {job.status}{_why(job)}")
    return _without_figures("the evaluation has to tell something", f"it has no figures{_why(job)}")


def _why(job: Job) -> str:
    return f" ({job.description.rstrip('.')})" if job.description else ""


def _without_figures(asked: str, found: str) -> Check:
    return Check("figures", asked, found, is_kept=False)


def _of_lift(gate: Gate, lift: Lift | None, other: Report | None, name: str) -> Check:
    title = other.title if other is not None else name or "the present policy"
    asked = f"{_asked(gate, title)}, for sure"
    if lift is None:
        return Check("lift", asked, "the two are not compared in this evaluation", is_kept=False)
    low, high = lift.anytime if gate.looks is Looks.MANY else lift.interval
    if not all(isfinite(each) for each in (lift.value, low, high)):
        return Check("lift", asked, "this log does not tell it", is_kept=False)
    when = "at any time" if gate.looks is Looks.MANY else "at one look"
    return Check("lift", asked, f"it earns {lift.value:+.4f} ({low:+.4f} to {high:+.4f} {when})", low > gate.least_lift)


def _asked(gate: Gate, other: str = "") -> str:
    than = f" than {other}" if other else ""
    if not gate.least_lift:
        return f"it has to earn more{than}"
    if gate.least_lift > 0.0:
        return f"it has to earn over {gate.least_lift:g} more{than}"
    return f"it must not earn {-gate.least_lift:g} less{than}"


def _of_weights(report: Report) -> Check:
    low, high = report.mean_weight_interval
    reach = 0.5 * (high - low) * _RARE if isfinite(high - low) else 0.0
    is_kept = isfinite(report.mean_weight) and abs(report.mean_weight - 1.0) <= reach + _NEARLY
    found = f"it is {report.mean_weight:.3f}" if isfinite(report.mean_weight) else "it is not known"
    return Check("mean weight", "it has to be 1 but for chance", found, is_kept)


def _of_estimator(gate: Gate, name: str, report: Report, other: Report | None) -> Check:
    asked = f"{_asked(gate)} by this estimator as well"
    values = [each.estimates.get(name) if each is not None else None for each in (report, other)]
    mine, theirs = values
    if mine is None or theirs is None or not isfinite(mine - theirs):
        return Check(name, asked, "this log does not tell it", is_kept=False)
    return Check(name, asked, f"it earns {mine - theirs:+.4f}", mine - theirs > gate.least_lift)
