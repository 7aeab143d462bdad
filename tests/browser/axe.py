"""What axe says about a page."""

from tests.browser.visits import Visit

SERIOUS = """async () => (await axe.run(document)).violations
  .filter((each) => ["serious", "critical"].includes(each.impact))
  .map((each) => [each.id, each.nodes.map((node) => [node.html, node.failureSummary])])"""


def findings(visit: Visit, axe: str) -> object:
    """Give what is serious or worse; the visit has to bypass the page's policy, under which axe could not run."""
    if not visit.page.evaluate("Boolean(window.axe)"):
        visit.page.evaluate(axe)
    return visit.page.evaluate(SERIOUS)
