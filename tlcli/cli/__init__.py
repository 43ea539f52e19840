"""The command line. Each command has a file, which parses, calls the library once and prints."""
