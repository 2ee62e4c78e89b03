"""What surrounds the routes: request ids, limits, errors and CORS."""
