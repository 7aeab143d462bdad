"""The files of the dashboard: what is handed out, under which rules for the browser, and that nothing else is."""

import gzip
import re
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urljoin

import pytest

from dashboard_function import JOINED_DASHBOARD, STATIC
from shared.runtime.pages import MEDIA_TYPES
from tests.http.building import refused
from tests.http.described import document
from tests.http.test_openapi_page import Parsed
from tests.running import REPOSITORY

FILES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
OWN = [name for name in FILES if not name.startswith("vendor/")]
MODULES = [name for name in OWN if name.endswith(".js")]
KEEPS_A_SIGN_IN = "lib/kept.js"
"""Only if somebody ticks it, which is seen in the browser."""
IMPORT = re.compile(r"""^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)";""", re.MULTILINE | re.DOTALL)
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|localStorage|sessionStorage|indexedDB|\.cookie\b"
)
OUTSIDE = re.compile(r"(?:https?:)?//[\w-]+\.\w[^\s\"'`)]*")


def text_of(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def directives(policy: str) -> dict[str, str]:
    return dict(each.strip().split(" ", 1) for each in policy.split(";"))


# --- what is handed out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/dashboard", "/dashboard/", "/DashBoard"])
def test_the_page_is_there_without_a_key(quiet, place):
    answer = quiet.request("GET", place, keyed=False)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.body == (STATIC / "index.html").read_bytes()


def test_every_file_is_handed_out_as_it_is_and_as_what_it_is(quiet):
    for name in FILES:
        answer = quiet.request("GET", f"/dashboard/{name}", keyed=False)
        assert (answer.status, answer.body) == (200, (STATIC / name).read_bytes()), name
        assert answer.headers["content-type"] == MEDIA_TYPES[Path(name).suffix]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_browser_that_has_a_file_is_told_that_it_is_still_so(quiet):
    first = quiet.request("GET", "/dashboard/base.css", keyed=False)
    assert first.headers["cache-control"] == "no-cache"
    again = quiet.request("GET", "/dashboard/base.css", keyed=False, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert quiet.request("GET", "/dashboard/base.css", keyed=False, headers={"If-None-Match": '"another"'}).status == 200


def test_every_file_is_deployed():
    ignored = [line for line in (REPOSITORY / ".funcignore").read_text("utf-8").splitlines() if line]
    folders = [pattern.rstrip("/") for pattern in ignored if pattern.endswith("/")]
    for path in [each.relative_to(REPOSITORY) for each in STATIC.rglob("*") if each.is_file()]:
        assert not [pattern for pattern in ignored if fnmatch(path.name, pattern)]
        assert not [part for part in path.parts if any(fnmatch(part, pattern) for pattern in folders)]


def test_files_differ_in_their_tags(quiet):
    tags = [quiet.request("GET", f"/dashboard/{name}", keyed=False).headers["etag"] for name in FILES]
    assert len(set(tags)) == len(FILES)


@pytest.mark.parametrize(
    "place",
    [
        "nothing.js",
        "lib",
        "lib/",
        "..%2f__init__.py",
        "..%2F..%2Ffunction_app.py",
        "lib/..%2f..%2f__init__.py",
        "%2e%2e%2f__init__.py",
        "..%5c__init__.py",
        "%2fetc%2fpasswd",
        "BASE.CSS",
        "base.css.map",
        "caf%C3%A9.js",
        "x" * 5000,
    ],
)
def test_there_is_no_way_to_anything_else(quiet, place):
    refused(quiet.request("GET", f"/dashboard/{place}", keyed=False), 404, "ResourceNotFound", naming="the page dashboard has no file")


@pytest.mark.parametrize("place", ["/dashboard/../host.json", "/dashboard/%2e%2e/host.json"])
def test_a_path_that_leads_out_is_one_that_leads_nowhere(quiet, place):
    refused(quiet.request("GET", place, keyed=False), 404, "ResourceNotFound", naming="there is nothing at /host.json")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("place", ["/dashboard", "/dashboard/base.css"])
def test_files_are_read_only(quiet, method, place):
    answer = quiet.request(method, place, keyed=False)
    refused(answer, 405, "BadRequest", naming="GET")
    assert answer.headers["allow"] == "GET"


def test_the_description_of_the_api_is_of_the_api_only():
    assert not [path for path in document()["paths"] if "dashboard" in path]


# --- the rules for the browser ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "/base.css", "/dashboard.js", "/favicon.svg"])
def test_a_page_may_load_and_run_and_ask_this_service_only(quiet, name):
    headers = quiet.request("GET", f"/dashboard{name}", keyed=False).headers
    allowed = directives(headers["content-security-policy"])
    assert {name: allowed.pop(name) for name in ("script-src", "style-src", "img-src", "connect-src")} == dict.fromkeys(
        ("script-src", "style-src", "img-src", "connect-src"), "'self'"
    )
    assert allowed.pop("require-trusted-types-for") == "'script'"
    assert set(allowed) == {"default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types"}
    assert set(allowed.values()) == {"'none'"}
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"


def test_nothing_in_the_page_is_inline():
    parsed = Parsed(text_of("index.html").replace("<!doctype html>", ""))
    assert parsed.style == ""
    assert all(set(attributes) == {"type", "src"} for attributes in parsed.all("script"))
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on") or name == "style"]


def test_everything_that_the_page_loads_is_a_file_of_its_own():
    parsed = Parsed(text_of("index.html").replace("<!doctype html>", ""))
    loaded = parsed.values("src") + [attributes["href"] for attributes in parsed.all("link")]
    assert len(loaded) >= 3
    assert {each.removeprefix("/dashboard/") for each in loaded} <= {*FILES, *JOINED_DASHBOARD}


def test_what_the_page_loads_is_joined_of_all_its_modules_and_style_sheets(quiet):
    script, styles = [quiet.request("GET", f"/dashboard/joined/dashboard.{kind}", keyed=False) for kind in ("js", "css")]
    assert script.headers["content-type"] == MEDIA_TYPES[".js"]
    assert sorted(re.findall(r"// /dashboard/(\S+\.js)$", script.body.decode(), re.MULTILINE)) == sorted(MODULES)
    assert not re.search(r"^(?:import|export) ", script.body.decode(), re.MULTILINE)
    assert all(text_of(name) in styles.body.decode() for name in FILES if name.endswith(".css") and name != "landing.css")


# --- how it is sent --------------------------------------------------------------------------------------------------


def test_who_takes_it_is_sent_a_compressed_answer_and_who_has_it_none(quiet):
    for place in ("/dashboard/joined/dashboard.js", "/dashboard", "/dashboard/base.css", "/demo/joined/demo.js", "/openapi.json", "/docs"):
        plain = quiet.request("GET", place, keyed=False)
        small = quiet.request("GET", place, keyed=False, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
        assert (small.headers["content-encoding"], small.headers["vary"]) == ("gzip", "Accept-Encoding"), place
        assert ("content-encoding" in plain.headers, plain.headers["vary"]) == (False, "Accept-Encoding"), place
        assert gzip.decompress(small.body) == plain.body
        assert len(small.body) * 1.5 < len(plain.body)
        assert small.headers["etag"] != plain.headers["etag"]
        for tag in (small.headers["etag"], plain.headers["etag"], f"W/{plain.headers['etag']}"):
            has_it = {"Accept-Encoding": "gzip", "If-None-Match": tag}
            again = quiet.request("GET", place, keyed=False, headers=has_it)
            assert (again.status, again.body, again.headers.get("content-encoding")) == (304, b"", None)


@pytest.mark.parametrize("accepted", ["br", "gzip;q=0", "gzip; q=0.000, *", "identity", "*;q=0", "gzipped"])
def test_who_does_not_take_it_is_sent_a_plain_answer(quiet, accepted):
    answer = quiet.request("GET", "/dashboard/base.css", keyed=False, headers={"Accept-Encoding": accepted})
    assert (answer.status, answer.body) == (200, (STATIC / "base.css").read_bytes())
    assert "content-encoding" not in answer.headers


# --- the files -------------------------------------------------------------------------------------------------------


def test_every_import_leads_to_a_file_and_every_module_is_imported():
    imports = {name: [urljoin(name, place) for place in IMPORT.findall(text_of(name))] for name in MODULES}
    assert not [(name, place) for name, places in imports.items() for place in places if place not in FILES]
    reached, left = {"dashboard.js"}, ["dashboard.js"]
    while left:
        new = [place for place in imports.get(left.pop(), ()) if place not in reached]
        reached |= set(new)
        left += new
    assert set(MODULES) <= reached


@pytest.mark.parametrize("name", OWN)
def test_no_file_names_a_place_outside(name):
    assert {each for each in OUTSIDE.findall(text_of(name)) if "www.w3.org" not in each} == set()


@pytest.mark.parametrize("name", MODULES)
def test_no_module_makes_markup_of_text_or_keeps_anything_in_the_browser(name):
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|localStorage|sessionStorage|indexedDB|\.cookie\b"
    )
    text = text_of(name).replace("sessionStorage", "") if name == KEEPS_A_SIGN_IN else text_of(name)
    assert not re.search(forbidden, text)
