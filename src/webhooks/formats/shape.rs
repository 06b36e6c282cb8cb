//! What a service's addresses look like. An address of another shape is a warning for its owner, never a refusal: proxies
//! and services of the same kind have their own.

use url::Host;

use crate::domain::webhook::target::TargetUrl;

/// What a service's addresses look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// The service's name; empty when any address will do.
    pub(super) service: &'static str,
    /// An address of it, for people.
    pub(super) looks_like: &'static str,
    /// Its hosts, `*.` for any below; empty when anybody may host it.
    pub(super) hosts: &'static [&'static str],
    /// What the path has in it.
    pub(super) path: &'static str,
    /// Parameters that the query has.
    pub(super) parameters: &'static [&'static str],
}

impl Shape {
    /// Any address.
    pub(super) const ANY: Self = Self {
        service: "",
        looks_like: "",
        hosts: &[],
        path: "",
        parameters: &[],
    };

    /// Whether any address will do.
    pub(super) const fn is_any(&self) -> bool {
        self.service.is_empty()
    }

    /// Whether an address is one of the service's own hosts, and looks as they do.
    pub(super) fn fits(&self, target: &TargetUrl) -> bool {
        !self.hosts.is_empty() && self.looks_right(target)
    }

    fn looks_right(&self, target: &TargetUrl) -> bool {
        self.names(target) && target.url().path().contains(self.path) && self.asks(target)
    }

    /// What is odd about an address, if anything is; nothing of the address is repeated.
    pub(super) fn warning(&self, target: &TargetUrl) -> Option<String> {
        let known = self.is_any() || self.looks_right(target);
        let (service, looks_like) = (self.service, self.looks_like);
        (!known).then(|| format!("this does not look like an address of {service}, such as {looks_like}"))
    }

    fn names(&self, target: &TargetUrl) -> bool {
        let Host::Domain(host) = target.host() else {
            return self.hosts.is_empty();
        };
        self.hosts.is_empty()
            || self.hosts.iter().any(|pattern| match pattern.strip_prefix('*') {
                Some(end) => host.ends_with(end),
                None => host == *pattern,
            })
    }

    fn asks(&self, target: &TargetUrl) -> bool {
        self.parameters
            .iter()
            .all(|wanted| target.url().query_pairs().any(|(name, _)| name == *wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Format;
    use crate::webhooks::formats;
    use rstest::rstest;

    #[rstest]
    #[case(Format::Standard, "https://anything.example/", true)]
    #[case(Format::Slack, "https://hooks.slack.com/services/T0/B0/x", true)]
    #[case(Format::Slack, "https://hooks.slack.com.evil.example/services/T0/B0/x", false)]
    #[case(Format::Slack, "https://192.0.2.1/services/T0/B0/x", false)]
    #[case(
        Format::Teams,
        "https://prod-1.westeurope.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=x",
        true
    )]
    #[case(Format::Teams, "https://prod-1.westeurope.logic.azure.com/workflows/1", false)]
    #[case(Format::Teams, "https://acme.webhook.office.com/webhookb2/1", false)]
    #[case(Format::Mattermost, "https://chat.example/hooks/abc", true)]
    #[case(Format::Mattermost, "https://chat.example/", false)]
    #[case(Format::Discord, "https://discord.com/api/webhooks/1/x", true)]
    #[case(
        Format::GoogleChat,
        "https://chat.googleapis.com/v1/spaces/A/messages?key=1&token=2",
        true
    )]
    #[case(Format::GoogleChat, "https://chat.googleapis.com/v1/spaces/A/messages", false)]
    #[case(Format::PagerDuty, "https://events.eu.pagerduty.com/v2/enqueue", true)]
    #[case(Format::ServiceNow, "https://acme.service-now.com/api/global/em/jsonv2", true)]
    #[case(Format::ServiceNow, "https://acme.service-now.com/", false)]
    fn an_address_of_another_shape_is_a_warning(
        #[case] format: Format,
        #[case] url: &str,
        #[case] fits: bool,
    ) {
        let target = TargetUrl::parse(url, false).expect("a URL");
        assert_eq!(formats::address_warning(format, false, &target).is_none(), fits);
    }
}
