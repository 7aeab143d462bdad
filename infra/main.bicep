// Open Personalizer in a resource group of its own. All that is optional is off, and costs nothing then.
targetScope = 'subscription'

// --- where, and whose ---------------------------------------------------------------------------------------------------

@minLength(1)
@maxLength(64)
@description('Name of the environment: the resource group is rg-NAME, and the other names follow from it.')
param environmentName string

@minLength(1)
@description('Region of everything; one with Flex Consumption.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Object id of someone who may read and write the loops\' data by hand; empty: nobody but the app.')
param operatorId string = ''

@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorType string = 'User'

// --- keys -----------------------------------------------------------------------------------------------------------------

@secure()
@description('One or two subscription keys, separated by a comma; without any, every call gets 401.')
param apiKeys string = ''

@secure()
@description('The key of the administrator, who makes and deletes loops; empty: nobody may.')
param adminKey string = ''

@secure()
@description('One or two client keys of the default loop, separated by a comma: they only rank, reward and activate; pages carry them, so no vault keeps them.')
param clientKeys string = ''

@description('Origins of pages that may call from a browser, separated by commas, such as https://www.example.com; * is any; empty: none.')
param corsOrigins string = ''

@description('Keep the keys in a key vault, which the app\'s settings refer to.')
param keyVaultEnabled bool = false

@description('Let nobody purge that vault before its seven days are over; azd down --purge cannot either.')
param keyVaultPurgeProtection bool = false

@description('Client id of an app registration: callers need a Microsoft Entra token for it, beside their key; empty: keys only.')
param authClientId string = ''

// --- the loop -------------------------------------------------------------------------------------------------------------

@description('How long an event takes rewards (ISO 8601).')
param rewardWaitTime string = 'PT10M'

@description('The reward of an event that got none, from -1 to 1.')
param defaultReward string = '0'

@allowed(['earliest', 'sum', 'average', 'median', 'min', 'max'])
param rewardAggregation string = 'earliest'

@description('Most that all but the best action get together, from 0 to 1.')
param explorationPercentage string = '0.2'

@allowed(['Online', 'Apprentice', 'LoggingOnly'])
param learningMode string = 'Online'

@allowed(['Imitate', 'Observe'])
param apprenticeLearning string = 'Imitate'

@maxLength(1024)
@description('The learning policy of the default loop; empty: the service\'s own.')
param policyArguments string = ''

@description('An old loop publishes at least this often (ISO 8601).')
param modelExportFrequency string = 'PT5M'

@description('How often a process looks for a newer model (ISO 8601).')
param modelPollInterval string = 'PT10S'

@description('How long the trainer waits for writes under way (ISO 8601).')
param ingestGrace string = 'PT30S'

@description('When the trainer runs: NCRONTAB, six fields, UTC.')
param trainerSchedule string = '0 * * * * *'

@minValue(1)
@maxValue(64)
@description('Partitions a minute and log.')
param logShards int = 1

@minValue(1)
@maxValue(10000)
@description('How many published models stay.')
param modelsKept int = 20

// --- scale ----------------------------------------------------------------------------------------------------------------

@allowed(['3.11', '3.12', '3.13'])
param pythonVersion string = '3.12'

@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@minValue(40)
@maxValue(1000)
@description('Most instances of the app; the cost of a flood of calls ends here.')
param maximumInstanceCount int = 40

@minValue(1)
@maxValue(1000)
@description('HTTP calls at a time on an instance. A Rank call mostly waits for storage; Python\'s default is 1.')
param httpConcurrency int = 16

@minValue(0)
@maxValue(100)
@description('Instances that are always ready for HTTP calls, so that none waits for a cold start; each is paid for all the time.')
param httpAlwaysReady int = 0

@minValue(0)
@maxValue(1)
@description('Likewise for the trainer.')
param trainerAlwaysReady int = 0

@description('Spread instances over availability zones; it makes instances always ready.')
param zoneRedundant bool = false

@description('Replace instances one after another at an update instead of all at once (in preview).')
param rollingUpdate bool = false

// --- storage --------------------------------------------------------------------------------------------------------------

@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
@description('Copies of the loops\' data: within a building, across zones, in another region too.')
param storageSku string = 'Standard_LRS'

@minValue(0)
@maxValue(365)
@description('How long deleted or overwritten models and logs can be brought back; 0 makes deletion final at once.')
param softDeleteDays int = 7

@minValue(0)
@description('Chunks of the joined log go to the cool tier after so many days; 0: never. Worth its price for large chunks only.')
param logCoolAfterDays int = 0

@minValue(0)
@description('Chunks of the joined log of every loop are deleted after so many days; 0: never.')
param logDeleteAfterDays int = 0

