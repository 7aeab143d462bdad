"""What is logged of the cause of a refusal that is no caller's fault."""

from shared.domain.errors import SettingsError, StorageUnavailableError, UnreadableError
from shared.runtime.failures import cause_of


def raised(error: BaseException, *, cause: BaseException | None = None, context: BaseException | None = None) -> BaseException:
    error.__cause__, error.__context__, error.__suppress_context__ = cause, context, cause is not None
    return error


def test_each_cause_is_told_the_nearest_first_whether_it_was_named_or_came_up_meanwhile():
    first = raised(OSError("no route"))
    second = raised(StorageUnavailableError("storage cannot be reached: append"), context=first)
    third = raised(StorageUnavailableError("storage did not take it in time"), cause=second)
    assert cause_of(third) == (
        "StorageUnavailableError: storage did not take it in time; StorageUnavailableError: storage cannot be reached: append; OSError"
    )


def test_what_an_error_of_others_says_is_not_told():
    error = raised(StorageUnavailableError("storage refused"), cause=ValueError("https://account/table?sig=secret"))
    assert "secret" not in cause_of(error)


def test_what_an_error_quotes_of_its_cause_is_not_told_either():
    cause = ValueError("input_value='Ada'")
    assert (
        cause_of(raised(UnreadableError(f"the note cannot be read: {cause}"), cause=cause))
        == "UnreadableError: the note cannot be read; ValueError"
    )


def test_of_a_setting_what_anyone_may_be_told_is_told():
    error = SettingsError("PERSONALIZER_X is 's3cr3t'", public="PERSONALIZER_X must be a number")
    assert cause_of(error) == "SettingsError: PERSONALIZER_X must be a number"


def test_what_was_raised_from_nothing_has_no_further_cause():
    error = StorageUnavailableError("too late")
    error.__context__, error.__suppress_context__ = KeyError("x"), True
    assert cause_of(error) == "StorageUnavailableError: too late"


def test_causes_without_end_are_told_to_some_length():
    one, other = StorageUnavailableError("x" * 300), StorageUnavailableError("y")
    one.__cause__, other.__cause__ = other, one
    assert len(cause_of(one)) == 500
