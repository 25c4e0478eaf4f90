"""The ledger: a measured number is judged against a claim, shown, and kept in the notebook.

The executed notebook is the only place where a measurement is kept.

- `claims`: the claims of data/claims.json; `all_claims`, `find`, `changes`, `data_file`, `PAPERS`.
- `rules`: how a number becomes a verdict; `VERDICTS`.
- `verdicts`: a claim's rules applied to its numbers; `judge`, `Record`, `PROFILES`.
- `boxes`: a verdict as HTML and as text; `as_html`, `show_value`, `show_quantities`, `MARKS`.
- `notebooks`: what a chapter leaves in its notebook, `record`, `glue`, `store_table`, and how it is
  read back, `collect`, `tables`, `recorded`, `show_recorded`.
- `scoreboard`: all claims with all that was measured; `scoreboard`, `count`, `Row`.
"""

from helpers.ledger import rules
from helpers.ledger.boxes import MARKS, as_html, show_quantities, show_value
from helpers.ledger.claims import PAPERS, all_claims, changes, data_file, find
from helpers.ledger.notebooks import (
    collect,
    glue,
    record,
    recorded,
    show_recorded,
    store_table,
    tables,
)
from helpers.ledger.scoreboard import Row, count, scoreboard
from helpers.ledger.verdicts import PROFILES, Record, judge

__all__ = [
    "MARKS",
    "PAPERS",
    "PROFILES",
    "Record",
    "Row",
    "all_claims",
    "as_html",
    "changes",
    "collect",
    "count",
    "data_file",
    "find",
    "glue",
    "judge",
    "record",
    "recorded",
    "rules",
    "scoreboard",
    "show_quantities",
    "show_recorded",
    "show_value",
    "store_table",
    "tables",
]
