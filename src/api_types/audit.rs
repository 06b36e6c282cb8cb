//! A row of the audit log as JSON (docs/behaviour.md#audit). What is answered is the text that was hashed, so this type
//! describes it for the document and passes it on.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::Moment;

/// A row as it is told.
#[derive(Debug)]
pub struct AuditEntry<'a>(pub &'a RawValue);

impl Serialize for AuditEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl PartialSchema for AuditEntry<'_> {
    fn schema() -> RefOr<Schema> {
        Members::schema()
    }
}

impl ToSchema for AuditEntry<'_> {
    fn name() -> Cow<'static, str> {
        "AuditEntry".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Members::schemas(schemas);
    }
}

/// One row of the audit log: who did, or was refused, what, and how it ended.
#[derive(ToSchema)]
#[schema(title = "AuditEntry", rename_all = "camelCase")]
#[expect(dead_code, reason = "only its description is used")]
struct Members {
    /// Its number in the chain, from 1.
    sequence: i64,
    /// When it was written, always with six digits of a second.
    at: Moment,
    /// Who acted.
    actor: AuditActor,
    /// What it is about.
    action: String,
    /// The path of the thing that it is about.
    #[schema(required)]
    target: Option<String>,
    /// Whose thing that is.
    #[schema(required)]
    tenant: Option<AuditTenant>,
    /// The operation concerned.
    #[schema(required)]
    operation_id: Option<String>,
    /// The request's id; null for the end of an operation.
    #[schema(required)]
    request_id: Option<String>,
    /// `accepted`, `done`, `refused`; for the end of an operation its result, `none` where Enterprise Manager gave none,
    /// or `unknown`.
    outcome: String,
    /// The status that acknowledges the request; null for the end of an operation.
    #[schema(required)]
    status: Option<i64>,
    /// Whatever else there is to say; which members depends on the action.
    #[schema(value_type = Object)]
    details: serde_json::Value,
    /// The `hash` of the row before; 64 zeros in the first.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    previous_hash: String,
    /// SHA-256 over the canonical form (RFC 8785) of the other members.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}

/// Who acted. All four are null for the end of an operation; of a token that is not valid, only the address is told.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its description is used")]
struct AuditActor {
    /// The token's issuer.
    #[schema(required)]
    issuer: Option<String>,
    /// The caller's name.
    #[schema(required)]
    subject: Option<String>,
    /// The token's `jti`.
    #[schema(required)]
    token_id: Option<String>,
    /// The client's address.
    #[schema(required)]
    address: Option<String>,
}

/// A tenant, by what is known of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct AuditTenant {
    /// Its id.
    #[schema(required)]
    id: Option<String>,
    /// Its name.
    #[schema(required)]
    name: Option<String>,
}
