"""What surrounds the routes: request ids, limits of headers, dispatch, CORS, and the one form of every error."""
