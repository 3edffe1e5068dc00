"""The outbox: what was committed is sent, in order for each subject, at least once; and can be sent again."""

from shared.outbox.relay import Relay
from shared.outbox.republish import Depth, depth, republish, republish_states, republish_versions

__all__ = ["Depth", "Relay", "depth", "republish", "republish_states", "republish_versions"]
