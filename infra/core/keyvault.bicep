// A vault for the keys, which the app reads by references in its settings.
param name string
param location string
param tags object
param principalId string
param isPublic bool

@description('With it, nobody can purge the vault before its seven days are over, azd down --purge included.')
param purgeProtection bool

@secure()
param keys string

@secure()
param adminKey string

var keysName = 'personalizer-keys'
var adminKeyName = 'personalizer-admin-key'
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: isPublic ? 'Allow' : 'Deny' }
  }
}

resource loopKeys 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (!empty(keys)) {
  parent: vault
  name: keysName
  properties: { value: keys, contentType: 'one or two subscription keys, separated by a comma' }
}

resource administrator 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = if (!empty(adminKey)) {
  parent: vault
  name: adminKeyName
  properties: { value: adminKey, contentType: 'the administrator\'s key' }
}

resource reader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output id string = vault.id
output name string = vault.name
output keysReference string = '@Microsoft.KeyVault(VaultName=${vault.name};SecretName=${keysName})'
output adminKeyReference string = '@Microsoft.KeyVault(VaultName=${vault.name};SecretName=${adminKeyName})'
