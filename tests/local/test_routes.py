import pytest

from local.backend import HttpTrigger
from local.routes import Match, RouteError, Router, decode_path, pattern_of


def trigger(route: str, *methods: str, name: str = "") -> HttpTrigger:
    return HttpTrigger(name or route, "req", route, frozenset(methods))


def taken(router: Router, path: str, method: str = "GET") -> str | None:
    match = router.match(path, method)
    return match.trigger.name if match else None


def test_routes_are_tried_in_the_order_of_their_functions_names_in_any_case_and_not_from_specific_to_general():
    routes = {"manage": "a/{*rest}", "Rank": "a/b", "activate": "{x}/c", "rank_2022": "a/b", "all_2": "a/d", "ALLOW": "a/{x}"}
    router = Router([trigger(route, name=name) for name, route in routes.items()], prefix="")
    assert [taken(router, path) for path in ["/a/b", "/a/c", "/a/d", "/a", "/b/c"]] == ["ALLOW", "activate", "ALLOW", "manage", "activate"]


def test_a_route_whose_name_comes_first_takes_what_a_later_ones_literal_was_meant_for():
    early, late = trigger("p/{version}/e/{id}/act", name="act"), trigger("p/several/e/{id}/act", name="several_act")
    assert Router([late, early], prefix="").match("/p/several/e/7/act", "GET") == Match(early, {"version": "several", "id": "7"})


@pytest.mark.parametrize(
    ("route", "path", "value"),
    [
        ("v1.{minor}", "/v1.1-preview.2", "1-preview.2"),
        ("v1.{minor}", "/V1.0", "0"),
        ("v1.{minor}", "/v1.", None),
        ("v{version}", "/v1.1-preview.2", None),  # the text before a parameter is looked for from the right
        ("v{version}", "/v10", "10"),
        ("{name}.json", "/a.json.json", "a.json"),
        ("a-{name}.js", "/a-b-a-c.js", None),
    ],
)
def test_a_segment_with_text_and_a_parameter_is_matched_from_right_to_left(route, path, value):
    match = Router([trigger(route)], prefix="").match(path, "GET")
    assert (next(iter(match.values.values())) if match else None) == value


@pytest.mark.parametrize(
    ("path", "function"),
    [("//a/b", None), ("/a//b", "{*all}"), ("/a/b//", "a/{*rest}"), ("/a/", "a/{*rest}"), ("/", "{*all}"), ("/a//", "{*all}")],
)
def test_no_route_takes_a_path_with_an_empty_part_before_what_its_catch_all_takes(path, function):
    assert taken(Router([trigger("{*all}", name="{*all}"), trigger("a/{*rest}", name="a/{*rest}")], prefix=""), path) == function


def test_a_catch_all_takes_the_rest_of_the_path():
    router = Router([trigger("files/{*path}")], prefix="api")
    assert router.match("/api/files/a//b/", "GET") == Match(trigger("files/{*path}"), {"path": "a//b/"})
    assert router.match("/api/files", "GET") == Match(trigger("files/{*path}"), {})
    assert router.match("/files/a", "GET") is None
    assert router.match("/api/files/a\nb", "GET") == Match(trigger("files/{*path}"), {"path": "a\nb"})


def test_the_same_route_may_be_split_by_method():
    router = Router([trigger("status", "GET"), trigger("Status", "POST"), trigger("{x}", "GET"), trigger("{y}", "POST")], prefix="")
    assert [router.match(path, method).trigger.methods for path in ["/status", "/a"] for method in ["GET", "POST"]] == [  # type: ignore[union-attr]
        {"GET"},
        {"POST"},
    ] * 2


@pytest.mark.parametrize("route", ["{id:int}", "a{b", "{*a}{b}", "{a}-{b}"])
def test_a_template_it_cannot_read_is_refused(route):
    with pytest.raises(RouteError):
        pattern_of(route)


@pytest.mark.parametrize(
    ("raw", "path"),
    [("/a/../../../b", "/b"), ("/%2e%2E%2Fb", "/..%2Fb"), ("/a/..", "/"), ("/.hidden/a.b", "/.hidden/a.b"), ("/%252F", "/%2F")],
)
def test_paths_are_decoded_as_aspnet_does(raw, path):
    assert decode_path(raw) == path
