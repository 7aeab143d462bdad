"""HTTP: evaluations and feature importances."""

from evaluation_function import evaluations, importances

OPERATIONS = (*evaluations.OPERATIONS, *importances.OPERATIONS)
