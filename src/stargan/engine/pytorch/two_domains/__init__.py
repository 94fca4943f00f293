"""The methods that translate between two domains."""
