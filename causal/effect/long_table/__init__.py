"""One long table: people followed over visits or spells, from its rows to the findings its study declares."""
