// A monthly budget for the resource group: who it belongs to is told at 50, 80 and 100 per cent, and when 100 is forecast.
@minValue(1)
param amount int

@description('Who is told; empty: the owners of the subscription.')
param email string

@description('The first day of a month, as 2026-12-01; it must stay the same once the budget is there.')
param startDate string

var emails = empty(email) ? [] : [email]
var roles = empty(email) ? ['Owner'] : []

resource budget 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: 'personalizer'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: startDate }
    notifications: {
      half: { enabled: true, operator: 'GreaterThan', threshold: 50, thresholdType: 'Actual', contactEmails: emails, contactRoles: roles }
      most: { enabled: true, operator: 'GreaterThan', threshold: 80, thresholdType: 'Actual', contactEmails: emails, contactRoles: roles }
      all: { enabled: true, operator: 'GreaterThan', threshold: 100, thresholdType: 'Actual', contactEmails: emails, contactRoles: roles }
      soon: { enabled: true, operator: 'GreaterThan', threshold: 100, thresholdType: 'Forecasted', contactEmails: emails, contactRoles: roles }
    }
  }
}
