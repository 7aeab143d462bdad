"""Modules joined into one: run once each, before those that import them, and refused where that cannot be done."""

import json
import subprocess

import pytest

from dashboard_function.joining import JoiningError, joined_modules, joined_styles
from local.node import find_node
from tests.patience import PATIENCE

PAGE = {
    "/page/main.js": """/** What it does. */

import { second as other, Counter } from "./lib/two.js";
import "./lib/noted.js";
import * as one from "/page/lib/one.js";

/** @type {any} */ (globalThis).told.push("main", one.FIRST, one.here(), other(), new Counter().at, Object.keys(one).join());
""",
    "/page/lib/one.js": """/**
 * Described.
 */
export const FIRST = `a
import nothing from here
`;

export async function later() {}

/** Not of this module alone. */
export function here() {
  return FIRST.length;
}
globalThis.told = ["one"];
""",
    "/page/lib/two.js": """import { FIRST, here } from "./one.js";

// the same name as in another module
function hidden() {
  return `${FIRST.slice(0, 1)}${here()}`;
}

export class Counter {
  at = hidden();
}
export { hidden as second };
globalThis.told.push("two");
""",
    "/page/lib/noted.js": """import { here } from "./one.js";
globalThis.told.push(`noted ${here()}`);
""",
}


def test_joined_modules_do_what_they_do_apart():
    text = joined_modules("/page/main.js", PAGE.__getitem__)
    ran = subprocess.run(
        [find_node().node, "--input-type=module", "-e", f"{text}\nconsole.log(JSON.stringify(told))"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    length = len("a\nimport nothing from here\n")
    assert json.loads(ran.stdout) == [
        "one",
        "two",
        f"noted {length}",
        "main",
        "a\nimport nothing from here\n",
        length,
        f"a{length}",
        f"a{length}",
        "FIRST,later,here",
    ]
    assert "Described" not in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('import whole from "./b.js";\n', "“import whole” cannot be joined"),
        ('const a = 1;\nimport { b } from "./b.js";\n', "“import { b } from"),
        ("export default 1;\n", "“export default 1;” cannot be joined"),
        ("export let changing = 1;\n", "“export let changing = 1;” cannot be joined"),
        ("export const { a, b } = c;\n", "“export const { a, b } = c;” cannot be joined"),
        ('export * from "./b.js";\n', "cannot be joined"),
        ('import { c } from "./c.js";\n', "/a.js → /c.js → /a.js: modules that need each other cannot be joined"),
    ],
)
def test_a_module_that_cannot_be_joined_is_refused_by_name(text, said):
    others = {"/a.js": text, "/b.js": "export const b = 1;\n", "/c.js": 'import { a } from "./a.js";\nexport const c = 1;\n'}
    with pytest.raises(JoiningError) as refused:
        joined_modules("/a.js", others.__getitem__)
    assert said in str(refused.value)


def test_style_sheets_stand_in_their_order():
    assert joined_styles(("/a.css", "/b.css"), {"/a.css": "a {}\n", "/b.css": "b {}\n"}.__getitem__) == "a {}\n\nb {}\n"
