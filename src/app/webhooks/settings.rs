//! The settings of an endpoint: a JSON Merge Patch (RFC 7396) applied to them, every fault with its pointer.

use std::collections::{BTreeMap, BTreeSet};

use super::connection::{self, is_masked, is_masked_proxy};
use crate::api_types::webhooks::{
    WebhookBotInput, WebhookEndpointCreate, WebhookEndpointPatch, WebhookFilterInput, WebhookFilterPatch,
};
use crate::domain::access::Tenancy;
use crate::domain::field_error::FieldError;
use crate::domain::webhook::connection::rate;
use crate::domain::webhook::endpoint::{self, CONCURRENCY_DEFAULT, HEADERS_LIMIT, Settings, SigningSecret};
use crate::domain::webhook::options::{self, Bot};
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
        template: Some(wanted.template),
        content_type: Some(wanted.content_type),
        routing_key: Some(wanted.routing_key),
        bot: Some(wanted.bot),
        enabled: Some(wanted.enabled),
        headers: Some(wanted.headers.map(headers)),
        max_concurrency: Some(wanted.max_concurrency),
        signatures: Some(wanted.signatures),
        body_signature: Some(wanted.body_signature),
        timeout: Some(wanted.timeout),
        rate: Some(wanted.rate),
        ca_certificate: Some(wanted.ca_certificate),
        client_certificate: Some(wanted.client_certificate),
        proxy: Some(wanted.proxy),
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
    // What a masked value stands for is there to be kept.
    let masked = |given: Option<&String>| given.is_some_and(|given| given == MASK);
    let given = |member: &Option<Option<String>>| member.clone().flatten();
    if masked(given(&patch.routing_key).as_ref()) {
        settings
            .options
            .routing_key
            .clone_from(&before.options.routing_key);
        settings.format = before.format;
    }
    if masked(patch.bot.iter().flatten().find_map(|bot| bot.token.as_ref())) {
        settings.options.bot.clone_from(&before.options.bot);
        settings.format = before.format;
    }
    let client = patch.client_certificate.iter().flatten();
    if masked(client.into_iter().find_map(|client| client.private_key.as_ref())) {
        settings.connection.client.clone_from(&before.connection.client);
    }
    let proxy = patch.proxy.iter().flatten();
    if proxy
        .into_iter()
        .any(|text| is_masked_proxy(text, &before.connection))
    {
        settings.connection.proxy.clone_from(&before.connection.proxy);
    }
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

/// What is said of a mask that stands for nothing.
const NOTHING_KEPT: &str = "stands for a value that is not shown, and there is none";

/// Applies a patch by RFC 7396: an absent member stays, null resets it to its default.
pub(super) fn apply(mut patch: WebhookEndpointPatch, settings: &mut Settings, faults: &mut Vec<FieldError>) {
    connection::apply(&mut patch, &mut settings.connection, faults);
    if let Some(number) = patch.rate {
        settings.rate = number.map(|number| rate(number, "/rate", faults));
    }
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
        let was = settings.format;
        settings.format = word.map_or(Format::Standard, |word| {
            endpoint::format(&word, formats::supported(), "/format", faults)
        });
        if settings.format != was {
            settings.options.keep_those_of(settings.format);
        }
    }
    let taken = &mut settings.options;
    if let Some(text) = patch.template {
        taken.template = text.map(|text| options::template(&text, "/template", faults));
    }
    if let Some(text) = patch.content_type {
        taken.content_type = text.map(|text| options::content_type(&text, "/contentType", faults));
    }
    match patch.routing_key {
        // The masked value of a read, sent back: the stored value stays.
        Some(Some(key)) if is_masked(&key, taken.routing_key.is_some()) => {}
        Some(Some(key)) if key == MASK => {
            // Instead of what the format says of a key that is missing.
            taken.routing_key = Some(key.into());
            faults.push(FieldError::new("/routingKey", NOTHING_KEPT));
        }
        Some(key) => {
            taken.routing_key = key.map(|key| options::value(&key, "/routingKey", faults).into());
        }
        None => {}
    }
    match patch.bot {
        None => {}
        Some(None) => taken.bot = None,
        Some(Some(bot)) => taken.bot = Some(apply_bot(bot, settings.format, taken.bot.take(), faults)),
    }
    options::check(settings.format, &settings.options, faults);
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

