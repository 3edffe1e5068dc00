"""The receiver: takes traces, metrics and logs over OTLP/HTTP, keeps them bounded, and is asked for them again."""
