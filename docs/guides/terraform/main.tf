# Webhook endpoints as code. Failovers are no resources: they are started elsewhere.
terraform {
  required_providers {
    restapi = {
      source  = "Mastercard/restapi"
      version = "~> 3.0"
    }
  }
}

variable "emgate_token" {
  type      = string
  sensitive = true
}

variable "slack_url" {
  type      = string
  sensitive = true
}

provider "restapi" {
  uri                  = "https://dr.example"
  write_returns_object = true
  id_attribute         = "id"
  headers = {
    Authorization = "Bearer ${var.emgate_token}"
    Content-Type  = "application/json"
  }
}

resource "restapi_object" "portal" {
  path = "/api/v1/webhook-endpoints"
  data = jsonencode({
    description    = "Portal"
    url            = "https://portal.example/hooks/dr"
    eventTypes     = ["failover.session.started", "failover.session.finished"]
    maxConcurrency = 2
  })
  # Health, defaults and times are the gateway's.
  ignore_server_additions = true
}

resource "restapi_object" "slack" {
  path = "/api/v1/webhook-endpoints"
  data = jsonencode({
    description = "Slack, #disaster-recovery"
    format      = "slack"
    url         = var.slack_url
    eventTypes  = ["failover.session.finished"]
    filter      = { planIds = [], tenants = [], results = ["failed", "warning"] }
  })
  ignore_server_additions = true
  # The URL is a credential: it is masked when it is read.
  ignore_changes_to = ["url"]
}

# The gateway shows it once, in the answer that made the endpoint.
output "portal_secret" {
  value     = jsondecode(restapi_object.portal.create_response).secret
  sensitive = true
}
