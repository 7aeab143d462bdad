# Says where the service is and tries it: one Rank call and its reward, which nothing is learned from.
$ErrorActionPreference = 'Stop'

Write-Output "Endpoint: $env:PERSONALIZER_ENDPOINT"
Write-Output 'Key:      azd env get-value PERSONALIZER_KEYS'
if ($env:PERSONALIZER_AUTH_CLIENT_ID) {
    Write-Warning 'Callers need a Microsoft Entra token, so the service was not tried.'
    exit 0
}
foreach ($name in 'python3', 'python', 'py') {
    if (Get-Command $name -ErrorAction SilentlyContinue) {
        & $name -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>$null
        if ($LASTEXITCODE -eq 0) {
            & $name (Join-Path $PSScriptRoot 'smoke.py') $env:PERSONALIZER_ENDPOINT
            exit $LASTEXITCODE
        }
    }
}
Write-Warning "There is no Python here, so the service was not tried: ask $env:PERSONALIZER_ENDPOINT/status"
