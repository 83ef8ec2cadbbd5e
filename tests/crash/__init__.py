"""Runs that are killed at random moments, and the proof that nothing is lost or doubled."""
