"""What the measurements share: the rows, the servers, the load, the limit and the report."""
