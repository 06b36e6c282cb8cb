//! Bots: one message per failover that is kept up to date, in Slack and Mattermost by a token, in Discord by its webhook.
//!
//! A failover's first event posts the message; later ones edit it, at most every 5 seconds, and one that a newer event has
//! overtaken edits nothing. A machine that failed is a reply in its thread, and so is the end, since an edit notifies
//! nobody. Where the message is, and what was replied, is stored per endpoint and failover; a message that is gone is posted
//! anew. Each service is one [`Service`]: how its requests look, and what its answers mean. Tests: `tests/it/delivery/bots.rs`.

mod discord;
mod mattermost;
mod slack;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Answer;
use super::client::{BODY_LIMIT, Manner};
use super::deliver::{self, Outcome, Sender};
use super::formats::verdict::Verdict;
use super::formats::{self, Rendered, Row, bot_message};
use crate::domain::event::EventType;
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::webhook::Format;
use crate::domain::webhook::rules::elapsed;
use crate::domain::webhook::target::TargetUrl;
use crate::store::webhooks::claims::Claimed;
use crate::store::with_timeout;

/// How often a message is edited at most: services count edits like messages.
const EDIT_EVERY: Duration = Duration::from_secs(5);
/// How often a wait for that looks whether a newer event has come.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How much of an answer is read: the id may stand behind the message itself.
const ANSWER_LIMIT: usize = 64 * 1024;
/// How many replies are remembered, so that a retry repeats none.
const REPLIES: usize = 50;

/// Why nothing is sent of a machine that succeeded.
const SUCCEEDED: &str = "nothing was sent: the failover's message counts machines that succeeded, and only failed ones have a reply";
/// Why nothing is sent by a retry whose reply arrived.
const REPLIED: &str = "nothing was sent: an earlier attempt has made this reply";

/// Why nothing is sent of an event that a newer one has overtaken.
fn merged_into(newer: DeliveryId) -> String {
    format!(
        "nothing was sent: merged into {newer}, whose newer event brings the failover's message up to date"
    )
}

/// A message as the service names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Posted {
    id: String,
    /// The channel that the service put it into, where editing needs that.
    #[serde(default)]
    channel: Option<String>,
}

/// What is stored of a failover's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    #[serde(flatten)]
    posted: Posted,
    /// When it was posted or edited last, in microseconds since 1970.
    edited_at: i64,
    /// The events that were replied.
    #[serde(default)]
    replied: Vec<String>,
}

