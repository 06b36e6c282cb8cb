//! Failover plans through the mirror: EM's paths and bodies, run by the verbs of the curated routes, policies included. A
//! body of EM's has no place for a reason, so that what needs one is refused here.

use jiff::Timestamp;
use serde_json::Value;

use crate::app::idempotency::IdempotentRequest;
use crate::app::plan_requests::{ActionRequest, EditRequest};
use crate::app::policies::Checks;
use crate::app::submit::Submitted;
use crate::app::{App, Error, FieldError, OpContext};
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, Plan, PlanCommand, PlanEdit, PlanKind};
use crate::mirror::{MirrorRequest, PlanVerb, PlanWrite};
use crate::text::json_pointer;
use crate::transcode::{self, Moment};

impl App {
    pub(super) async fn em_plan(
        &self,
        context: &OpContext,
        mirrored: &MirrorRequest,
        verb: PlanVerb,
        body: Option<&[u8]>,
        idempotency: Option<IdempotentRequest>,
    ) -> Result<Submitted, Error> {
        let missing = Error::NotFound {
            what: "the failover plan",
        };
        let id: EmId = mirrored
            .path_values
            .first()
            .and_then(|id| id.parse().ok())
            .ok_or(missing)?;
        match verb.what {
            PlanWrite::Act(action) => {
                let before = match action {
                    ActionKind::Start => self.bound(body)?,
                    ActionKind::Test | ActionKind::Undo => None,
                };
                let request = ActionRequest {
                    before,
                    restore_point_given: before.is_some(),
                    idempotency,
                    ..ActionRequest::default()
                };
                self.act(context, verb.kind, &id, action, request).await
            }
            PlanWrite::Edit => {
                let body: Value = serde_json::from_slice(body.unwrap_or_default())
                    .map_err(|_| Error::invalid("", "cannot be read as JSON"))?;
                let (plan, current) = self.plan_fresh(context, verb.kind, &id).await?;
                let current: Value = serde_json::from_slice(&current)
                    .map_err(|_| Error::Internal("a failover plan is no JSON"))?;
                let edit = edit_of(&plan, &current, &body)?;
                let mut checks = Checks::first();
                let examined = self
                    .examine_change(context, plan, Some(edit), None, idempotency, &mut checks)
                    .await?;
                self.submit(context, examined.into_intent()?).await
            }
            PlanWrite::Delete => {
                let request = EditRequest {
                    idempotency,
                    ..EditRequest::default()
                };
                self.delete_cloud_plan(context, &id, request).await
            }
        }
    }

    /// `StartDate` is the bound of the restore points, not a schedule (docs/behaviour.md#actions). The catalogue has checked
    /// the body already. The transcoder decides what a date-time is, so that EM is sent the timestamp that was
    /// checked here.
    fn bound(&self, body: Option<&[u8]>) -> Result<Option<Timestamp>, Error> {
        let spec: Value = serde_json::from_slice(body.unwrap_or_default())
            .map_err(|_| Error::invalid("", "must hold startNow or startDate"))?;
        let start_now = spec.get("startNow").and_then(Value::as_bool);
        let start_date = match spec.get("startDate") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_str().and_then(transcode::moment) {
                Some(Moment::At(at)) => Some(at),
                Some(Moment::Never) => None,
                None => {
                    let detail = "must be a date-time such as 2026-01-31T12:00:00Z";
                    return Err(Error::invalid("/startDate", detail));
                }
            },
        };
        match (start_now, start_date) {
            (_, Some(before)) if before > self.clock.now() => {
                Err(Error::invalid("/startDate", "must not be in the future"))
            }
            (_, Some(before)) => Ok(Some(before)),
            (Some(true), None) => Ok(None),
            (Some(false) | None, None) => Err(Error::invalid(
                "/startNow",
                "must be true, unless startDate bounds the restore points",
            )),
        }
    }
}

/// What `body` changes on a plan, both in EM's shape. What is left out stays; a field that may not change must be
/// as it was read.
fn edit_of(plan: &Plan, current: &Value, body: &Value) -> Result<PlanEdit, Error> {
    let editable = match plan.kind {
        PlanKind::Cloud => "cloudFailoverPlanOptions",
        PlanKind::OnPremises => "description",
    };
    let faults: Vec<FieldError> = body
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            // Addresses and links are ignored in every body.
            let ignored = matches!(name.as_str(), "links" | "href" | "type") || *name == editable;
            !ignored && current.get(name) != Some(value)
        })
        .map(|(name, _)| {
            FieldError::new(
                json_pointer("", name),
                format!("cannot be changed here; {editable} can"),
            )
        })
        .collect();
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let given = body.get(editable);
    Ok(match plan.kind {
        PlanKind::Cloud => PlanEdit::Cloud {
            pre_command: command(given, "preFailoverPlanCommand", plan.pre_command.as_ref())?,
            post_command: command(given, "postFailoverPlanCommand", plan.post_command.as_ref())?,
        },
        PlanKind::OnPremises => PlanEdit::OnPremises {
            description: match given {
                None => plan.description.clone().unwrap_or_default(),
                Some(text) => text.as_str().unwrap_or_default().to_owned(),
            },
        },
    })
}

fn command(options: Option<&Value>, name: &str, current: Option<&PlanCommand>) -> Result<PlanCommand, Error> {
    let mut command = current.cloned().unwrap_or_default();
    if let Some(enabled) = options.and_then(|options| options.get(format!("{name}Enabled"))) {
        command.enabled = enabled.as_bool().unwrap_or(false);
    }
    if let Some(text) = options.and_then(|options| options.get(name)) {
        command.command = text.as_str().map(ToOwned::to_owned);
    }
    if command.enabled && command.command.as_deref().is_none_or(str::is_empty) {
        return Err(Error::invalid(
            format!("/cloudFailoverPlanOptions/{name}"),
            "is needed when the command is enabled",
        ));
    }
    Ok(command)
}
