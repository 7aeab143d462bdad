"""What is told of the files of a log: bounded, however many files there are and however many reasons they give."""

from shared.domain.errors import KindNotReadError, NoLogError, UnreadableError
from shared.services.importing.accounts import MOST_FILES, MOST_REMARKS, MOST_TOLD, Fate, FileAccount, HowFar


def test_reasons_that_differ_in_what_they_name_are_one_remark_and_others_are_their_own():
    account = FileAccount("a")
    for line in range(1, 6):
        account.lose(Fate.REFUSED, f"action {line} of 3 was chosen", line)
        account.lose(Fate.REFUSED, f"the id 'x{line}' is \"y{line}\"", line)
    assert [(each.reason, each.line, each.count) for each in account.fate().remarks] == [
        ("action 1 of 3 was chosen", 1, 5),
        ("the id 'x1' is \"y1\"", 1, 5),
    ]


def test_remarks_are_few_and_short_and_all_lines_are_counted():
    done, account = HowFar(), FileAccount("a")
    for number in range(MOST_REMARKS + 5):
        done = done.with_error(account, UnreadableError("x" * number + "y" * 10_000), number)
    fate = done.with_file(account).fates[0]
    assert (fate.refused, len(fate.remarks), done.malformed) == (MOST_REMARKS + 5, MOST_REMARKS, MOST_REMARKS + 5)
    assert max(map(len, [*[each.reason for each in fate.remarks], *[each.reason for each in done.told]])) == 500


def test_lines_are_told_one_by_one_up_to_a_number_and_of_a_kind_only_the_first_of_a_file():
    done, one, two = HowFar(), FileAccount("one"), FileAccount("two")
    for line in range(1, MOST_TOLD + 50):
        done = done.with_error(one, KindNotReadError("slates"), line).with_error(one, NoLogError("a list"), line)
    assert (done.malformed, done.passed_over, len(done.told)) == (MOST_TOLD + 49, MOST_TOLD + 49, 1)
    for line in range(1, MOST_TOLD + 50):
        done = done.with_error(two, UnreadableError("odd"), line)
    assert (len(done.told), done.told[1].line, done.told[-1].line) == (MOST_TOLD, 1, MOST_TOLD - 1)


def test_of_many_files_those_with_something_to_say_are_kept():
    done = HowFar()
    for number in range(MOST_FILES + 10):
        account = FileAccount(str(number))
        if number >= MOST_FILES:
            done = done.with_error(account, UnreadableError("odd"), 1)
        done = done.with_file(account)
    assert (done.files, len(done.fates)) == (MOST_FILES + 10, MOST_FILES)
    assert [each.file for each in done.fates if each.remarks] == [str(number) for number in range(MOST_FILES, MOST_FILES + 10)]
    for number in range(MOST_FILES):
        account = FileAccount(f"more-{number}")
        done = done.with_error(account, UnreadableError("odd"), 1).with_file(account)
    assert len(done.fates) == MOST_FILES
    assert all(each.remarks for each in done.fates)
