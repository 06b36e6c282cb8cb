//! What receivers will see, shown before anything is sent: previews, and templates rendered with the example of each event
//! type before they are accepted. Both are made by what makes the real bodies.

use super::{Webhooks, readable};
use crate::api_types::webhooks::{WebhookPreview, WebhookPreviewInput};
use crate::app::{Error, FieldError, OpContext};
use crate::domain::event::EventType;
use crate::domain::id::EndpointId;
use crate::domain::links::Links;
use crate::domain::webhook::endpoint::{self, Settings, SigningSecret};
use crate::domain::webhook::options;
use crate::webhooks::formats;

/// What messages are rendered from where no event is at hand.
#[derive(Debug, Clone)]
pub struct Messages {
    /// Where links begin.
    pub links: Links,
    /// The id and the body of an example of an event type.
    pub example: fn(EventType) -> Option<(String, String)>,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            links: Links::default(),
            example: |_| None,
        }
    }
}

/// The value of `webhook-signature` of an example that was sent at `at`, in seconds since 1970; none for a secret that
/// is none.
#[must_use]
pub fn example_signature(secret: &str, id: &str, at: i64, body: &str) -> Option<String> {
    let secret = SigningSecret::parse(secret).ok()?;
    formats::standard::signature(&secret, id, at, body.as_bytes())
}

impl Webhooks {
    /// Renders a template with the example of every event type that the endpoint receives. One that was refused already, as no
    /// template or beside what it was given with, is not: a cause is told once.
    pub(super) fn check_template(&self, settings: &Settings, faults: &mut Vec<FieldError>) {
        let is_refused = faults.iter().any(|fault| fault.pointer == "/template");
        if settings.options.template.is_none() || is_refused {
            return;
        }
        for kind in settings.effective_types() {
            let Some((id, body)) = (self.messages.example)(kind) else {
                continue;
            };
            let example = (id.as_str(), kind, body.as_str());
            let shown = formats::preview(settings.format, &settings.options, &self.messages.links, example);
            if let Err(detail) = shown {
                let detail = format!("{detail} (with the example of {})", kind.as_str());
                faults.push(FieldError::new("/template", detail));
                return;
            }
        }
    }

    /// The data that a test shows the template of an endpoint: those of an example of an event that it takes, of a failover's end
    /// where it takes that. Nothing without a template.
    pub(super) fn example_for(&self, settings: &Settings) -> serde_json::Map<String, serde_json::Value> {
        let types = settings.effective_types();
        let ended = types.iter().find(|kind| **kind == EventType::SessionFinished);
        let shown = ended
            .or(types.first())
            .filter(|_| settings.options.template.is_some());
        let body = shown.and_then(|kind| (self.messages.example)(*kind));
        let read = |(_, body): (String, String)| serde_json::from_str::<serde_json::Value>(&body).ok();
        match body.and_then(read).as_mut().and_then(|body| body.get_mut("data")) {
            Some(serde_json::Value::Object(data)) => std::mem::take(data),
            _ => serde_json::Map::new(),
        }
    }

    /// What would be sent to an endpoint; nothing is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] with every fault, [`Error::Store`].
    pub async fn preview(
        &self,
        context: &OpContext,
        id: EndpointId,
        wanted: WebhookPreviewInput,
    ) -> Result<WebhookPreview, Error> {
        let settings = readable(self.get(context, id).await?)?.0.settings;
        let mut faults = Vec::new();
        let kind = match wanted.event_type {
            None => EventType::SessionFinished,
            Some(word) => EventType::parse(&word).unwrap_or_else(|| {
                let detail = "this event type is unknown; GET /event-types lists them";
                faults.push(FieldError::new("/eventType", detail));
                EventType::SessionFinished
            }),
        };
        let format = wanted.format.map_or(settings.format, |word| {
            endpoint::format(&word, formats::supported(), "/format", &mut faults)
        });
        let mut taken = settings.options;
        if let Some(template) = wanted.template {
            taken.template = template.map(|text| options::template(&text, "/template", &mut faults));
        }
        match wanted.content_type {
            Some(text) => {
                taken.content_type =
                    text.map(|text| options::content_type(&text, "/contentType", &mut faults));
            }
            // The endpoint's belongs to its template.
            None if taken.template.is_none() => taken.content_type = None,
            None => {}
        }
        if format != settings.format {
            taken.keep_those_of(format);
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let missing = Error::Internal("an event type without an example");
        let (event, body) = (self.messages.example)(kind).ok_or(missing)?;
        let shown = formats::preview(format, &taken, &self.messages.links, (&event, kind, &body));
        match shown {
            Ok(Some(rendered)) => Ok(WebhookPreview {
                content_type: rendered.content_type,
                body: rendered.body,
            }),
            Ok(None) => Err(Error::Internal("a preview could not be rendered")),
            Err(detail) => Err(Error::invalid("/template", detail)),
        }
    }
}
