//! The section `[auth]`: keys, identity providers, and what their claims give.

use std::{collections::BTreeSet, time::Duration};

use super::{certificates::certificates, reader::Section};
use crate::auth::config::{
    Asynchrony, AuthConfig, ClientConfig, Grants, IssuerConfig, Key, KeyError, KeySource, Rule, RuleTenants,
    asynchrony, provider_url, public_key_algorithm, scopes,
};

/// Where a discovery document is, below its issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";

pub(super) fn read(mut s: Section<'_>) -> AuthConfig {
    let default = AuthConfig::default();
    let own = s.text("issuer");
    let mut issuers = Issuers::default();
    let config = AuthConfig {
        audience: s.text("audience"),
        tenant_claim: s.text("tenant_claim").unwrap_or(default.tenant_claim),
        leeway: s.duration("leeway", default.leeway, Duration::ZERO, Duration::from_hours(1)),
        keys: s.sections("keys").into_iter().filter_map(key).collect(),
        issuers: s
            .sections("issuers")
            .into_iter()
            .filter_map(|item| issuers.read(item, own.as_deref()))
            .collect(),
        tickets: s.boolean("tickets", default.tickets),
        clients: s.sections("clients").into_iter().filter_map(client).collect(),
        issuer: own,
        login: default.login,
    };
    let mut subjects = BTreeSet::new();
    for (at, client) in config.clients.iter().enumerate() {
        if !subjects.insert(&client.subject) {
            s.fault(
                &format!("clients[{at}].subject"),
                &format!("`{}` is taken already", client.subject),
            );
        }
        if client.prefer == Asynchrony::Ticket && !config.tickets {
            s.fault(
                &format!("clients[{at}].prefer"),
                "asks for tickets, which need `auth.tickets = true`",
            );
        }
    }
    let given = [
        !config.keys.is_empty(),
        issuers.any,
        s.is_faulty("keys"),
        s.is_faulty("issuers"),
    ];
    if !given.contains(&true) {
        let message = "is empty; at least one `[[auth.keys]]` or `[[auth.issuers]]` is needed";
        s.fault("keys", message);
    }
    s.finish();
    config
}

fn client(mut s: Section<'_>) -> Option<ClientConfig> {
    let subject = s.text("subject");
    let subject = s.required("subject", subject);
    let prefer = s.parsed("prefer", asynchrony);
    let prefer = s.required("prefer", prefer);
    s.finish();
    Some(ClientConfig {
        subject: subject?,
        prefer: prefer?,
    })
}

fn key(mut s: Section<'_>) -> Option<Key> {
    let kind = s.text("kind");
    let kind = s.required("kind", kind);
    let config = match kind.as_deref() {
        Some("hs256") => {
            let secret = s.secret("secret", "secret_file");
            let secret = s.required("secret", secret);
            secret.and_then(|secret| usable(&mut s, "secret", Key::hs256(&secret)))
        }
        Some("pem") => pem_key(&mut s),
        // Which keys belong to another kind is not known, so none of them is called unknown.
        Some(fetched @ ("jwks" | "oidc")) => {
            let message = format!("`{fetched}` is no kind of key; fetched keys have an `[[auth.issuers]]`");
            s.fault("kind", &message);
            return None;
        }
        Some(other) => {
            s.fault("kind", &format!("`{other}` is not one of hs256, pem"));
            return None;
        }
        None => return None,
    };
    s.finish();
    config
}

/// The key, or the fault of the setting that gives it.
fn usable(s: &mut Section<'_>, name: &str, key: Result<Key, KeyError>) -> Option<Key> {
    key.map_err(|error| s.fault(name, &error.to_string())).ok()
}

fn pem_key(s: &mut Section<'_>) -> Option<Key> {
    let algorithm = s.parsed("algorithm", public_key_algorithm);
    let algorithm = s.required("algorithm", algorithm);
    let file = s.path("file");
    let file = s.required("file", file);
    let pem = file.and_then(|file| s.file_text("file", &file))?;
    usable(s, "file", Key::pem(algorithm?, &pem))
}

/// What must be unique over all issuers.
#[derive(Default)]
struct Issuers {
    any: bool,
    names: BTreeSet<String>,
}

