"""All experiments have one shape, which all that runs, stores or judges them relies on."""

from dataclasses import fields, is_dataclass

import pytest

from helpers import experiments, ledger
from helpers.evidence.identity import canonical
from helpers.evidence.lines import text_of
from helpers.experiments.protocol import setting_of

ORDER = [(name, experiments.find(name)) for name in experiments.ORDER]
shaped = pytest.mark.parametrize(("name", "module"), ORDER, ids=experiments.ORDER)


@shaped
def test_readings_and_arms(name, module):
    """Six readings at most, each with a source; arms are fields of the setting, by name."""
    assert 1 <= len(module.READINGS) <= 6 and module.VERSION >= 1
    assert all(reading.source.strip() for reading in module.READINGS.values())
    assert is_dataclass(module.Setting) and module.Setting.__dataclass_params__.frozen
    known = {field.name for field in fields(module.Setting)}
    for arm, changed in module.ARMS.items():
        assert set(changed) <= known, arm
        for reading in module.READINGS:
            text_of(canonical(setting_of(module, reading, arm)))  # or it has no key


@shaped
def test_arms_differ(name, module):
    """Two names for one setting would do a run twice, or judge it under either name."""
    first = next(iter(module.READINGS))
    texts = [text_of(canonical(setting_of(module, first, arm))) for arm in module.ARMS]
    assert len(set(texts)) == len(texts)


@shaped
def test_sizes(name, module):
    """The page's own is there; each says what it lacks of the paper's protocol."""
    assert "quick" in module.SIZES and set(module.SIZES) <= set(ledger.PROFILES)
    assert list(module.SIZES) == [p for p in ledger.PROFILES if p in module.SIZES]
    for size in module.SIZES.values():
        assert size.lacks.strip() and 1 <= size.members <= 64


@shaped
def test_what_is_wanted_exists(name, module):
    for wanted in module.WANTED:
        assert set(wanted.readings) <= set(module.READINGS)
        assert set(wanted.arms) <= set(module.ARMS)
        assert wanted.size in module.SIZES and len(wanted.blocks) and wanted.why.strip()
        for reading in wanted.readings:
            texts = {text_of(canonical(setting_of(module, reading, arm))) for arm in wanted.arms}
            assert len(texts) == len(set(wanted.arms)), f"{reading}: an arm sets the same field"


@shaped
def test_quantities_are_those_of_the_claims(name, module):
    """What claims say that this experiment decides, and nothing that no claim asks for."""
    asked = {
        claim_id: {q["name"] for q in claim["quantities"] if q.get("experiment") == name}
        for claim_id, claim in ledger.all_claims().items()
    }
    have = {claim_id: set(functions) for claim_id, functions in module.QUANTITIES.items()}
    assert have == {claim_id: names for claim_id, names in asked.items() if names}


@pytest.mark.parametrize(
    "claim", [c for c in ledger.all_claims().values() if ledger.of_evidence(c)]
)
def test_deciding_experiments_exist(claim):
    """And the claim has one home, whose box says what they decide, unless it waits for data."""
    names = {q["experiment"] for q in claim["quantities"]}
    assert names <= set(experiments.ORDER), claim["id"]
    enough = ledger.PROFILES[ledger.PROFILES.index(claim["lowest"]) :]
    for name in names:
        assert set(enough) & set(experiments.find(name).SIZES), f"{claim['id']} is never decided"
    assert claim.get("home") in claim["chapters"] or "needs" in claim, claim["id"]
