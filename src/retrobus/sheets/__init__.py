"""Rows as spreadsheets show them: French headers, cells that no program takes for formulas, CSV and xlsx."""
