"""The sections of a report, one file for each kind. Every module here is imported when they are listed."""
