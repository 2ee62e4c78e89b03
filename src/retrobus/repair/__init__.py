"""What triggers and sequences keep true, looked at and mended: for rows and dumps that came in past them."""
