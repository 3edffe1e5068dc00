"""A town at work: a pure plan of what would happen, played through the front door as history or as it happens."""
