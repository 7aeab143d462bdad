// The figures of all loops on one page; what its queries read is named in shared/runtime/telemetry.py.
param location string
param tags object
param componentId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'personalizer')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Open Personalizer'
    category: 'workbook'
    sourceId: componentId
    serializedData: replace(loadTextContent('workbook.json'), '{componentId}', componentId)
  }
}

output id string = workbook.id
