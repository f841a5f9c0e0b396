"""The report: everything that is known from a finished workspace, as one page of HTML."""
