"""What is held about one member, and how all of it goes: an erased member never comes back."""
