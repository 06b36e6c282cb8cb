# Five functions for failover plans, for PowerShell 5.1 and 7 without other modules.
#
# Import-Module ./Emgate.psm1
# Connect-Emgate -Url https://dr.example -Token $env:EMGATE_TOKEN
# Get-EmgatePlan -Name 'ABC Company Failover Plan' | Start-EmgatePlan -Action test -Key "nightly-$(Get-Date -Format yyyyMMdd)" | Wait-EmgateOperation

$ErrorActionPreference = 'Stop'
$script:Connection = $null

# Sends a request and says what the gateway's problem says. Both versions throw for 4xx and 5xx; 5.1 leaves the body in the response.
function Invoke-EmgateRequest([string] $Method, [string] $Path, [hashtable] $Headers = @{}, $Body = $null) {
    if ($null -eq $script:Connection) { throw 'Connect-Emgate comes first.' }
    $request = @{
        Method          = $Method
        Uri             = $script:Connection.Url + $Path
        Headers         = @{ Authorization = "Bearer $($script:Connection.Token)" } + $Headers
        TimeoutSec      = 90
        UseBasicParsing = $true
    }
    if ($null -ne $Body) {
        $request.Body = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json $Body -Depth 10))
        $request.ContentType = 'application/json; charset=utf-8'
    }
    try {
        return Invoke-RestMethod @request
    }
    catch {
        $failure = $_
        $text = [string] $failure.ErrorDetails
        if (-not $text -and $failure.Exception.Response -is [Net.HttpWebResponse]) {
            $reader = New-Object IO.StreamReader ($failure.Exception.Response.GetResponseStream())
            $text = $reader.ReadToEnd()
        }
        $problem = $null
        try { $problem = ConvertFrom-Json $text } catch { Write-Verbose "not JSON: $text" }
        if ($problem -and $problem.detail) { throw "emgate: $($problem.detail) ($($problem.code), request $($problem.requestId))" }
        throw $failure
    }
}

# Remembers where the gateway is, and the token for it.
function Connect-Emgate {
    param([Parameter(Mandatory = $true)] [string] $Url, [Parameter(Mandatory = $true)] [string] $Token)
    # Windows PowerShell offers old versions of TLS first.
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    $script:Connection = @{ Url = $Url.TrimEnd('/'); Token = $Token }
}

# The cloud failover plans, or the one of this name.
function Get-EmgatePlan {
    param([string] $Name)
    $path = '/api/v1/cloud-failover-plans?pageSize=100'
    while ($path) {
        $list = Invoke-EmgateRequest 'Get' $path
        $list.items | Where-Object { -not $Name -or $_.name -eq $Name }
        # With server.public_url the address is absolute.
        $path = if ($list.page.next) { $list.page.next.Substring($list.page.next.IndexOf('/api/v1/')) } else { $null }
    }
}

# Tests, starts or undoes a plan. Under one key it is done once, however often it is asked for within 24 hours.
function Start-EmgatePlan {
    param(
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)] [string] $Id,
        [ValidateSet('test', 'start', 'undo')] [string] $Action = 'test',
        [string] $Key = [guid]::NewGuid().ToString(),
        [string] $Reason
    )
    process {
        $body = @{}
        if ($Reason) { $body.reason = $Reason }
        Invoke-EmgateRequest 'Post' "/api/v1/cloud-failover-plans/$Id/$Action" @{ 'Idempotency-Key' = $Key } $body
    }
}

# The operation at its end; an error unless it has succeeded.
function Wait-EmgateOperation {
    param([Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)] [string] $Id)
    process {
        do {
            $operation = Invoke-EmgateRequest 'Get' "/api/v1/operations/$Id" @{ Prefer = 'wait=50' }
        } until (@('finished', 'unknown') -contains $operation.state)
        if (@('success', 'warning') -notcontains $operation.result) {
            $why = if ($operation.failure) { $operation.failure.message } else { 'the result is not known' }
            throw "$($operation.plan.name): $why"
        }
        $operation
    }
}

# Asks Enterprise Manager to stop an operation.
function Stop-EmgateOperation {
    param([Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)] [string] $Id)
    process { Invoke-EmgateRequest 'Post' "/api/v1/operations/$Id/cancel" }
}

Export-ModuleMember -Function @('Connect-Emgate', 'Get-EmgatePlan', 'Start-EmgatePlan', 'Wait-EmgateOperation', 'Stop-EmgateOperation')
