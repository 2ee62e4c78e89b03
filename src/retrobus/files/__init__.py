"""Reading and writing files: never half written, never through a link, and every failure told with its cause."""
