"""The architectures, one file per family. Every module here is imported when they are listed."""
