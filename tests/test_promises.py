"""Every promise has a test, and the pages that say which are up to date."""

from collections import Counter

import pytest

from tests.support.promises import ATTACKS, CONTRACT, PAGES, Page, proofs

NAMES = {CONTRACT: "the contract", ATTACKS: "attacks"}


def test_every_promise_is_proved_and_nothing_else() -> None:
    known = [row.id for page in PAGES for row in page.rows()]
    assert [name for name, times in Counter(known).items() if times > 1] == []
    proved = proofs()
    assert [name for name in known if name not in proved] == []
    assert sorted(set(proved) - set(known)) == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES.__getitem__)
def test_the_page_is_up_to_date(page: Page) -> None:
    assert page.page.read_text() == page.text(), "run python -m tests.support.promises"
