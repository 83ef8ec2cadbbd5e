"""A corpus turned into what trainers read: `run.run_export`, one file per kind of target."""