impl Issuers {
    fn read(&mut self, mut s: Section<'_>, own: Option<&str>) -> Option<IssuerConfig> {
        self.any = true;
        let issuer = s.text("issuer");
        let issuer = s.required("issuer", issuer);
        let accept_issuers = s.list("accept_issuers", text).unwrap_or_default();
        if let Some(issuer) = &issuer {
            self.claim(&s, "issuer", issuer, own);
        }
        for (at, name) in accept_issuers.iter().enumerate() {
            self.claim(&s, &format!("accept_issuers[{at}]"), name, own);
        }
        let audience = s.list("audience", text);
        let audience = filled(&s, "audience", audience);
        let audience = s.required("audience", audience);
        let keys = key_source(&mut s, issuer.as_deref());
        let ca_pem = s
            .path("ca_file")
            .and_then(|file| certificates(&s, "ca_file", &file));
        let algorithms = s.list("algorithms", public_key_algorithm);
        let algorithms = filled(&s, "algorithms", algorithms).unwrap_or_default();
        let default = Grants::default();
        let grants = Grants {
            scope_claims: s.list("scope_claims", text).unwrap_or(default.scope_claims),
            tenant_claim: s.text("tenant_claim").unwrap_or(default.tenant_claim),
            subject_claim: s.text("subject_claim").unwrap_or(default.subject_claim),
            trust_scopes: s.boolean("trust_scopes", default.trust_scopes),
            rules: s
                .sections("rules")
                .into_iter()
                .enumerate()
                .filter_map(|(number, item)| rule(item, number))
                .collect(),
        };
        s.finish();
        Some(IssuerConfig {
            issuer: issuer?,
            accept_issuers,
            audience: audience?,
            keys: keys?,
            ca_pem,
            algorithms,
            grants,
        })
    }

    fn claim(&mut self, s: &Section<'_>, key: &str, name: &str, own: Option<&str>) {
        if own == Some(name) {
            s.fault(
                key,
                "is `auth.issuer` as well, which is about `[[auth.keys]]`; keep one",
            );
        }
        if !self.names.insert(name.to_owned()) {
            s.fault(key, &format!("`{name}` is taken already"));
        }
    }
}

fn key_source(s: &mut Section<'_>, issuer: Option<&str>) -> Option<KeySource> {
    let exclusive = s.has("jwks_url") && s.has("discovery_url");
    let asked = s.has("jwks_url") || s.has("discovery_url");
    let key_set = s.parsed("jwks_url", provider_url).map(KeySource::KeySet);
    let discovery = s.parsed("discovery_url", provider_url).map(KeySource::Discovery);
    if exclusive {
        s.fault("jwks_url", "makes `discovery_url` useless; keep one");
    }
    if asked {
        return key_set.or(discovery);
    }
    let issuer = issuer?;
    let below = format!("{}{DISCOVERY}", issuer.strip_suffix('/').unwrap_or(issuer));
    let refused = |why: String| {
        s.fault(
            "issuer",
            &format!("{why}, unless discovery_url or jwks_url is set"),
        )
    };
    provider_url(&below)
        .map(KeySource::Discovery)
        .map_err(refused)
        .ok()
}

fn rule(mut s: Section<'_>, number: usize) -> Option<Rule> {
    let name = s.text("name").unwrap_or_else(|| number.to_string());
    let when = s.lists("when");
    let when = s.required("when", when);
    if when.as_ref().is_some_and(Vec::is_empty) && !s.is_faulty("when") {
        s.fault(
            "when",
            "names no claim, so that the rule would be about every token; name one",
        );
    }
    let granted = s.parsed("scopes", scopes);
    let given = s.has("tenants");
    let tenants = s.list("tenants", text);
    let tenants = filled(&s, "tenants", tenants);
    let claim = s.text("tenants_from");
    let tenants = match (tenants, claim) {
        (_, Some(_)) if given => {
            s.fault("tenants", "contradicts `tenants_from`; keep one");
            RuleTenants::OfToken
        }
        (_, Some(claim)) => RuleTenants::Claim(claim),
        (Some(tenants), None) => RuleTenants::These(tenants.into_iter().collect()),
        (None, None) => RuleTenants::OfToken,
    };
    let gives_nothing =
        granted.as_ref().is_none_or(BTreeSet::is_empty) && matches!(tenants, RuleTenants::OfToken);
    if gives_nothing
        && !["scopes", "tenants", "tenants_from"]
            .iter()
            .any(|key| s.is_faulty(key))
    {
        s.fault("scopes", "gives nothing; name scopes, tenants or tenants_from");
    }
    s.finish();
    Some(Rule {
        name,
        when: when?,
        scopes: granted.unwrap_or_default(),
        tenants,
    })
}

/// The list, unless it is there and empty, which is a fault.
fn filled<T>(s: &Section<'_>, key: &'static str, list: Option<Vec<T>>) -> Option<Vec<T>> {
    if list.as_ref().is_some_and(Vec::is_empty) && !s.is_faulty(key) {
        s.fault(key, "is empty");
    }
    list
}

fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.to_owned())
}
