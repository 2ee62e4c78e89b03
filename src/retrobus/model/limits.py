"""How long, how many, how large: the limits that input rules, the tables' CHECK constraints and the reference share."""

SHORT, TITLE, LONG, URL, KEY, PARC = 200, 300, 20_000, 2_000, 100, 50
"""Characters: of a line, a title, a text of several lines, an address, an id, a parc."""

JSON_BYTES = 65_536
"""Bytes of a JSON value in a column, as PostgreSQL writes it."""

GALLERY_ENTRIES, PERMISSIONS = 100, 100
"""Entries of the two lists."""

MONEY_MAX, FUEL_MAX, MILEAGE_MAX, PARTICIPANTS_MAX = 1_000_000, 100, 100_000_000, 1_000_000
"""Largest values: euros, per cent of the tank, kilometres, people."""

FIRST_YEAR, LAST_YEAR = 1800, 2200
"""Years that a date may lie in, both included."""

NUMBER_MAX = 2**31 - 1
"""The largest value of PostgreSQL's `integer`."""