/// The bot that a change leaves; of one that there is, what is absent stays.
fn apply_bot(
    wanted: WebhookBotInput,
    format: Format,
    before: Option<Bot>,
    faults: &mut Vec<FieldError>,
) -> Bot {
    let member = options::channel_member(format);
    let of_format = [("channel", wanted.channel), ("channelId", wanted.channel_id)];
    let mut channel = None;
    for (name, given) in of_format {
        let Some(given) = given else { continue };
        let pointer = format!("/bot/{name}");
        if member == Some(name) {
            channel = Some(options::value(&given, &pointer, faults));
        } else if let Some(member) = member {
            let detail = format!("the bot of this format has the member {member}");
            faults.push(FieldError::new(pointer, detail));
        }
    }
    let token = match wanted.token {
        Some(token) if is_masked(&token, before.is_some()) => None,
        Some(token) if token == MASK => {
            faults.push(FieldError::new("/bot/token", NOTHING_KEPT));
            Some(token.into())
        }
        Some(token) => Some(options::value(&token, "/bot/token", faults).into()),
        None => None,
    };
    let (old_token, old_channel) = before.map(|bot| (bot.token, bot.channel)).unzip();
    let (token, channel) = (token.or(old_token), channel.or(old_channel));
    if token.is_none() {
        faults.push(FieldError::new("/bot/token", "a bot has a token"));
    }
    if let (None, Some(member)) = (&channel, member) {
        faults.push(FieldError::new(
            format!("/bot/{member}"),
            "a bot writes to a channel",
        ));
    }
    Bot {
        token: token.unwrap_or_default(),
        channel: channel.unwrap_or_default(),
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
    let mut spellings: BTreeMap<String, &str> = BTreeMap::new();
    for name in changes.keys() {
        if let Some(other) = spellings.insert(name.to_ascii_lowercase(), name) {
            let detail = format!(
                "`{other}` and `{name}` name the same header, since letter case does not count; give one of them"
            );
            faults.push(FieldError::new(json_pointer("/headers", name), detail));
        }
    }
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
                faults.push(FieldError::new(pointer(), NOTHING_KEPT));
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
                "is not among the tenants that the endpoint's owner is confined to, by name or by id as the owner's token has them",
            ));
        }
    }
}

/// The members that a change changed, by name; their values may be secrets.
pub(super) fn changed(before: &Settings, after: &Settings, url: bool) -> Vec<String> {
    let (was, is) = (&before.connection, &after.connection);
    let members = [
        ("url", url),
        ("description", before.description != after.description),
        ("eventTypes", before.event_types != after.event_types),
        ("filter", before.filter != after.filter),
        ("format", before.format != after.format),
        ("template", before.options.template != after.options.template),
        (
            "contentType",
            before.options.content_type != after.options.content_type,
        ),
        (
            "routingKey",
            before.options.routing_key() != after.options.routing_key(),
        ),
        ("bot", before.options.bot != after.options.bot),
        ("enabled", before.enabled != after.enabled),
        ("headers", before.headers != after.headers),
        ("maxConcurrency", before.max_concurrency != after.max_concurrency),
        ("signatures", before.signs_v1a != after.signs_v1a),
        ("bodySignature", before.body_signature != after.body_signature),
        ("timeout", was.timeout != is.timeout),
        ("rate", before.rate != after.rate),
        ("caCertificate", was.authorities != is.authorities),
        ("clientCertificate", was.client != is.client),
        ("proxy", was.proxy != is.proxy),
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
