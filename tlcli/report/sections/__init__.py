"""The sections of a report, one module each; importing a module registers its section."""
