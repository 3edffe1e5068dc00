"""What was ever said is understood for ever: records of every version, and the documents about them."""
