# Receives webhooks of emgate with nothing but PowerShell, 5.1 or 7.
#
# $env:WEBHOOK_SECRET = 'whsec_…'; $env:PORT = '8090'; ./receiver.ps1

$ErrorActionPreference = 'Stop'
$key = [Convert]::FromBase64String(($env:WEBHOOK_SECRET -replace '^whsec_', ''))
$tolerance = 5 * 60          # seconds
$limit = 8MB
$seen = @{}                  # keep it in a database: an event may arrive more than once

# Why the request is not to be believed; nothing if it is.
function Get-Refusal([System.Collections.Specialized.NameValueCollection] $headers, [byte[]] $body) {
    $id = [string] $headers['webhook-id']
    $timestamp = [string] $headers['webhook-timestamp']
    $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
    if ($timestamp -notmatch '^[0-9]{1,12}$' -or [Math]::Abs($now - [long] $timestamp) -gt $tolerance) {
        return 'the timestamp is missing or more than 5 minutes off'
    }
    # The bytes as they came: JSON that was parsed and written again has another signature.
    $signed = [Text.Encoding]::UTF8.GetBytes("$id.$timestamp.") + $body
    $mac = New-Object System.Security.Cryptography.HMACSHA256 (, $key)
    $expected = 'v1,' + [Convert]::ToBase64String($mac.ComputeHash([byte[]] $signed))
    # While a secret is being rotated there are two signatures.
    foreach ($part in ([string] $headers['webhook-signature']).Split(' ')) {
        if ([string]::Equals($part, $expected, [StringComparison]::Ordinal)) { return }
    }
    return 'the signature is wrong'
}

$port = if ($env:PORT) { $env:PORT } else { '8090' }
$listener = New-Object System.Net.HttpListener
$listener.Prefixes.Add("http://127.0.0.1:$port/")
$listener.Start()
Write-Output "listening on $port"
while ($listener.IsListening) {
    $context = $listener.GetContext()
    $request = $context.Request
    $status = 401
    if ($request.ContentLength64 -le $limit) {
        $memory = New-Object System.IO.MemoryStream
        $request.InputStream.CopyTo($memory)
        $body = $memory.ToArray()
        if (-not (Get-Refusal $request.Headers $body)) {
            $status = 200
            $id = $request.Headers['webhook-id']
            if (-not $seen.ContainsKey($id)) {
                $seen[$id] = $true
                $received = [Text.Encoding]::UTF8.GetString($body) | ConvertFrom-Json
                Write-Output "$($received.type) $($received.timestamp)"
            }
        }
    }
    $context.Response.StatusCode = $status
    $context.Response.Close()
}
