"""Mixed model for repeated measures: scores of the same patients at several visits, some of them missed."""
