"""What the three resources are: their columns, keys, order, rules and JSON."""
