"""The sections of a report, a question each: from the published warehouse to plain data."""
