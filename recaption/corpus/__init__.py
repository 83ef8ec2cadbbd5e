"""The caption corpus: a table of captions and a table of rejects per part, and its ledger."""