/// What is asked of a service.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    /// A new message.
    Post,
    /// Another text for a message.
    Edit(&'a Posted),
    /// An answer in the thread of a message; one that is `loud` is shown to everybody in the channel.
    Reply { to: &'a Posted, loud: bool },
}

/// A request to a service.
struct Call {
    method: Method,
    target: TargetUrl,
    body: Value,
}

/// What an answer means.
enum Reading {
    /// Done; the message, where the answer names it.
    Done(Option<Posted>),
    /// There is no such message any more, or it cannot be edited.
    Gone,
    /// Not done, or not certainly.
    Not(Verdict),
}

/// How a service is spoken to.
struct Service {
    /// The request for a step; `drawn` is the message as the format draws it, `channel` the bot's.
    call: fn(target: &TargetUrl, channel: &str, drawn: Value, step: Step<'_>) -> Option<Call>,
    /// What an answer means.
    read: fn(answer: &Answer, step: Step<'_>, now: Timestamp) -> Reading,
}

fn service(delivery: &Claimed) -> Option<&'static Service> {
    let options = &delivery.to.options;
    match delivery.to.format {
        Format::Slack if options.bot.is_some() => Some(&slack::SERVICE),
        Format::Mattermost if options.bot.is_some() => Some(&mattermost::SERVICE),
        // A template has no failover's message, and an event without a failover nothing to edit.
        Format::Discord if delivery.to.keeps_one_message() => Some(&discord::SERVICE),
        _ => None,
    }
}

/// Makes an attempt as a bot does; none where the endpoint has no bot.
pub(super) async fn attempt(sender: &Sender, delivery: &Claimed) -> Option<Outcome> {
    let service = service(delivery)?;
    let row = formats::of(delivery.to.format)?;
    let id = delivery.event.to_string();
    let outgoing = deliver::outgoing(sender, delivery, &id);
    let Some(message) = bot_message(row, &outgoing) else {
        return Some(Outcome::crashed());
    };
    if message.session.is_none() && delivery.to.options.bot.is_none() {
        return None;
    }
    let attempt = Attempt {
        sender,
        row,
        service,
        delivery,
        event: id.clone(),
        drawn: message.body,
        took: Duration::ZERO,
    };
    // The lane of an endpoint is its id.
    let endpoint = delivery.lane.parse::<EndpointId>().ok();
    let to = endpoint.zip(message.session);
    Some(match to {
        Some((endpoint, failover)) => attempt.about_failover(endpoint, &failover, message.is_bad).await,
        None => attempt.post().await,
    })
}

struct Attempt<'a> {
    sender: &'a Sender,
    row: &'static Row,
    service: &'static Service,
    delivery: &'a Claimed,
    event: String,
    drawn: Value,
    took: Duration,
}

/// A step's end: done, with what the service called the message, or the attempt's outcome.
type Ended = Result<(Outcome, Option<Posted>), Outcome>;

impl Attempt<'_> {
    /// A message of its own.
    async fn post(mut self) -> Outcome {
        match self.step(Step::Post).await {
            Ok(Some((outcome, _))) => outcome,
            Ok(None) => Outcome::crashed(),
            Err(outcome) => outcome,
        }
    }

    async fn about_failover(mut self, endpoint: EndpointId, failover: &str, is_bad: bool) -> Outcome {
        let memory = match self.recall(endpoint, failover).await {
            Ok(memory) => memory,
            Err(outcome) => return outcome,
        };
        let ended = match (self.delivery.kind, memory) {
            (EventType::MachineFinished, _) if !is_bad => return Outcome::done_without_request(SUCCEEDED),
            (EventType::MachineFinished, None) => self.post_new(endpoint, failover, Vec::new(), false).await,
            (EventType::MachineFinished, Some(memory)) => self.reply(endpoint, failover, memory, false).await,
            (_, None) => self.post_new(endpoint, failover, Vec::new(), true).await,
            (kind, Some(memory)) => {
                let ends = matches!(kind, EventType::SessionFinished | EventType::SessionLost);
                match self.turn_to_edit(&memory, ends).await {
                    Ok(None) => self.edit(endpoint, failover, memory, ends).await,
                    Ok(Some(newer)) => return Outcome::done_without_request(merged_into(newer)),
                    Err(outcome) => return outcome,
                }
            }
        };
        match ended {
            Ok((outcome, _)) | Err(outcome) => outcome,
        }
    }

    /// Waits until the message may be edited again, or returns the delivery of a newer event that will edit it instead.
    async fn turn_to_edit(&self, memory: &Memory, ends: bool) -> Result<Option<DeliveryId>, Outcome> {
        let store = &self.sender.store;
        let edited_at = Timestamp::from_microsecond(memory.edited_at).unwrap_or_default();
        let looks = EDIT_EVERY.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..=looks {
            if !ends {
                match with_timeout(store.overtaken_by(self.delivery.id)).await {
                    Ok(Some(newer)) => return Ok(Some(newer)),
                    Ok(None) => {}
                    Err(error) => return Err(self.store_failed(&error)),
                }
            }
            let now = self.sender.clock.now();
            // A clock that was set back does not put the edit off.
            if now < edited_at || elapsed(now, edited_at) >= EDIT_EVERY {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }

    async fn post_new(
        &mut self,
        endpoint: EndpointId,
        failover: &str,
        replied: Vec<String>,
        is_the_message: bool,
    ) -> Ended {
        let (outcome, posted) = self.step(Step::Post).await?.ok_or_else(Outcome::crashed)?;
        if let (Some(posted), true) = (&posted, is_the_message) {
            let memory = Memory {
                posted: posted.clone(),
                edited_at: self.sender.clock.now().as_microsecond(),
                replied,
            };
            self.remember(endpoint, failover, &memory).await;
        }
        Ok((outcome, posted))
    }

    async fn edit(&mut self, endpoint: EndpointId, failover: &str, mut memory: Memory, ends: bool) -> Ended {
        let Some((outcome, _)) = self.step(Step::Edit(&memory.posted)).await? else {
            // A new message notifies by itself.
            let mut replied = memory.replied;
            replied.push(self.event.clone());
            return self.post_new(endpoint, failover, replied, true).await;
        };
        memory.edited_at = self.sender.clock.now().as_microsecond();
        self.remember(endpoint, failover, &memory).await;
        if ends {
            return self.reply(endpoint, failover, memory, true).await;
        }
        Ok((outcome, None))
    }

    /// Replies once per event; where the message is gone, the reply is one of its own.
    async fn reply(&mut self, endpoint: EndpointId, failover: &str, mut memory: Memory, loud: bool) -> Ended {
        if memory.replied.contains(&self.event) {
            return Ok((Outcome::done_without_request(REPLIED), None));
        }
        let step = Step::Reply {
            to: &memory.posted,
            loud,
        };
        let outcome = match self.step(step).await? {
            Some((outcome, _)) => outcome,
            None => self.step(Step::Post).await?.ok_or_else(Outcome::crashed)?.0,
        };
        memory.replied.push(self.event.clone());
        let surplus = memory.replied.len().saturating_sub(REPLIES);
        memory.replied.drain(..surplus);
        self.remember(endpoint, failover, &memory).await;
        Ok((outcome, None))
    }

    /// One request. None when the message that it is about is gone.
    async fn step(&mut self, step: Step<'_>) -> Result<Option<(Outcome, Option<Posted>)>, Outcome> {
        let (delivery, clock) = (self.delivery, &self.sender.clock);
        let bot = delivery.to.options.bot.as_ref();
        let channel = bot.map_or("", |bot| bot.channel.as_str());
        let call = (self.service.call)(&delivery.to.target, channel, self.drawn.clone(), step);
        let Some(Call { method, target, body }) = call else {
            return Err(Outcome::crashed());
        };
        let rendered = Rendered {
            content_type: "application/json; charset=utf-8".to_owned(),
            body: body.to_string(),
            warning: None,
        };
        let Some(mut headers) = deliver::headers(self.row, delivery, &rendered, clock.now()) else {
            return Err(Outcome::crashed());
        };
        if let Some(bot) = bot {
            let bearer = format!("Bearer {}", bot.token.expose_secret());
            let Ok(mut value) = HeaderValue::try_from(bearer) else {
                return Err(Outcome::crashed());
            };
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let body = Bytes::from(rendered.body);
        let manner = Manner {
            method,
            read_limit: ANSWER_LIMIT,
            connection: &delivery.to.connection,
        };
        let report = self.sender.client.send(manner, &target, headers, body).await;
        self.took = self.took.saturating_add(report.duration);
        let now = clock.now();
        let reading = report
            .result
            .as_ref()
            .ok()
            .map(|answer| (self.service.read)(answer, step, now));
        let verdict = match &reading {
            Some(Reading::Not(verdict)) => *verdict,
            Some(Reading::Done(_) | Reading::Gone) | None => Verdict::Accepted,
        };
        let mut outcome = deliver::judge(delivery, |_| verdict, &report, now);
        outcome.end.duration = Some(self.took);
        if let Some(text) = &mut outcome.end.response {
            let end = text.floor_char_boundary(BODY_LIMIT);
            text.truncate(end);
        }
        deliver::log(delivery, &report, &outcome);
        match reading {
            Some(Reading::Done(posted)) => Ok(Some((outcome, posted))),
            Some(Reading::Gone) => Ok(None),
            Some(Reading::Not(_)) | None => Err(outcome),
        }
    }

    async fn recall(&self, endpoint: EndpointId, failover: &str) -> Result<Option<Memory>, Outcome> {
        let stored = with_timeout(self.sender.store.bot_message(endpoint, failover)).await;
        match stored {
            Ok(text) => Ok(text.and_then(|text| serde_json::from_str(&text).ok())),
            Err(error) => Err(self.store_failed(&error)),
        }
    }

    /// What cannot be remembered is posted anew: a message too many, never one too few.
    async fn remember(&self, endpoint: EndpointId, failover: &str, memory: &Memory) {
        let Ok(text) = serde_json::to_string(memory) else {
            return;
        };
        let stored = with_timeout(self.sender.store.save_bot_message(endpoint, failover, &text)).await;
        if let Err(error) = stored {
            tracing::warn!(delivery = %self.delivery.id, %error, "a bot's message could not be remembered");
        }
    }

    fn store_failed(&self, error: &crate::store::Error) -> Outcome {
        tracing::warn!(delivery = %self.delivery.id, %error, "a bot's message could not be looked up");
        Outcome::interrupted()
    }
}

/// The address of `path` below a service's base address, whose own last segments in `ends` are replaced.
fn below(base: &TargetUrl, ends: &[&str], path: &str) -> Option<TargetUrl> {
    let mut url = base.url().clone();
    let mut start = url.path().trim_end_matches('/').to_owned();
    for end in ends {
        if let Some(rest) = start.strip_suffix(end) {
            start = rest.trim_end_matches('/').to_owned();
        }
    }
    url.set_path(&format!("{start}{path}"));
    TargetUrl::stored(url.as_str())
}

/// A member of an answer that is a text.
fn member(answer: &Answer, name: &str) -> Option<String> {
    let body: Value = serde_json::from_str(answer.text.as_deref()?).ok()?;
    let value = body.get(name)?;
    value.as_str().map(ToOwned::to_owned)
}

/// Adds members to a drawn message.
fn with(mut drawn: Value, members: &[(&str, Value)]) -> Value {
    if let Some(object) = drawn.as_object_mut() {
        for (name, value) in members {
            object.insert((*name).to_owned(), value.clone());
        }
    }
    drawn
}

/// What an answer means whose status says it all.
fn by_status(answer: &Answer, now: Timestamp) -> Verdict {
    formats::verdict::by_status(answer, now)
}
