"""Many files on many machines: one file is one task, Ray hands them out, a ledger knows of each."""
