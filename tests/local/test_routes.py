import pytest

from local.backend import HttpTrigger
from local.routes import Match, RouteError, Router, decode_path, pattern_of


def trigger(route: str, *methods: str) -> HttpTrigger:
    return HttpTrigger(route, "req", route, frozenset(methods))


def test_routes_are_tried_from_specific_to_general_whatever_their_order():
    routes = ["{*rest}", "{a}/{b}", "{a}/x-{b}", "{a}/x", "a/{b?}", "a/b"]
    router = Router([trigger(route) for route in routes], prefix="")
    taken = {
        path: match.trigger.route
        for path in ["/a/b", "/a", "/a/c", "/c/x", "/c/x-1", "/c/d", "/c/d/e"]
        if (match := router.match(path, "GET"))
    }
    assert taken == {
        "/a/b": "a/b",
        "/a": "a/{b?}",
        "/a/c": "a/{b?}",
        "/c/x": "{a}/x",
        "/c/x-1": "{a}/x-{b}",
        "/c/d": "{a}/{b}",
        "/c/d/e": "{*rest}",
    }


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


@pytest.mark.parametrize("route", ["{id:int}", "a{b", "{*a}{b}"])
def test_a_template_it_cannot_read_is_refused(route):
    with pytest.raises(RouteError):
        pattern_of(route)


@pytest.mark.parametrize(
    ("raw", "path"),
    [("/a/../../../b", "/b"), ("/%2e%2E%2Fb", "/..%2Fb"), ("/a/..", "/"), ("/.hidden/a.b", "/.hidden/a.b"), ("/%252F", "/%2F")],
)
def test_paths_are_decoded_as_aspnet_does(raw, path):
    assert decode_path(raw) == path
