// All that can be switched on: what the compiler predicts for it stands in everything.snapshot.json. No value here is anybody's.
using '../main.bicep'

param environmentName = 'everything'
param location = 'westeurope'
param thisMonth = '2026-01-01'

param operatorId = '00000000-0000-0000-0000-000000000001'
param operatorType = 'Group'
param apiKeys = 'not-a-key-of-anybody-1,not-a-key-of-anybody-2'
param adminKey = 'not-a-key-of-anybody-3'
param clientKeys = 'not-a-key-of-anybody-4'
param corsOrigins = 'https://www.example.com,https://shop.example.com'
param keyVaultEnabled = true
param keyVaultPurgeProtection = true
param authClientId = '00000000-0000-0000-0000-000000000002'

param policyArguments = '--cb_explore_adf --epsilon 0.1'
param logShards = 2

param httpAlwaysReady = 1
param trainerAlwaysReady = 1
param zoneRedundant = true
param rollingUpdate = true

param storageSku = 'Standard_ZRS'
param logCoolAfterDays = 90
param logDeleteAfterDays = 365
param encryptionVaultUri = 'https://not-a-vault.vault.azure.net/'
param encryptionKeyName = 'storage'
param encryptionIdentityId = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/keys/providers/Microsoft.ManagedIdentity/userAssignedIdentities/keys'
param vnetEnabled = true

param telemetryRetentionDays = 90
param diagnosticsEnabled = true
param alertEmail = 'owner@example.com'
param monthlyBudget = 50
param budgetStartDate = '2026-01-01'
