"""`retrobus doctor`: the deployment checklist. Every check has one line, with the cure if something is wrong."""
