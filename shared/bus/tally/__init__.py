"""Anti-entropy: speakers say how much they said, hearers ask for what they lack (decision 0065).

A lost *last* event leaves no gap. So every speaker regularly says on `CONTROL` how much it has said: of what it lately
sent by name, of everything else by bucket. A hearer that is through with its topic and has less asks, and what is
missing is published again. Whoever has more than its speaker is an alarm, and nothing is guessed.

`wire` is what passes on the topic, `rules` compares, `asking` is the hearer's part, `telling` the speaker's, and
`control` carries both of one process.
"""

from shared.bus.tally.control import Cadence, Control

__all__ = ["Cadence", "Control"]
