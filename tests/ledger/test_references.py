"""How far a number may move."""

from helpers.ledger import judge, references
from helpers.ledger.references import Number


def test_difference_names_the_worst_entry():
    """Measured by what each may move."""
    number = Number("C14", "q", [1.0, 100.0], (0.01, 0.0))
    assert number.difference([1.05, 100.01]) == "100.01, in the reference 100, may move by 0.0001"
    assert number.difference([1.0]) == "1 numbers, in the reference 2"


def test_a_chapter_without_a_reference():
    """All its numbers are listed as not compared."""
    record = judge("C14", 2e6, profile="quick")
    found = references.compare("no_such_chapter", record, seed=0, device="cpu")
    assert found == ([], ["C14 supremum_to_1e6: not in the reference"])
    _, others = references.compare("two_point_landscape", record, seed=0, device="cuda")
    assert others == ["C14 supremum_to_1e6: the reference is of seed 0, on cpu"]