@description('The vault of a key of your own to encrypt both accounts with, from the first deployment on; empty: the platform\'s keys.')
param encryptionVaultUri string = ''

@description('The name of that key.')
param encryptionKeyName string = ''

@description('Resource id of a user-assigned identity that may use that key.')
param encryptionIdentityId string = ''

@description('Close storage and vault to the public network; the app reaches them through private endpoints.')
param vnetEnabled bool = false

// --- watching -------------------------------------------------------------------------------------------------------------

@minValue(30)
@maxValue(730)
@description('How long telemetry is kept; more than 31 days cost.')
param telemetryRetentionDays int = 30

@minValue(-1)
@description('Gigabytes of telemetry a day that are taken in and paid for; -1: no limit.')
param telemetryDailyCapGb int = 2

@description('Send the host\'s own logs and the storage accounts\' deletions to Log Analytics as well.')
param diagnosticsEnabled bool = false

@description('Who is told when something is wrong; empty: no alerts.')
param alertEmail string = ''

@minValue(1)
@maxValue(100)
param alertFailurePercent int = 1

@minValue(1)
param alertLatencyMs int = 1000

@minValue(1)
@description('More than the trainer\'s interval and the model export frequency.')
param alertLagMinutes int = 30

@minValue(0)
@description('Monthly budget of the resource group in the subscription\'s currency; 0: none.')
param monthlyBudget int = 0

@description('The first day of the budget\'s first month; it must stay the same from then on. Empty: of this month.')
param budgetStartDate string = ''

@description('Today\'s month; leave it alone.')
param thisMonth string = utcNow('yyyy-MM-01')

// --- names ----------------------------------------------------------------------------------------------------------------

var abbreviations = loadJsonContent('./abbreviations.json')
var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var serviceName = 'api'
var packageContainer = 'app-package'
var modelsContainer = 'personalizer-models'
var logsContainer = 'personalizer-logs'
var jobsQueue = 'personalizer-jobs'
var trainingQueue = 'personalizer-training'
var queues = [jobsQueue, '${jobsQueue}-poison', trainingQueue, '${trainingQueue}-poison']
var functionName = '${abbreviations.webSitesFunctions}${token}'
var planName = '${abbreviations.webServerFarms}${token}'
var identityName = '${abbreviations.managedIdentityUserAssignedIdentities}${token}'
var hostAccountName = '${abbreviations.storageStorageAccounts}host${token}'
var dataAccountName = '${abbreviations.storageStorageAccounts}data${token}'
var workspaceName = '${abbreviations.operationalInsightsWorkspaces}${token}'
var componentName = '${abbreviations.insightsComponents}${token}'
var actionGroupName = '${abbreviations.insightsActionGroups}${token}'
var vaultName = '${abbreviations.keyVaultVaults}${token}'
var networkName = '${abbreviations.networkVirtualNetworks}${token}'
var securityGroupName = '${abbreviations.networkNetworkSecurityGroups}${token}'
var endpointPrefix = '${abbreviations.networkPrivateEndpoints}${token}-'

var settings = {
  PERSONALIZER_CORS_ORIGINS: corsOrigins
  PERSONALIZER_REWARD_WAIT_TIME: rewardWaitTime
  PERSONALIZER_DEFAULT_REWARD: defaultReward
  PERSONALIZER_REWARD_AGGREGATION: rewardAggregation
  PERSONALIZER_EXPLORATION_PERCENTAGE: explorationPercentage
  PERSONALIZER_LEARNING_MODE: learningMode
  PERSONALIZER_APPRENTICE_LEARNING: apprenticeLearning
  PERSONALIZER_POLICY_ARGUMENTS: policyArguments
  PERSONALIZER_MODEL_EXPORT_FREQUENCY: modelExportFrequency
  PERSONALIZER_MODEL_POLL_INTERVAL: modelPollInterval
  PERSONALIZER_INGEST_GRACE: ingestGrace
  PERSONALIZER_TRAINER_SCHEDULE: trainerSchedule
  PERSONALIZER_LOG_SHARDS: string(logShards)
  PERSONALIZER_MODELS_KEPT: string(modelsKept)
  PERSONALIZER_MEMORY_MB: string(instanceMemoryMB)
}

// --- resources ------------------------------------------------------------------------------------------------------------

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: '${abbreviations.resourcesResourceGroups}${environmentName}'
  location: location
  tags: tags
}

module identity './core/identity.bicep' = {
  name: 'identity'
  scope: group
  params: { name: identityName, location: location, tags: tags }
}

module monitoring './core/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: workspaceName
    componentName: componentName
    location: location
    tags: tags
    retentionDays: telemetryRetentionDays
    dailyCapGb: telemetryDailyCapGb
  }
}

