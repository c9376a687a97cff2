"""Tier prices on real cost: what a menu of plans brings, how sure that is, and what a bill under it comes to."""
