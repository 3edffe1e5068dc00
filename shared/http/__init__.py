"""HTTP manners: problems, bodies, commands, actors, health, and the shell of the pages."""
