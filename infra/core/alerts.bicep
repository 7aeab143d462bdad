// Who is told, and of what. The queries are in alerts/; what they read is named in shared/runtime/telemetry.py.
param actionGroupName string
param location string
param tags object
param componentId string
param email string

@description('Share of Rank calls answered with 5xx that is too large, in percent.')
param failurePercent int

@description('What 95 of 100 Rank calls should stay below, in milliseconds.')
param latencyMs int

@description('For how long learning may be behind, in minutes.')
param lagMinutes int

resource owner 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'Personalizer'
    enabled: true
    emailReceivers: [{ name: 'owner', emailAddress: email, useCommonAlertSchema: true }]
  }
}

var rules = [
  {
    name: 'rank-failures'
    title: 'Rank calls fail'
    severity: 1
    every: 'PT5M'
    over: 'PT15M'
    query: replace(loadTextContent('alerts/rank-failures.kql'), '{failurePercent}', string(failurePercent))
    fires: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'rank-latency'
    title: 'Rank calls are slow'
    severity: 2
    every: 'PT15M'
    over: 'PT30M'
    query: replace(loadTextContent('alerts/rank-latency.kql'), '{latencyMs}', string(latencyMs))
    fires: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'trainer-silent'
    title: 'The trainer has not finished a run'
    severity: 1
    every: 'PT15M'
    over: 'PT30M'
    query: loadTextContent('alerts/trainer-silent.kql')
    fires: 'LessThan'
    threshold: 1
  }
  {
    name: 'trainer-lag'
    title: 'Learning is behind'
    severity: 2
    every: 'PT15M'
    over: 'PT30M'
    query: replace(loadTextContent('alerts/trainer-lag.kql'), '{lagSeconds}', string(lagMinutes * 60))
    fires: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'poison-events'
    title: 'Events were set aside because they cannot be read'
    severity: 2
    every: 'PT15M'
    over: 'PT30M'
    query: loadTextContent('alerts/poison-events.kql')
    fires: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'poison-training'
    title: 'Requests to train were given up after five tries'
    severity: 2
    every: 'PT15M'
    over: 'PT30M'
    query: loadTextContent('alerts/poison-training.kql')
    fires: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'poison-jobs'
    title: 'Evaluations were given up after five tries'
    severity: 2
    every: 'PT15M'
    over: 'PT30M'
    query: loadTextContent('alerts/poison-jobs.kql')
    fires: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'lift-low'
    title: 'A lift is lower than a schedule asks for'
    severity: 3
    every: 'PT15M'
    over: 'PT30M'
    query: loadTextContent('alerts/lift-low.kql')
    fires: 'GreaterThan'
    threshold: 0
  }
]

resource alert 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: rule.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      severity: rule.severity
      enabled: true
      autoMitigate: true
      scopes: [componentId]
      evaluationFrequency: rule.every
      windowSize: rule.over
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.fires
            threshold: rule.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [owner.id] }
    }
  }
]

output actionGroupId string = owner.id
