"""The contract made visible: an AsyncAPI document and a page, both from `shared.events` and `shared.envelope`.

Nothing here is said a second time: who says an event and who hears it stands in the events' docstrings (which a test
compares with the services' tables), types and limits in their fields, topics in their `Topic`s. What the code cannot
say, the meaning of a field and a value to show, is in `words`.
"""
