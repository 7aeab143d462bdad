"""What is printed once the service answers."""

import rank_function
import reward_function
from evaluation_function.operations import OPERATIONS as EVALUATING
from local.banner import banner
from local.listening import Place
from manage_function.operations import OPERATIONS as MANAGING

HERE = Place("127.0.0.1", 7071)


def test_the_link_to_the_dashboard_signs_in_whatever_the_key_is():
    shown = banner([HERE], "UseDevelopmentStorage=true", key="a key & more", admin_key="b", demo_key=None)
    assert "  Dashboard  http://127.0.0.1:7071/dashboard#key=a%20key%20%26%20more\n" in shown


def test_what_other_machines_reach_and_may_ask_without_a_key_is_told():
    shown = banner([Place("0.0.0.0", 7071), Place("::1", 7071)], "a store", key="k", admin_key="a", demo_key=None)
    assert "Other machines reach it at http://0.0.0.0:7071, over plain HTTP" in shown
    assert "  Endpoint   http://127.0.0.1:7071\n" in shown
    assert "Other machines" not in banner([HERE, Place("::1", 7071)], "a store", key="k", admin_key="a", demo_key=None)


def test_no_operation_but_those_that_are_told_of_is_open_without_a_key():
    """Beside the operations there are the description of the API, the pages of the dashboard and of the demo, and what nobody calls."""
    operations = (*rank_function.OPERATIONS, *reward_function.OPERATIONS, *MANAGING, *EVALUATING)
    assert len(operations) > 30
    assert {each.name for each in operations if not each.needs_key and not each.needs_admin} == {"status"}
