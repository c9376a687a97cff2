"""The agent of a GPU node: what it writes to its spool, and how that gets into the lake."""
