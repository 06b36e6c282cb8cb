//! Endpoints whose filter names what Enterprise Manager does not show: a warning, and never a refusal, since the plan may be made
//! tomorrow and an endpoint can be registered while Enterprise Manager is away.
//!
//! It is looked up before the endpoint is written: between the commit and the answer, which shows the secret once, nothing waits.

use std::time::Duration;

use super::{Change, ChangedEndpoint, NewEndpoint, Unchanged};
use crate::api_types::webhooks::WebhookEndpointCreate;
use crate::app::{App, Error, FieldError, OpContext};
use crate::domain::id::{EmId, EndpointId};

/// How long Enterprise Manager is waited for. What it does not say until then is no warning.
const PATIENCE: Duration = Duration::from_secs(2);

const UNKNOWN_PLAN: &str = "Enterprise Manager shows you no plan with this id now";
const UNKNOWN_TENANT: &str = "no tenant that you see has this id or exact name now";

/// What a filter names that is given.
#[derive(Default)]
struct Named<'a> {
    plans: &'a [String],
    tenants: &'a [String],
}

impl<'a> Named<'a> {
    fn of_new(wanted: &'a WebhookEndpointCreate) -> Self {
        let filter = wanted.filter.as_ref();
        Self {
            plans: filter
                .and_then(|filter| filter.plan_ids.as_deref())
                .unwrap_or_default(),
            tenants: filter
                .and_then(|filter| filter.tenants.as_deref())
                .unwrap_or_default(),
        }
    }

    fn of(change: &'a Change) -> Self {
        let filter = match change {
            Change::Replace(wanted) => return Self::of_new(wanted),
            Change::Patch(patch) => patch.filter.as_ref().and_then(Option::as_ref),
        };
        let given = |texts: &'a Option<Option<Vec<String>>>| texts.as_ref().and_then(Option::as_deref);
        Self {
            plans: filter
                .and_then(|filter| given(&filter.plan_ids))
                .unwrap_or_default(),
            tenants: filter
                .and_then(|filter| given(&filter.tenants))
                .unwrap_or_default(),
        }
    }
}

impl App {
    /// Registers an endpoint: [`super::Webhooks::create`], with a warning for each plan and tenant that its filter names and that
    /// the caller does not see.
    ///
    /// # Errors
    /// Those of [`super::Webhooks::create`].
    pub async fn create_endpoint(
        &self,
        context: &OpContext,
        wanted: WebhookEndpointCreate,
    ) -> Result<NewEndpoint, Error> {
        let unknown = self.unknown(context, Named::of_new(&wanted)).await;
        let mut new = self.webhooks().create(context, wanted).await?;
        new.warnings.extend(unknown);
        Ok(new)
    }

    /// Changes an endpoint: [`super::Webhooks::change`], with the same warnings where the change names a filter.
    ///
    /// # Errors
    /// Those of [`super::Webhooks::change`].
    pub async fn change_endpoint(
        &self,
        context: &OpContext,
        id: EndpointId,
        change: Change,
        unchanged: Option<Unchanged<'_>>,
    ) -> Result<ChangedEndpoint, Error> {
        let unknown = self.unknown(context, Named::of(&change)).await;
        let mut changed = self.webhooks().change(context, id, change, unchanged).await?;
        changed.warnings.extend(unknown);
        Ok(changed)
    }

    async fn unknown(&self, context: &OpContext, named: Named<'_>) -> Vec<FieldError> {
        let look = async {
            let (plans, tenants) = tokio::join!(
                self.unknown_plans(context, named.plans),
                self.unknown_tenants(context, named.tenants)
            );
            [plans, tenants]
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        // Where Enterprise Manager does not answer nothing is known of what it shows.
        let found = found.into_iter().flatten().flatten();
        found.flatten().collect()
    }

    async fn unknown_plans(&self, context: &OpContext, texts: &[String]) -> Result<Vec<FieldError>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.every_plan(context, None).await?;
        let is_unknown = |text: &String| {
            let id = text.parse::<EmId>();
            id.is_ok_and(|id| !known.iter().any(|plan| plan.id == id))
        };
        Ok(warnings("/filter/planIds", texts, is_unknown, UNKNOWN_PLAN))
    }

    async fn unknown_tenants(&self, context: &OpContext, texts: &[String]) -> Result<Vec<FieldError>, Error> {
        // The texts of a confined caller are its token's: another one is refused.
        if texts.is_empty() || context.tenancy().is_confined() {
            return Ok(Vec::new());
        }
        let known = self.em.tenants().await?;
        let is_unknown = |text: &String| !known.iter().any(|tenant| tenant.is_called(text));
        Ok(warnings("/filter/tenants", texts, is_unknown, UNKNOWN_TENANT))
    }
}

fn warnings(
    pointer: &str,
    texts: &[String],
    is_unknown: impl Fn(&String) -> bool,
    detail: &str,
) -> Vec<FieldError> {
    let unknown = texts.iter().enumerate().filter(|(_, text)| is_unknown(text));
    unknown
        .map(|(at, text)| {
            let detail = format!("`{text}`: {detail}; until then it lets no event through");
            FieldError::new(format!("{pointer}/{at}"), detail)
        })
        .collect()
}
