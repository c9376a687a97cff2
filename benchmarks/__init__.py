"""The contests: each module measures farthing against a plain rival in one run and prints the ratios."""
