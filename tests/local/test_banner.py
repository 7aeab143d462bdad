"""What is printed once the service answers."""

from local.banner import banner


def test_the_link_to_the_dashboard_signs_in_whatever_the_key_is():
    shown = banner("http://127.0.0.1:7071", "UseDevelopmentStorage=true", key="a key & more", admin_key="b", demo_key=None)
    assert "  Dashboard  http://127.0.0.1:7071/dashboard#key=a%20key%20%26%20more\n" in shown
