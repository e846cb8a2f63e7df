"""The campaign of failing calls: what it counts as wrong, and its table."""

import pytest

from bench.disturbed import Count, Ended
from bench.faults import show

GOOD = Ended(0, "")


@pytest.mark.parametrize(
    ("first", "again", "sentences", "harmless", "end", "wrong"),
    [
        (GOOD, GOOD, [], True, "nothing said", 0),
        (GOOD, GOOD, [], False, "nothing said", 1),
        (Ended(0, "x could not be written"), GOOD, [], True, "warning", 0),
        (Ended(2, "error: x could not be written"), GOOD, [], False, "error", 0),
        (Ended(2, "x could not be written"), GOOD, [], False, "error", 1),
        (Ended(1, "a run failed"), Ended(1, ""), [], False, "error", 2),
        (GOOD, GOOD, ["model a lost", "runs differ"], True, "nothing said", 2),
    ],
)
def test_each_way_to_be_wrong_is_counted(first, again, sentences, harmless, end, wrong) -> None:
    count = Count()
    count.judge("open 3", first, again, sentences, harmless=harmless)
    assert (dict(count.ends), len(count.wrong)) == ({end: 1}, wrong)


def test_the_table_has_a_line_a_kind_and_what_was_wrong_is_told(capsys) -> None:
    count = Count()
    count.judge("open 3", GOOD, GOOD, ["model a lost"], harmless=True)
    assert show({"search: open": count}) == 1
    out, err = capsys.readouterr()
    assert "| search: open | 0 | 0 | 1 | 1 |" in out
    assert err == "open 3: model a lost\n"
    assert show({"search: open": Count()}) == 0
