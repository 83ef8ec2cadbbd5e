"""What docs/results.md reports, measured: each file one table, each contender in the same run."""
