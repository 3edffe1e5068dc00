"""A service's process with something wrong with it, put there from outside: the product has no hooks for it."""
