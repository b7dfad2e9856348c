"""What the user reads: tables, and a cell as a script."""
