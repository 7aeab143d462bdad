// The app on Flex Consumption: its plan, its scale and its settings.
param name string
param planName string
param location string
param tags object

@description('The name of the service in azure.yaml, by which azd finds the app.')
param serviceName string

param identityId string
param identityClientId string
param connectionString string

@description('Addresses of the account of the Functions host, with the container of the deployed package.')
param hostBlobUri string
param hostQueueUri string
param packageContainer string

@description('Addresses of the account of the loops\' data.')
param dataBlobUri string
param dataTableUri string

@description('Resource id of the subnet that the app reaches storage through; empty: no network.')
param subnetId string

@description('The runtime, scale and concurrency: pythonVersion, instanceMemoryMB, maximumInstanceCount, httpAlwaysReady, trainerAlwaysReady, httpConcurrency, zoneRedundant, rollingUpdate.')
param hosting object

@description('The app\'s own settings by name, keys excepted.')
param settings object

@secure()
@description('The value of PERSONALIZER_KEYS: the keys themselves, or a reference to a vault.')
param keys string

@secure()
@description('The value of PERSONALIZER_ADMIN_KEY, likewise.')
param adminKey string

@secure()
@description('The value of PERSONALIZER_CLIENT_KEYS.')
param clientKeys string

@description('Origins whose preflights the platform answers, before the app does: those of PERSONALIZER_CORS_ORIGINS.')
param corsOrigins string

// As the app reads them, and as browsers write them: without blanks, a slash at the end, or any other beside *.
var ended = replace(replace('${toLower(replace(corsOrigins, ' ', ''))},', '/,', ','), ',,', ',')
var listed = split(substring(ended, 0, length(ended) - 1), ',')
var origins = empty(corsOrigins) ? [] : (contains(listed, '*') ? ['*'] : listed)
var readyHttp = hosting.httpAlwaysReady > 0 ? [{ name: 'http', instanceCount: hosting.httpAlwaysReady }] : []
var readyTrainer = hosting.trainerAlwaysReady > 0 ? [{ name: 'function:train', instanceCount: hosting.trainerAlwaysReady }] : []

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: hosting.zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': serviceName })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: origins, supportCredentials: false }
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${hostBlobUri}${packageContainer}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'python', version: hosting.pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: hosting.instanceMemoryMB
        maximumInstanceCount: hosting.maximumInstanceCount
        alwaysReady: concat(readyHttp, readyTrainer)
        triggers: { http: { perInstanceConcurrency: hosting.httpConcurrency } }
      }
      // Documented and in use, but missing from the published types.
      #disable-next-line BCP037
      siteUpdateStrategy: { type: hosting.rollingUpdate ? 'RollingUpdate' : 'Recreate' }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, {
    AzureWebJobsDisableHomepage: 'true' // the app has a page of its own at its address
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AzureWebJobsStorage__blobServiceUri: hostBlobUri
    AzureWebJobsStorage__queueServiceUri: hostQueueUri
    PERSONALIZER_STORAGE__credential: 'managedidentity'
    PERSONALIZER_STORAGE__clientId: identityClientId
    PERSONALIZER_STORAGE__blobServiceUri: dataBlobUri
    PERSONALIZER_STORAGE__tableServiceUri: dataTableUri
    APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    PERSONALIZER_KEYS: keys
    PERSONALIZER_ADMIN_KEY: adminKey
    PERSONALIZER_CLIENT_KEYS: clientKeys
  })
}

resource noPasswordForFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noPasswordForScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

output id string = app.id
output name string = app.name
output endpoint string = 'https://${app.properties.defaultHostName}'
