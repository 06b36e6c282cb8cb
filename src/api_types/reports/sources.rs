//! Where a report comes from, what is missing in it, and what proves that it was not changed.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::Moment;
use super::super::plans::NamedReference;

/// Where all of it comes from.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The address of Enterprise Manager, without credentials.
    pub em_address: String,
    /// The version of its REST API that was agreed on.
    #[schema(required)]
    pub em_api_version: Option<String>,
    /// The version of the backup server, as Enterprise Manager shows it.
    #[schema(required)]
    pub backup_server_version: Option<String>,
    /// The backup server.
    #[schema(required)]
    pub backup_server: Option<NamedReference>,
    /// What was asked at Enterprise Manager.
    pub queries: Vec<String>,
    /// What those were filtered by.
    pub filters: Vec<String>,
    /// How many machines the session had when it was read last.
    pub records_read: usize,
    /// How many of these are in this report.
    pub records_shown: usize,
    /// What is not known, and why.
    pub gaps: Vec<String>,
    /// What the figures do not say.
    pub limits: Vec<&'static str>,
    /// The rows of the audit log about the operation, each with its own hash.
    #[schema(value_type = Vec<Object>)]
    pub audit: Vec<Value>,
}

/// What proves that nothing was changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Integrity {
    /// The number of the first of these rows of the audit log; null when there is none.
    #[schema(required)]
    pub audit_from: Option<i64>,
    /// The number of the last of them.
    #[schema(required)]
    pub audit_to: Option<i64>,
    /// The hash of the last row of the audit log when this revision was made.
    pub chain_head: String,
    /// `sha-256:` and 64 hex digits: the hash of the canonical form (RFC 8785) of the report without this member and
    /// `signature`.
    pub digest: String,
    /// Ed25519 over the digest's 32 bytes, in base64.
    pub signature: String,
    /// The key that signed, at `/.well-known/emgate/report-keys`.
    pub key_id: String,
}

/// The keys that sign reports.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"keys": [{
    "keyId": "rk_5f1c0b7a4e2d9c38", "algorithm": "Ed25519", "publicKey": "yP2cTn5nD5w0ZkqS7t0s1o2w4m8q6u3e9r1t5y7u9io=",
    "notBefore": "2026-02-13T08:00:00Z", "notAfter": null,
}]}))]
pub struct ReportKeys {
    /// The newest first.
    pub keys: Vec<ReportKey>,
}

/// A key that signs reports, or did.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportKey {
    /// Its id.
    pub key_id: String,
    /// `Ed25519`.
    pub algorithm: &'static str,
    /// The public key, 32 bytes in base64.
    pub public_key: String,
    /// From when on it signs.
    pub not_before: Moment,
    /// Until when it signed; null while it is in use.
    #[schema(required)]
    pub not_after: Option<Moment>,
}
