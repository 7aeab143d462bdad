"""Every operation of this folder. Few processes need them, so this is imported when the first of them is called."""

from evaluation_function import evaluations, importances, schedules

OPERATIONS = (*evaluations.OPERATIONS, *importances.OPERATIONS, *schedules.OPERATIONS)
