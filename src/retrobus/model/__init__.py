"""What the three resources are: columns, keys, order, input rules and JSON, each said once for every room above."""
