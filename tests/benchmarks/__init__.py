"""What the README reports, measured: each file one table, each contender in the same run."""
