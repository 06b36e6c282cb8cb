//! The addresses that messages lead to. The pages are those of the console, where there is one; this is the one place that knows
//! them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::links::Links;

/// What need not be encoded in an id within a path.
const ID: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The longest address that is put into a message; what is longer is left out, since services refuse it.
const ADDRESS_LIMIT: usize = 512;

/// Where a message leads: absolute below `server.public_url`, a path without it; none where there is nothing to see.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Pages {
    /// The failover, or the plan where it is about that alone.
    pub(super) open: Option<String>,
    /// Its report, once it has ended.
    pub(super) report: Option<String>,
    /// Where it is approved, while it waits for that.
    pub(super) approve: Option<String>,
}

/// What is known of the failover.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About<'a> {
    /// Its operation.
    pub(super) operation: Option<&'a str>,
    /// Its session.
    pub(super) session: Option<&'a str>,
    /// The kind and id of the plan, of what is about a plan alone.
    pub(super) plan: Option<(&'a str, &'a str)>,
    /// Whether it ended.
    pub(super) ended: bool,
    /// Whether it waits for approval.
    pub(super) waits: bool,
}

impl Pages {
    /// The addresses for a failover.
    pub(super) fn of(links: &Links, about: About<'_>) -> Self {
        let encoded = |id: &str| utf8_percent_encode(id, ID).to_string();
        let short = |address: &String| address.len() <= ADDRESS_LIMIT;
        let api = |path: String| Some(links.api(&path)).filter(short);
        let console = |path: String| links.console(&path).filter(short);
        let operation = about.operation.map(encoded);
        let session = about.session.map(encoded);
        let plan = about
            .plan
            .map(|(kind, id)| format!("{}/{}", encoded(kind), encoded(id)));
        let report = match (&operation, &session) {
            (_, Some(id)) => api(format!("/failover-sessions/{id}/report")),
            (Some(id), None) => api(format!("/operations/{id}/report")),
            (None, None) => None,
        };
        Self {
            open: match (operation.as_ref().or(session.as_ref()), plan) {
                (Some(id), _) => console(format!("/failovers/{id}")),
                (None, Some(plan)) => console(format!("/plans/{plan}")),
                (None, None) => None,
            },
            report: report.filter(|_| about.ended),
            approve: operation
                .filter(|_| about.waits)
                .and_then(|id| console(format!("/approvals/{id}"))),
        }
    }

    /// What people can follow from a chat: label and absolute address.
    pub(super) fn buttons(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("Approve…", &self.approve),
            ("Open", &self.open),
            ("Report", &self.report),
        ];
        all.into_iter()
            .filter_map(|(label, address)| Some((label, address.as_deref()?)))
            .filter(|(_, address)| address.starts_with("http"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_public_address_a_chat_gets_no_links_and_a_template_paths() {
        let about = About {
            operation: Some("0192"),
            session: Some("a 9"),
            plan: Some(("cloud", "b")),
            ended: true,
            waits: false,
        };
        let pages = Pages::of(&Links::default(), about);
        assert_eq!(pages.open.as_deref(), Some("/console/failovers/0192"));
        assert!(pages.buttons().is_empty());
        let url = "https://dr.example/emgate/".parse().expect("a URL");
        let pages = Pages::of(&Links::below(Some(&url)), about);
        assert_eq!(
            pages.buttons(),
            [
                ("Open", "https://dr.example/emgate/console/failovers/0192"),
                (
                    "Report",
                    "https://dr.example/emgate/api/v1/failover-sessions/a%209/report"
                ),
            ]
        );
        let of_plan = About {
            plan: Some(("cloud", "b 1")),
            ..About::default()
        };
        let pages = Pages::of(&Links::default(), of_plan);
        assert_eq!(pages.open.as_deref(), Some("/console/plans/cloud/b%201"));
    }

    #[test]
    fn without_a_console_nothing_leads_there() {
        let of_failover = About {
            operation: Some("0192"),
            ended: true,
            waits: true,
            ..About::default()
        };
        let of_plan = About {
            plan: Some(("cloud", "b")),
            ..About::default()
        };
        let links = Links::default().with_console(false);
        assert_eq!(Pages::of(&links, of_plan), Pages::default());
        let report = Some("/api/v1/operations/0192/report".to_owned());
        assert_eq!(
            Pages::of(&links, of_failover),
            Pages {
                report,
                ..Pages::default()
            }
        );
    }
}
