"""uvicorn, extended at its own points: no answer and no request is lost when a connection or the service ends."""
