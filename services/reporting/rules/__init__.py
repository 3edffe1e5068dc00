"""What reporting makes of what it hears: pure functions on frozen values."""
