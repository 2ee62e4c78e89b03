"""What an operator should know of files and server, each point with its cure: for `retrobus doctor` and the API."""
