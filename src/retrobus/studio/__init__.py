"""The page at /studio/ where volunteers see and mend the data: static files; `api/studio.py` serves them."""
