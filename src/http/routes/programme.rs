//! The programme of recovery tests, as JSON, as a page or as a table.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api_types::reports::programme::RecoveryProgramme;
use crate::app::OpContext;
use crate::app::evidence::{ProgrammeQuery, programme_page, programme_table};
use crate::domain::access::Scope;
use crate::domain::plan::PlanKind;
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Choice, EnumParam, NameFilter, Query, TimestampParam};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    Routes::default().with(require_scope(
        Scope::ReportsRead,
        &[UPSTREAM_READ, STORED],
        route!(get_recovery_programme),
    ))
}

/// How the programme is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProgrammeFormat {
    Json,
    Html,
    Csv,
}

impl EnumParam for ProgrammeFormat {
    fn words() -> Vec<&'static str> {
        vec!["json", "html", "csv"]
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "json" => Some(Self::Json),
            "html" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl EnumParam for PlanKind {
    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|kind| kind.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        Self::parse(word)
    }
}

type OneKind = Choice<PlanKind>;
type Wanted = Choice<ProgrammeFormat>;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// Count tests from this timestamp on; a year back when absent.
    #[param(inline)]
    from: Option<TimestampParam>,
    /// Count tests before this timestamp; now when absent.
    #[param(inline)]
    to: Option<TimestampParam>,
    /// Only plans of this tenant, by id or exact name; 422 where the caller sees none that is called so.
    #[param(inline)]
    tenant: Option<NameFilter>,
    /// Only plans of this kind; of both when absent.
    #[param(inline)]
    kind: Option<OneKind>,
    /// How it is answered; JSON when absent.
    #[param(inline)]
    format: Option<Wanted>,
}

/// Read the programme of recovery tests
///
/// Every plan that Enterprise Manager knows at this moment, also those that were never tested: how often it was tested, what
/// its last test showed, and whether it is overdue. A caller who is confined to tenants gets the plans of these, and `tenants`
/// says so.
#[utoipa::path(get, path = "/api/v1/reports/recovery-tests", operation_id = "getRecoveryProgramme", tag = "reports",
    params(Parameters),
    responses((status = 200, description = "The programme.",
        content((RecoveryProgramme = "application/json"), (String = "text/html"), (String = "text/csv")))))]
async fn get_recovery_programme(
    State(state): State<HttpState>,
    context: OpContext,
    Query(parameters): Query<Parameters>,
) -> Result<Response, Problem> {
    let query = ProgrammeQuery {
        from: parameters.from.map(|at| at.0),
        to: parameters.to.map(|at| at.0),
        tenant: parameters.tenant.map(|name| name.0),
        kind: parameters.kind.map(|Choice(kind)| kind),
    };
    let programme = state.app().programme(&context, &query).await?;
    match parameters
        .format
        .map_or(ProgrammeFormat::Json, |Choice(format)| format)
    {
        ProgrammeFormat::Json => return Ok(Json(programme).into_response()),
        ProgrammeFormat::Html => {
            let headers = [
                (CONTENT_TYPE, "text/html; charset=utf-8"),
                (
                    CONTENT_DISPOSITION,
                    "inline; filename=\"emgate-recovery-tests.html\"",
                ),
                (CONTENT_SECURITY_POLICY, super::reports::PAGE_POLICY),
            ];
            return Ok((headers, programme_page(&programme)?).into_response());
        }
        ProgrammeFormat::Csv => {}
    }
    let table = programme_table(&programme)?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"emgate-recovery-tests.csv\"",
        ),
    ];
    Ok((headers, table).into_response())
}
