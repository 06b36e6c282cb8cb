//! What has to be given anew with a change. Credentials are never shown, so whoever may change an endpoint may not learn them
//! by having them sent to another address or through another proxy, or by a format under which the address itself is shown.

use secrecy::ExposeSecret as _;

use crate::domain::field_error::FieldError;
use crate::domain::webhook::endpoint::Settings;
use crate::domain::webhook::target::{MASK, TargetUrl};
use crate::text::json_pointer;

/// An endpoint before or after a change.
pub(super) struct Endpoint<'a> {
    pub settings: &'a Settings,
    pub target: &'a TargetUrl,
}

/// Refuses to keep what may not be kept. `address_given` says that the change names the address itself.
pub(super) fn check(
    before: &Endpoint<'_>,
    after: &Endpoint<'_>,
    address_given: bool,
    faults: &mut Vec<FieldError>,
) {
    let (was, now) = (before.settings, after.settings);
    if !address_given && was.format.url_is_credential() && !now.format.url_is_credential() {
        let detail =
            "the address is a credential of the format before; give it anew, complete, with the new format";
        faults.push(FieldError::new("/url", detail));
    }
    let proxy = &now.connection.proxy;
    let has_new_proxy = proxy.is_some() && *proxy != was.connection.proxy;
    if before.target.origin() == after.target.origin() && !has_new_proxy {
        return;
    }
    // A proxy reads plain HTTP, and with an authority of its own TLS as well.
    let is_credential = after.target.shown(now.format).contains(MASK);
    if has_new_proxy && !address_given && is_credential {
        let detail =
            "is a credential and was given for another way; give it anew, complete, with the new proxy";
        faults.push(FieldError::new("/url", detail));
    }
    let detail = "was given for another address or proxy and is never shown; give it anew, or remove it, with the change";
    let credentials = now.headers.shown().filter(|(_, shown)| *shown == MASK);
    for (name, _) in credentials {
        if was.headers.get(name) == now.headers.get(name) {
            faults.push(FieldError::new(json_pointer("/headers", name), detail));
        }
    }
    let token = |settings: &Settings| {
        let bot = settings.options.bot.as_ref();
        bot.map(|bot| bot.token.expose_secret().to_owned())
    };
    if token(now).is_some() && token(was) == token(now) {
        faults.push(FieldError::new("/bot/token", detail));
    }
    let key = now.options.routing_key();
    if key.is_some() && key == was.options.routing_key() {
        faults.push(FieldError::new("/routingKey", detail));
    }
}
