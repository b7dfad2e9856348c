"""Studies: each answers one question with the harness and writes a folder of tables, figures, graphs and a page."""
