"""What the pages ask of the warehouse, a file each; `$currency`, `$first` and `$last` are the reader's choice."""
