"""What people and scripts read of a run: the console table, the result files, a challenge's submission."""

from pipelines.reporting.submission import write_submission
from pipelines.reporting.table import BASELINE, ResultRow, print_table, results_table, verdict
from pipelines.reporting.writers import (
    FoldResult,
    GroupResult,
    write_comparison_csv,
    write_results_by_group_csv,
    write_results_csv,
    write_results_json,
)

__all__ = [
    "BASELINE", "FoldResult", "GroupResult", "ResultRow", "print_table", "results_table", "verdict",
    "write_comparison_csv", "write_results_by_group_csv", "write_results_csv", "write_results_json", "write_submission",
]  # fmt: skip
