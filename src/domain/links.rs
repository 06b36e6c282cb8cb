//! Where the gateway's own addresses begin: at `server.public_url`, or at `/` when that is not set.
//!
//! Every address that leaves the gateway (links, `Location`, problem types, hrefs of mirrored documents) is made here, so
//! that all of them are absolute or none is.

use std::sync::Arc;

use url::Url;

/// The beginning of every path of the API.
pub const API: &str = "/api/v1";
/// The beginning of the path of every page of the console.
const CONSOLE: &str = "/console";
/// The beginning of every path of the mirror.
pub const MIRROR: &str = "/api/v1/em";

/// Makes addresses out of paths; clones share it. The default leaves every path as it is.
#[derive(Debug, Clone)]
pub struct Links {
    /// The public URL without the slash at its end; empty when there is none.
    base: Arc<str>,
    /// The address of the mirror.
    mirror: Arc<str>,
    /// Whether there is a console.
    has_console: bool,
}

impl Links {
    /// Addresses below `public_url`, whose own path is kept, with or without a slash at its end.
    #[must_use]
    pub fn below(public_url: Option<&Url>) -> Self {
        let base = public_url.map_or("", |url| url.as_str().trim_end_matches('/'));
        Self {
            base: base.into(),
            mirror: format!("{base}{MIRROR}").into(),
            has_console: true,
        }
    }

    /// The same where `console.enabled` says whether there is a console.
    #[must_use]
    pub const fn with_console(mut self, enabled: bool) -> Self {
        self.has_console = enabled;
        self
    }

    /// The address of `path`, which begins with a slash.
    #[must_use]
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address of what is at `path` below `/api/v1`.
    #[must_use]
    pub fn api(&self, path: &str) -> String {
        format!("{}{API}{path}", self.base)
    }

    /// The address of the console's page at `path` below `/console`; `None` when there is no console.
    #[must_use]
    pub fn console(&self, path: &str) -> Option<String> {
        self.has_console.then(|| format!("{}{CONSOLE}{path}", self.base))
    }

    /// The public URL without the slash at its end; `None` when addresses are relative.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        (!self.base.is_empty()).then_some(&*self.base)
    }

    /// The address of the mirror: what Enterprise Manager's `/api` becomes.
    #[must_use]
    pub fn mirror(&self) -> &str {
        &self.mirror
    }

    /// What follows the mirror's address in `link`, if it leads there.
    #[must_use]
    pub fn below_mirror<'a>(&self, link: &'a str) -> Option<&'a str> {
        link.strip_prefix(&*self.mirror)
            .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::below(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(None, "/api/v1/operations")]
    #[case(Some("https://dr.example"), "https://dr.example/api/v1/operations")]
    #[case(Some("https://dr.example/"), "https://dr.example/api/v1/operations")]
    #[case(
        Some("https://dr.example/emgate"),
        "https://dr.example/emgate/api/v1/operations"
    )]
    #[case(
        Some("https://dr.example/emgate/"),
        "https://dr.example/emgate/api/v1/operations"
    )]
    #[case(
        Some("http://dr.example:8443/a/b/"),
        "http://dr.example:8443/a/b/api/v1/operations"
    )]
    fn the_path_of_the_public_url_is_kept_with_or_without_a_slash(
        #[case] public_url: Option<&str>,
        #[case] address: &str,
    ) {
        let url = public_url.map(|url| url.parse::<Url>().expect("a URL"));
        let links = Links::below(url.as_ref());
        assert_eq!(links.to("/api/v1/operations"), address);
        assert_eq!(links.api("/operations"), address);
    }

    #[test]
    fn without_a_console_nothing_leads_to_it() {
        let links = Links::default();
        let page = links.console("/failovers/0192");
        assert_eq!(page.as_deref(), Some("/console/failovers/0192"));
        assert_eq!(links.with_console(false).console("/failovers/0192"), None);
    }

    #[test]
    fn what_leads_to_the_mirror_is_recognised_by_its_whole_address() {
        let url: Url = "https://dr.example/emgate".parse().expect("a URL");
        let links = Links::below(Some(&url));
        assert_eq!(
            links.below_mirror("https://dr.example/emgate/api/v1/em/tasks/task-1"),
            Some("/tasks/task-1")
        );
        assert_eq!(
            links.below_mirror("https://dr.example/emgate/api/v1/em"),
            Some("")
        );
        for other in [
            "/api/v1/em/tasks/task-1",
            "https://dr.example/emgate/api/v1/embed",
            "",
        ] {
            assert_eq!(links.below_mirror(other), None, "{other}");
        }
        assert_eq!(Links::default().below_mirror("/api/v1/em?x"), Some("?x"));
    }
}
