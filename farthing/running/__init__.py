"""What `farthing run` needs besides the verbs that it calls: which reports are due, who had them, and a log of runs."""
