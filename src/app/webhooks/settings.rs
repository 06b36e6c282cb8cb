//! The settings of an endpoint: a JSON Merge Patch (RFC 7396) applied to them, every fault with its pointer.

use std::collections::{BTreeMap, BTreeSet};

use crate::api_types::webhooks::{
    WebhookEndpointCreate, WebhookEndpointPatch, WebhookFilterInput, WebhookFilterPatch,
};
use crate::domain::access::Tenancy;
use crate::domain::field_error::FieldError;
use crate::domain::webhook::endpoint::{self, CONCURRENCY_DEFAULT, HEADERS_LIMIT, Settings, SigningSecret};
use crate::domain::webhook::target::{MASK, TargetUrl};
use crate::domain::webhook::{Filter, Format};
use crate::text::json_pointer;
use crate::webhooks::formats;

/// The secret that a caller gives, in one of its two spellings.
pub(super) fn given_secret(
    secret: Option<&str>,
    text: Option<&str>,
    faults: &mut Vec<FieldError>,
) -> Option<SigningSecret> {
    let (read, pointer) = match (secret, text) {
        (Some(_), Some(_)) => {
            let detail = "give secret or secretText, not both";
            faults.push(FieldError::new("/secretText", detail));
            return None;
        }
        (Some(secret), None) => (SigningSecret::parse(secret), "/secret"),
        (None, Some(text)) => (SigningSecret::from_printable(text), "/secretText"),
        (None, None) => return None,
    };
    read.map_err(|detail| faults.push(FieldError::new(pointer, detail)))
        .ok()
}

/// The settings of a new endpoint, as a patch of the default ones.
pub(super) fn patch_of(wanted: WebhookEndpointCreate) -> WebhookEndpointPatch {
    let filter = |filter: WebhookFilterInput| WebhookFilterPatch {
        plan_ids: Some(filter.plan_ids),
        tenants: Some(filter.tenants),
        results: Some(filter.results),
    };
    let headers = |headers: BTreeMap<String, String>| {
        headers
            .into_iter()
            .map(|(name, value)| (name, Some(value)))
            .collect()
    };
    WebhookEndpointPatch {
        url: None,
        description: Some(wanted.description),
        event_types: Some(wanted.event_types),
        filter: Some(wanted.filter.map(filter)),
        format: Some(wanted.format),
        enabled: Some(wanted.enabled),
        headers: Some(wanted.headers.map(headers)),
        max_concurrency: Some(wanted.max_concurrency),
        signatures: Some(wanted.signatures),
        body_signature: Some(wanted.body_signature),
    }
}

/// The settings of an endpoint that is replaced whole: those that are not given have their defaults, and a masked value
/// stands for the one that it masks.
pub(super) fn replaced(
    wanted: WebhookEndpointCreate,
    before: &Settings,
    faults: &mut Vec<FieldError>,
) -> Settings {
    let mut settings = Settings::default();
    let mut patch = patch_of(wanted);
    if let Some(Some(headers)) = &mut patch.headers {
        for (name, value) in headers.iter_mut() {
            if value.as_deref() == Some(MASK)
                && let Some(known) = before.headers.get(name)
            {
                *value = Some(known.to_owned());
            }
        }
    }
    apply(patch, &mut settings, faults);
    settings
}

/// Applies a patch by RFC 7396: an absent member stays, null resets it to its default.
pub(super) fn apply(patch: WebhookEndpointPatch, settings: &mut Settings, faults: &mut Vec<FieldError>) {
    if let Some(text) = patch.description {
        settings.description = text.map(|text| endpoint::description(&text, "/description", faults));
    }
    if let Some(words) = patch.event_types {
        settings.event_types = words.map(|words| endpoint::event_types(&words, "/eventTypes", faults));
    }
    match patch.filter {
        None => {}
        Some(None) => settings.filter = Filter::default(),
        Some(Some(filter)) => apply_filter(filter, &mut settings.filter, faults),
    }
    if let Some(word) = patch.format {
        settings.format = word.map_or(Format::Standard, |word| {
            endpoint::format(&word, formats::supported(), "/format", faults)
        });
    }
    if let Some(enabled) = patch.enabled {
        settings.enabled = enabled.unwrap_or(true);
    }
    match patch.headers {
        None => {}
        Some(None) => settings.headers = endpoint::Headers::default(),
        Some(Some(changes)) => apply_headers(changes, settings, faults),
    }
    if let Some(number) = patch.max_concurrency {
        settings.max_concurrency = number.map_or(CONCURRENCY_DEFAULT, |number| {
            endpoint::max_concurrency(number, "/maxConcurrency", faults)
        });
    }
    if let Some(words) = patch.signatures {
        settings.signs_v1a = words.is_some_and(|words| endpoint::signatures(&words, "/signatures", faults));
    }
    if let Some(word) = patch.body_signature {
        settings.body_signature =
            word.and_then(|word| endpoint::body_signature(&word, "/bodySignature", faults));
    }
}

