"""What Prefect sees of Rapport: three flows, one task for each stage, and no more than their names and states.

`studies` holds the flows, `tasks` the tasks, `names` the three words that a flow takes and the places they lead to,
`recorded` runs the stages of a flow as tasks, `once` keeps what came of them where Prefect does not look. Prefect is
imported in this package and nowhere else; `rapport --direct` does not import it.
"""

from flows.quiet import hush

hush()  # before any module of this package imports Prefect
