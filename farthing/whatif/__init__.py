"""What-if on the published warehouse: the scenario file, the facts of a month, and what is shown and checked."""
