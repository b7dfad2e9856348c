"""One module a library: its words for networks, its exporter, its importer; nothing is repaired here."""
