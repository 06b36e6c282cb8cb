use super::types::*;
use crate::domain::{id::*, plan::*, session::*};
use jiff::Timestamp;
use std::time::Duration;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Error;
impl Error {
    pub fn acted(&self) -> Acted {
        Acted::No
    }
    pub fn is_not_found(&self) -> bool {
        true
    }
    pub fn public_message(&self) -> String {
        String::new()
    }
    pub fn retry_after(&self) -> Option<Duration> {
        None
    }
}
#[derive(Clone)]
pub struct Em;
impl Em {
    pub fn health(&self) -> Health {
        Health {
            up: true,
            since: None,
        }
    }
    pub async fn plans(&self, _: PlanKind, _: &PageRequest) -> Result<Page<Plan>, Error> {
        Err(Error)
    }
    pub async fn all_plans(&self, _: PlanKind) -> Result<Vec<Plan>, Error> {
        Err(Error)
    }
    pub async fn plan(&self, _: PlanKind, _: &EmId) -> Result<Plan, Error> {
        Err(Error)
    }
    pub async fn act(&self, _: &PlanRef, _: Action) -> Result<Accepted, Error> {
        Err(Error)
    }
    pub async fn edit_plan(&self, _: PlanKind, _: &EmId, _: &PlanEdit) -> Result<Accepted, Error> {
        Err(Error)
    }
    pub async fn delete_plan(&self, _: &EmId) -> Result<Accepted, Error> {
        Err(Error)
    }
    pub async fn task(&self, _: LogonId, _: &TaskId) -> Result<TaskView, Error> {
        Err(Error)
    }
    pub async fn remove_task(&self, _: LogonId, _: &TaskId) -> Result<(), Error> {
        Err(Error)
    }
    pub fn release(&self, _: LogonId) {}
    pub async fn sessions_since(&self, _: Option<Timestamp>) -> Result<Vec<SessionFacts>, Error> {
        Err(Error)
    }
    pub async fn sessions(&self, _: &SessionQuery) -> Result<Page<SessionFacts>, Error> {
        Err(Error)
    }
    pub async fn session(&self, _: &EmId) -> Result<SessionFacts, Error> {
        Err(Error)
    }
}
