"""The routes, each declared once: who may call it, what it takes and answers; the OpenAPI document says no more."""
