"""The server around the application: connections, the stop, several processes; no answer and no request is lost."""
