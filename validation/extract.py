NEEDED_TABLES = frozenset({"patients"})
