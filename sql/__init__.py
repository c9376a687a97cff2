"""The transformation: one SELECT per file and table, staging to core to marts, and the checks, as package data."""
