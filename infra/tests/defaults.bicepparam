// Nothing but what must be given: what the compiler predicts for it stands in defaults.snapshot.json.
using '../main.bicep'

param environmentName = 'defaults'
param location = 'westeurope'
param thisMonth = '2026-01-01'
