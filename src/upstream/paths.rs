//! EM's paths: built for requests, and recognised in hrefs whatever host EM put there.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::id::EmId;
use crate::domain::plan::PlanKind;

/// Everything but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Text as a path segment or the value of a query parameter.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A plan of that kind.
pub(super) fn plan(kind: PlanKind, id: &EmId) -> String {
    match kind {
        PlanKind::Cloud => format!("cloud/cloudFailoverPlans/{id}"),
        PlanKind::OnPremises => format!("failoverPlans/{id}"),
    }
}

/// What is below `/api/` in an href of EM's, or below `/api/v1/em/` in one that the transcoder has rewritten.
#[must_use]
pub fn below_api(href: &str) -> Option<String> {
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map(|(_, path)| path)?,
        None => href.trim_start_matches('/'),
    };
    let lower = path.to_ascii_lowercase();
    // The gateway's public URL may have a path of its own, as EM's may.
    let mirror = lower.find("api/v1/em/");
    let rest = if let Some(at) = mirror.filter(|at| *at == 0 || lower[..*at].ends_with('/')) {
        path.get(at + "api/v1/em/".len()..)?
    } else if lower.starts_with("api/") {
        path.get("api/".len()..)?
    } else {
        // An EM behind a path of its own: https://host/em/api/…
        let at = lower.find("/api/")?;
        path.get(at + "/api/".len()..)?
    };
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// The path of one logon session and nothing else: what may be deleted on EM's word.
pub(super) fn is_logon_session(path: &str) -> bool {
    path.to_ascii_lowercase()
        .strip_prefix("logonsessions/")
        .is_some_and(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

/// The id in an href that ends with it, the query aside.
pub(super) fn id_in(href: &str) -> Option<EmId> {
    let path = href.split(['?', '#']).next()?;
    path.trim_end_matches('/').rsplit('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_href_is_cut_below_api_whatever_its_host() {
        for href in [
            "https://localhost:9398/api/logonSessions/1-a?x=1",
            "http://10.0.0.7:9399/API/logonSessions/1-a?x=1",
            "https://proxy.example/em/api/logonSessions/1-a?x=1",
            "/api/v1/em/logonSessions/1-a?x=1",
            "https://dr.example/emgate/api/v1/em/logonSessions/1-a?x=1",
            "https://dr.example/api/api/v1/em/logonSessions/1-a?x=1",
            "/api/logonSessions/1-a?x=1",
        ] {
            assert_eq!(
                below_api(href).as_deref(),
                Some("logonSessions/1-a?x=1"),
                "{href}"
            );
        }
        for href in ["", "https://em.example", "https://em.example/other/", "/api/"] {
            assert_eq!(below_api(href), None, "{href}");
        }
    }

    #[test]
    fn only_one_logon_session_may_be_deleted_on_the_word_of_a_link() {
        assert!(is_logon_session(
            "logonSessions/4ceb4e03-d23d-4c4e-be05-21580b260243"
        ));
        assert!(is_logon_session("logonsessions/4CEB4E03"));
        for path in [
            "logonSessions/",
            "logonSessions",
            "jobs/1",
            "logonSessions/../jobs/1",
            "logonSessions/1?x=2",
        ] {
            assert!(!is_logon_session(path), "{path}");
        }
    }

    #[test]
    fn ids_are_found_at_the_end_of_hrefs() {
        let href = "https://localhost:9398/api/cloud/failoverSessions/A986D473-0248-4884-9832-17ec982ee393?format=Entity";
        assert_eq!(
            id_in(href).map(|id| id.key()).as_deref(),
            Some("a986d473-0248-4884-9832-17ec982ee393")
        );
        assert_eq!(id_in("/api/v1/em/tasks/task-1"), None);
    }
}
