"""What the members of families say of themselves is true: the function that makes each is there."""

import pytest

from ticketlab.made import made
from ticketlab.spec.language import every_section
from ticketlab.spec.section import Choice

CHOICES = [one for one in every_section() if issubclass(one, Choice) and getattr(one, "made_by", "")]


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.__name__)
def test_the_function_that_makes_a_choice_is_there(choice: type[Choice]) -> None:
    assert callable(made(choice.made_by))
    assert choice.about


def test_every_kind_of_choice_is_looked_at() -> None:
    assert len(CHOICES) > 40
    assert len({choice.made_by.partition(":")[0] for choice in CHOICES}) > 20
