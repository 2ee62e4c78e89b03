"""What is held about one member, and how all of it goes: in the database, in the journal, in the snapshot."""
