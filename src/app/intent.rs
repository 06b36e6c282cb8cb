//! What a caller asks for, as a value: what is to be sent, and what is to be recorded with it. `submit` makes an operation of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;

use super::Limits;
use super::idempotency::IdempotentRequest;
use crate::clock::later;
use crate::domain::access::Caller;
use crate::domain::approval::Approval;
use crate::domain::command::Command;
use crate::domain::evidence::asked::Asked;
use crate::domain::id::OperationId;
use crate::domain::operation::{HistoryStep, Operation, OperationState};

/// A one-off webhook that was checked and is ready to be stored.
#[derive(Debug, Clone)]
pub struct Callback {
    /// The receiver's URL.
    pub url: url::Url,
    /// How the address is shown.
    pub masked: String,
    /// What signs it.
    pub secret: SecretString,
}

/// What is to be recorded of a request.
#[derive(Debug, Clone)]
pub struct Intent {
    /// What is to be sent.
    pub command: Command,
    /// The one-off webhook that reports its end.
    pub callback: Option<Callback>,
    /// The caller's own notes.
    pub metadata: BTreeMap<String, String>,
    /// The key under which the same request is the same operation.
    pub idempotency: Option<IdempotentRequest>,
    /// Why the caller wants it.
    pub reason: Option<String>,
    /// The approvals that it has to wait for.
    pub approval: Option<Approval>,
    /// What is kept of a failover from its request on.
    pub asked: Option<Asked>,
}

impl Intent {
    /// A command with its key alone.
    pub(super) fn plain(command: Command, idempotency: Option<IdempotentRequest>) -> Self {
        Self {
            command,
            callback: None,
            metadata: BTreeMap::new(),
            idempotency,
            reason: None,
            approval: None,
            asked: None,
        }
    }

    /// The operation that it becomes.
    pub(super) fn operation(
        &self,
        id: OperationId,
        caller: &Caller,
        seen_observation: i64,
        now: Timestamp,
        limits: Limits,
    ) -> Operation {
        let state = match self.approval {
            Some(_) => OperationState::AwaitingApproval,
            None => OperationState::Submitting,
        };
        Operation {
            state,
            history: vec![HistoryStep {
                state,
                at: now,
                reason: None,
            }],
            requested_by: caller.name.clone(),
            requester_issuer: caller.issuer.clone(),
            reason: self.reason.clone(),
            approval: self.approval.clone(),
            callback_url: self.callback.as_ref().map(|callback| callback.masked.clone()),
            metadata: self.metadata.clone(),
            seen_observation,
            answer_due: later(now, limits.answer),
            evidence_deadline: later(now, limits.unknown_after),
            ..self.command.operation(id, now)
        }
    }
}