module hostStorage './core/storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: hostAccountName
    location: location
    tags: tags
    sku: storageSku
    containers: [packageContainer]
    queues: queues
    isPublic: !vnetEnabled
    softDeleteDays: 7
    encryptionVaultUri: encryptionVaultUri
    encryptionKeyName: encryptionKeyName
    encryptionIdentityId: encryptionIdentityId
  }
}

module dataStorage './core/storage.bicep' = {
  name: 'data-storage'
  scope: group
  params: {
    name: dataAccountName
    location: location
    tags: tags
    sku: storageSku
    containers: [modelsContainer, logsContainer]
    isPublic: !vnetEnabled
    softDeleteDays: softDeleteDays
    coolAfterDays: logCoolAfterDays
    deleteAfterDays: logDeleteAfterDays
    lifecyclePrefixes: ['${logsContainer}/']
    encryptionVaultUri: encryptionVaultUri
    encryptionKeyName: encryptionKeyName
    encryptionIdentityId: encryptionIdentityId
  }
}

module rbac './core/rbac.bicep' = {
  name: 'rbac'
  scope: group
  params: {
    hostAccountName: hostStorage.outputs.name
    dataAccountName: dataStorage.outputs.name
    componentName: monitoring.outputs.componentName
    queueNames: queues
    principalId: identity.outputs.principalId
    operatorId: operatorId
    operatorType: operatorType
  }
}

module vault './core/keyvault.bicep' = if (keyVaultEnabled) {
  name: 'vault'
  scope: group
  params: {
    name: vaultName
    location: location
    tags: tags
    principalId: identity.outputs.principalId
    isPublic: !vnetEnabled
    purgeProtection: keyVaultPurgeProtection
    keys: apiKeys
    adminKey: adminKey
  }
}

module network './core/network.bicep' = if (vnetEnabled) {
  name: 'network'
  scope: group
  params: {
    name: networkName
    securityGroupName: securityGroupName
    endpointPrefix: endpointPrefix
    location: location
    tags: tags
    hostAccountId: hostStorage.outputs.id
    dataAccountId: dataStorage.outputs.id
    vaultId: keyVaultEnabled ? vault!.outputs.id : ''
  }
}

module app './app/function.bicep' = {
  name: 'app'
  scope: group
  dependsOn: [rbac]
  params: {
    name: functionName
    planName: planName
    location: location
    tags: tags
    serviceName: serviceName
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    connectionString: monitoring.outputs.connectionString
    hostBlobUri: hostStorage.outputs.blobUri
    hostQueueUri: hostStorage.outputs.queueUri
    packageContainer: packageContainer
    dataBlobUri: dataStorage.outputs.blobUri
    dataTableUri: dataStorage.outputs.tableUri
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    hosting: {
      pythonVersion: pythonVersion
      instanceMemoryMB: instanceMemoryMB
      maximumInstanceCount: maximumInstanceCount
      httpAlwaysReady: httpAlwaysReady
      trainerAlwaysReady: trainerAlwaysReady
      httpConcurrency: httpConcurrency
      zoneRedundant: zoneRedundant
      rollingUpdate: rollingUpdate
    }
    settings: settings
    keys: keyVaultEnabled && !empty(apiKeys) ? vault!.outputs.keysReference : apiKeys
    adminKey: keyVaultEnabled && !empty(adminKey) ? vault!.outputs.adminKeyReference : adminKey
    clientKeys: clientKeys
    corsOrigins: corsOrigins
  }
}

module auth './app/auth.bicep' = if (!empty(authClientId)) {
  name: 'auth'
  scope: group
  params: { functionName: app.outputs.name, clientId: authClientId }
}

module workbook './core/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: { location: location, tags: tags, componentId: monitoring.outputs.componentId }
}

module alerts './core/alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  scope: group
  params: {
    actionGroupName: actionGroupName
    location: location
    tags: tags
    componentId: monitoring.outputs.componentId
    email: alertEmail
    failurePercent: alertFailurePercent
    latencyMs: alertLatencyMs
    lagMinutes: alertLagMinutes
  }
}

module budget './core/budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  scope: group
  params: { amount: max(monthlyBudget, 1), email: alertEmail, startDate: empty(budgetStartDate) ? thisMonth : budgetStartDate }
}

module diagnostics './core/diagnostics.bicep' = if (diagnosticsEnabled) {
  name: 'diagnostics'
  scope: group
  params: {
    workspaceId: monitoring.outputs.workspaceId
    functionName: app.outputs.name
    accountNames: [hostStorage.outputs.name, dataStorage.outputs.name]
    vaultName: keyVaultEnabled ? vault!.outputs.name : ''
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_NAME string = app.outputs.name
output PERSONALIZER_ENDPOINT string = app.outputs.endpoint
output PERSONALIZER_DATA_ACCOUNT string = dataStorage.outputs.name
