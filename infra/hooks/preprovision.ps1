# Makes what an environment needs once and must keep: its keys, and the month that its budget begins with.
$ErrorActionPreference = 'Stop'

function New-Key {
    $bytes = [System.Security.Cryptography.RandomNumberGenerator]::GetBytes(32)
    [System.Convert]::ToHexString($bytes).ToLowerInvariant()
}

# Where the environment is not kept, new keys would lock out every application at each run.
if ($env:CI -and (-not $env:PERSONALIZER_KEYS -or -not $env:PERSONALIZER_ADMIN_KEY)) {
    Write-Error 'Set the secrets PERSONALIZER_KEYS and PERSONALIZER_ADMIN_KEY: keys made here would not be kept.'
    exit 1
}
if (-not $env:PERSONALIZER_KEYS) {
    azd env set PERSONALIZER_KEYS (New-Key)
    Write-Output 'Made a subscription key: azd env get-value PERSONALIZER_KEYS'
}
if (-not $env:PERSONALIZER_ADMIN_KEY) {
    azd env set PERSONALIZER_ADMIN_KEY (New-Key)
    Write-Output "Made an administrator's key: azd env get-value PERSONALIZER_ADMIN_KEY"
}
if ($env:PERSONALIZER_MONTHLY_BUDGET -and $env:PERSONALIZER_MONTHLY_BUDGET -ne '0' -and -not $env:PERSONALIZER_BUDGET_START_DATE) {
    if ($env:CI) {
        Write-Error 'Set the variable PERSONALIZER_BUDGET_START_DATE to the first day of a month: it must stay the same.'
        exit 1
    }
    azd env set PERSONALIZER_BUDGET_START_DATE ((Get-Date).ToUniversalTime().ToString('yyyy-MM-01'))
}
