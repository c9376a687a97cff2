"""Gross margin of the published warehouse: by who pays, user, plan, cohort, model and feature, and how sure it is."""
