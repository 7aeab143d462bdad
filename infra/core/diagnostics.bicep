// The platform's own logs, beside what the app tells Application Insights: what the host says, and who deleted what.
param workspaceId string
param functionName string
param accountNames array
param vaultName string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionName
}

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' existing = [
  for name in accountNames: {
    name: name
  }
]

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' existing = [
  for (name, i) in accountNames: {
    parent: account[i]
    name: 'default'
  }
]

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = if (!empty(vaultName)) {
  name: empty(vaultName) ? 'none' : vaultName
}

#disable-next-line use-recent-api-versions // There is no newer one, and none that is not a preview.
resource ofApp 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'FunctionAppLogs', enabled: true }
      { category: 'AppServiceAuthenticationLogs', enabled: true }
    ]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

#disable-next-line use-recent-api-versions // There is no newer one, and none that is not a preview.
resource ofBlobs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = [
  for (name, i) in accountNames: {
    name: 'to-workspace'
    scope: blobs[i]
    properties: {
      workspaceId: workspaceId
      logs: [{ category: 'StorageDelete', enabled: true }]
      metrics: [{ category: 'AllMetrics', enabled: true }]
    }
  }
]

#disable-next-line use-recent-api-versions // There is no newer one, and none that is not a preview.
resource ofVault 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(vaultName)) {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}
