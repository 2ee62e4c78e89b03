"""Who a caller is: passwords, tokens, and the count of wrong tries."""