fn apply_filter(patch: WebhookFilterPatch, filter: &mut Filter, faults: &mut Vec<FieldError>) {
    if let Some(ids) = patch.plan_ids {
        filter.plans = endpoint::plan_ids(&ids.unwrap_or_default(), "/filter/planIds", faults);
    }
    if let Some(tenants) = patch.tenants {
        filter.tenants = endpoint::tenants(&tenants.unwrap_or_default(), "/filter/tenants", faults);
    }
    if let Some(results) = patch.results {
        filter.results = endpoint::results(&results.unwrap_or_default(), "/filter/results", faults);
    }
}

fn apply_headers(
    changes: BTreeMap<String, Option<String>>,
    settings: &mut Settings,
    faults: &mut Vec<FieldError>,
) {
    for (name, value) in changes {
        let pointer = || json_pointer("/headers", &name);
        let headers = &mut settings.headers;
        match value {
            None => {
                if let Err(detail) = headers.remove(&name) {
                    faults.push(FieldError::new(pointer(), detail));
                }
            }
            // The masked value of a read, sent back: the stored value stays.
            Some(value) if value == MASK && headers.get(&name).is_some() => {}
            Some(value) if value == MASK => {
                let detail = "stands for a value that is not shown, and there is none of this name";
                faults.push(FieldError::new(pointer(), detail));
            }
            Some(value) => {
                if let Err(detail) = headers.set(&name, &value) {
                    faults.push(FieldError::new(pointer(), detail));
                }
            }
        }
    }
    if settings.headers.len() > HEADERS_LIMIT {
        faults.push(FieldError::new(
            "/headers",
            format!("at most {HEADERS_LIMIT} headers are accepted"),
        ));
    }
}

/// Keeps the filter of an endpoint within the tenants that its owner is confined to; without tenants of its own it has all
/// of these.
pub(super) fn confine(
    owner: Option<&BTreeSet<String>>,
    settings: &mut Settings,
    faults: &mut Vec<FieldError>,
) {
    let Some(own) = owner else { return };
    let wanted = &mut settings.filter.tenants;
    if wanted.is_empty() {
        wanted.extend(own.iter().cloned());
        return;
    }
    let own = Tenancy::Only(own.clone());
    for (at, tenant) in wanted.iter().enumerate() {
        if !own.includes(tenant) {
            faults.push(FieldError::new(
                format!("/filter/tenants/{at}"),
                "is not among the tenants that the endpoint's owner is confined to",
            ));
        }
    }
}

/// The members that a change changed, by name; their values may be secrets.
pub(super) fn changed(before: &Settings, after: &Settings, url: bool) -> Vec<String> {
    let members = [
        ("url", url),
        ("description", before.description != after.description),
        ("eventTypes", before.event_types != after.event_types),
        ("filter", before.filter != after.filter),
        ("format", before.format != after.format),
        ("enabled", before.enabled != after.enabled),
        ("headers", before.headers != after.headers),
        ("maxConcurrency", before.max_concurrency != after.max_concurrency),
        ("signatures", before.signs_v1a != after.signs_v1a),
        ("bodySignature", before.body_signature != after.body_signature),
    ];
    let changed = members.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name.to_owned()).collect()
}

/// User and password of a URL are sent as `Authorization`, which can then not be a custom header as well.
pub(super) fn check_credentials(
    target: Option<&TargetUrl>,
    settings: &Settings,
    faults: &mut Vec<FieldError>,
) {
    if target.is_some_and(|target| target.userinfo().is_some())
        && settings.headers.get("authorization").is_some()
    {
        let detail = "the URL has a user, which is sent as Authorization; give the one or the other";
        faults.push(FieldError::new("/headers/Authorization", detail));
    }
}
