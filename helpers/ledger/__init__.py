"""The ledger: a measured number is judged against a claim, shown, and kept in the notebook.

The executed notebook is the only place where a measurement is kept.

- `claims`: the claims of data/claims.json; `all_claims`, `find`, `data_file`, `PAPERS`,
  `OWN`.
- `history`: when each rule was written and changed; `changes`, and what `make check` refuses.
- `rules`: how a number becomes a verdict; `VERDICTS`.
- `verdicts`: a claim's rules applied to its numbers; `judge`, `Record`, `Judgement`, `PROFILES`.
- `standing`: what decides a claim, for box and scoreboard; `standing`, `Standing`, `legacy_runs`.
- `boxes`: a verdict as HTML and as text; `as_html`, `show_value`, `show_quantities`, `MARKS`.
- `notebooks`: what a chapter leaves in its notebook, `show_box`, `glue`, and how it is read back,
  `collect`, `boxes_of`.
- `scoreboard`: all claims with all that was measured; `scoreboard`, `count`, `Row`.
- `references`: the reference numbers of a page's live run, and how far each may move.
- `timings`: what `make bench` measured; `timings`.
"""

from helpers.ledger import history, rules
from helpers.ledger.boxes import MARKS, as_html, as_text, show_quantities, show_value
from helpers.ledger.claims import OWN, PAPERS, all_claims, data_file, find
from helpers.ledger.history import changes
from helpers.ledger.notebooks import boxes_of, collect, glue, show_box
from helpers.ledger.scoreboard import Row, count, scoreboard
from helpers.ledger.standing import Standing, legacy_runs, standing
from helpers.ledger.timings import timings
from helpers.ledger.verdicts import PROFILES, Judgement, Record, judge, of_evidence

__all__ = [
    "MARKS",  # mark and colour of each verdict
    "OWN",  # the letter of this book's own claims
    "PAPERS",  # the papers by letter
    "PROFILES",  # how much a chapter runs, by name
    "Judgement",  # what evidence makes of a claim: a record and its source
    "Record",  # numbers measured for one claim, and what the claim's rules make of them
    "Row",  # a claim with what was measured, as a row of the scoreboard
    "Standing",  # what decides a claim, and what that rests on
    "all_claims",  # the claims of data/claims.json by id
    "as_html",  # a verdict as a box of HTML
    "as_text",  # a verdict and its numbers on one line
    "boxes_of",  # the verdict boxes of an executed notebook
    "changes",  # when, how and why a claim's rule was changed
    "collect",  # the records of an executed notebook
    "count",  # how many claims have each verdict
    "data_file",  # a file of data/, in a checkout or beside the installed package
    "find",  # the claim of this id
    "glue",  # name a value, so that a page's prose can print it with ``{glue:text}`name```
    "history",  # when each rule was written and changed (a module)
    "judge",  # apply a claim's rules to measured numbers, without showing or storing anything
    "legacy_runs",  # the records of data/recorded by claim
    "of_evidence",  # whether experiments decide a claim
    "rules",  # how a number becomes a verdict (a module)
    "scoreboard",  # all claims with all that was measured
    "show_box",  # show what decides a claim, with a page's live run folded inside, and store it
    "show_quantities",  # the quantities of a claim: name, asked, ours
    "show_value",  # a number as it is printed
    "standing",  # what decides a claim: evidence, a run of data/recorded, or a page's own
    "timings",  # a record of data/benchmarks
]
