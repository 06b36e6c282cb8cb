//! Reading failover sessions.

use crate::sim::exchange::{Answer, Call, Handled, Refusal};
use crate::sim::render::{Documents, Form};
use crate::sim::xml::Element;

/// `GET /api/cloud/failoverSessions`
pub fn list(call: &mut Call<'_>) -> Handled {
    let form = call.form()?;
    let documents: Documents<'_> = call.documents();
    let root = if form == Form::Entity {
        "CloudFailoverSessions"
    } else {
        "EntityReferences"
    };
    let sessions = call
        .world
        .sessions(call.now)
        .map(|session| documents.session(session, form, true, true));
    Ok(Answer::ok(Element::new(root).children(sessions)))
}

/// `GET /api/cloud/failoverSessions/{id}`
pub fn get(call: &mut Call<'_>) -> Handled {
    let (id, form) = (call.id(0, "Failover session")?, call.form()?);
    let session = call
        .world
        .failovers
        .iter()
        .find(|session| session.id == id && session.visible(call.now));
    let session = session.ok_or_else(|| Refusal::not_found("Failover session"))?;
    let record = call.documents().session(session, form, false, true);
    Ok(Answer::ok(call.world.damages.by_itself(id, record)))
}
