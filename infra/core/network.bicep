// A network for the app, and private endpoints for all that it talks to.
param name string
param securityGroupName string
param endpointPrefix string
param location string
param tags object
param hostAccountId string
param dataAccountId string

@description('Resource id of the key vault; empty: there is none.')
param vaultId string

var zoneNames = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
  'privatelink.queue.${environment().suffixes.storage}'
  'privatelink.vaultcore.azure.net'
]
var storageEndpoints = [
  { name: 'host-blob', resource: hostAccountId, group: 'blob', zone: 0 }
  { name: 'host-queue', resource: hostAccountId, group: 'queue', zone: 2 }
  { name: 'data-blob', resource: dataAccountId, group: 'blob', zone: 0 }
  { name: 'data-table', resource: dataAccountId, group: 'table', zone: 1 }
]
var vaultEndpoints = [
  { name: 'vault', resource: vaultId, group: 'vault', zone: 3 }
]
var endpoints = concat(storageEndpoints, empty(vaultId) ? [] : vaultEndpoints)

resource securityGroup 'Microsoft.Network/networkSecurityGroups@2025-07-01' = {
  name: securityGroupName
  location: location
  tags: tags
}

resource network 'Microsoft.Network/virtualNetworks@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] }
    subnets: [
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.0.1.0/24'
          privateEndpointNetworkPolicies: 'Enabled'
          networkSecurityGroup: { id: securityGroup.id }
        }
      }
      {
        name: 'app'
        properties: {
          addressPrefix: '10.0.2.0/24'
          networkSecurityGroup: { id: securityGroup.id }
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for each in zoneNames: {
    name: each
    location: 'global'
    tags: tags
  }
]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (each, i) in zoneNames: {
    parent: zone[i]
    name: name
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
  }
]

resource endpoint 'Microsoft.Network/privateEndpoints@2025-07-01' = [
  for each in endpoints: {
    name: '${endpointPrefix}${each.name}'
    location: location
    tags: tags
    properties: {
      subnet: { id: '${network.id}/subnets/endpoints' }
      privateLinkServiceConnections: [
        { name: each.name, properties: { privateLinkServiceId: each.resource, groupIds: [each.group] } }
      ]
    }
  }
]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-07-01' = [
  for (each, i) in endpoints: {
    parent: endpoint[i]
    name: 'default'
    properties: { privateDnsZoneConfigs: [{ name: each.group, properties: { privateDnsZoneId: zone[each.zone].id } }] }
  }
]

output appSubnetId string = '${network.id}/subnets/app'
