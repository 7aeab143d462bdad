// A storage account without shared keys: identities only.
param name string
param location string
param tags object
param sku string
param containers array
param queues array = []

@description('False closes the account to all but private endpoints and trusted services.')
param isPublic bool

@minValue(0)
@maxValue(365)
@description('How long what was deleted or overwritten can be brought back; 0 turns that off.')
param softDeleteDays int

@minValue(0)
@description('Blobs of lifecyclePrefixes unchanged for so many days go to the cool tier; 0: never.')
param coolAfterDays int = 0

@minValue(0)
@description('Blobs of lifecyclePrefixes unchanged for so many days are deleted; 0: never.')
param deleteAfterDays int = 0

@description('What the names of the blobs begin with that grow old: CONTAINER/PREFIX.')
param lifecyclePrefixes array = []

@description('The vault of a key of your own, by its address; empty: the keys are the platform\'s.')
param encryptionVaultUri string = ''

@description('The name of that key; its newest version is used.')
param encryptionKeyName string = ''

@description('Resource id of the user-assigned identity that may wrap and unwrap with that key.')
param encryptionIdentityId string = ''

var hasOwnKey = !empty(encryptionVaultUri)
var coolRules = [
  {
    name: 'cool'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: lifecyclePrefixes }
      actions: { baseBlob: { tierToCool: { daysAfterModificationGreaterThan: coolAfterDays } } }
    }
  }
]
var deleteRules = [
  {
    name: 'delete'
    enabled: true
    type: 'Lifecycle'
    definition: {
      filters: { blobTypes: ['blockBlob'], prefixMatch: lifecyclePrefixes }
      actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: deleteAfterDays } } }
    }
  }
]
var lifecycleRules = concat(coolAfterDays > 0 ? coolRules : [], deleteAfterDays > 0 ? deleteRules : [])

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  kind: 'StorageV2'
  identity: hasOwnKey ? { type: 'UserAssigned', userAssignedIdentities: { '${encryptionIdentityId}': {} } } : null
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    allowedCopyScope: 'AAD'
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPublic ? 'Enabled' : 'Disabled'
    networkAcls: { bypass: 'AzureServices', defaultAction: isPublic ? 'Allow' : 'Deny' }
    encryption: hasOwnKey ? {
      keySource: 'Microsoft.Keyvault'
      keyvaultproperties: { keyvaulturi: encryptionVaultUri, keyname: encryptionKeyName }
      identity: { userAssignedIdentity: encryptionIdentityId }
      services: {
        blob: { enabled: true, keyType: 'Account' }
        file: { enabled: true, keyType: 'Account' }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
    } : {
      keySource: 'Microsoft.Storage'
      services: { blob: { enabled: true }, file: { enabled: true } }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: softDeleteDays > 0 ? { enabled: true, days: max(softDeleteDays, 1) } : { enabled: false }
    containerDeleteRetentionPolicy: softDeleteDays > 0 ? { enabled: true, days: max(softDeleteDays, 1) } : { enabled: false }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = [
  for each in containers: {
    parent: blobs
    name: each
    properties: { publicAccess: 'None' }
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-08-01' = if (!empty(queues)) {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-08-01' = [
  for each in queues: {
    parent: queueService
    name: each
  }
]

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-08-01' = if (!empty(lifecycleRules)) {
  parent: account
  name: 'default'
  properties: { policy: { rules: lifecycleRules } }
}

output id string = account.id
output name string = account.name
output blobUri string = account.properties.primaryEndpoints.blob
output tableUri string = account.properties.primaryEndpoints.table
output queueUri string = account.properties.primaryEndpoints.queue
