"""The sections of a report, a module each; importing one registers it."""
