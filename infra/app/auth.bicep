// Microsoft Entra sign-in in front of the app: a caller needs a token for this registration, and its key as well.
param functionName string
param clientId string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionName
}

resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: { requireAuthentication: true, unauthenticatedClientAction: 'Return401' }
    httpSettings: { requireHttps: true }
    login: { tokenStore: { enabled: false } }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          clientId: clientId
        }
        validation: { allowedAudiences: [clientId, 'api://${clientId}'] }
      }
    }
  }
}
