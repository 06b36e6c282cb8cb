//! What formats keep: their options, the bodies that a first attempt drew, warnings, and the messages of bots.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::super::row::{Columns as _, json, micros};
use super::super::seal::Sealer;
use super::super::text::kept;
use super::super::{Error, Store};
use super::{opened, purpose};
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::webhook::options::{Bot, FormatOptions};

/// The form in which options are kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredOptions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bot: Option<StoredBot>,
}

#[derive(Serialize, Deserialize)]
struct StoredBot {
    token: String,
    channel: String,
}

/// Options as they are stored: sealed, or nothing when there are none.
pub(super) fn sealed_options(sealer: &Sealer, options: &FormatOptions) -> Result<Option<String>, Error> {
    if options.is_empty() {
        return Ok(None);
    }
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    let stored = StoredOptions {
        template: options.template.clone(),
        content_type: options.content_type.clone(),
        routing_key: options.routing_key.as_ref().map(text),
        bot: options.bot.as_ref().map(|bot| StoredBot {
            token: text(&bot.token),
            channel: bot.channel.clone(),
        }),
    };
    let document = SecretString::from(json(&stored, "webhook_endpoints.format_options")?);
    sealer.seal(purpose::FORMAT_OPTIONS, &document).map(Some)
}

/// The options of a row.
pub(super) fn options_from(row: &AnyRow, sealer: &Sealer) -> Result<FormatOptions, Error> {
    let Some(sealed) = row.opt_text("format_options")? else {
        return Ok(FormatOptions::default());
    };
    let text = opened(sealer, purpose::FORMAT_OPTIONS, &sealed)?;
    let stored: StoredOptions = serde_json::from_str(&text).map_err(|_| Error::Corrupt {
        what: "webhook_endpoints.format_options",
    })?;
    Ok(FormatOptions {
        template: stored.template,
        content_type: stored.content_type,
        routing_key: stored.routing_key.map(SecretString::from),
        bot: stored.bot.map(|bot| Bot {
            token: SecretString::from(bot.token),
            channel: bot.channel,
        }),
    })
}

impl Store {
    /// Content type and body that an earlier attempt of a delivery sent, if they were kept.
    ///
    /// # Errors
    /// [`Error::Database`], and those of what is sealed.
    pub async fn kept_body(&self, delivery: DeliveryId) -> Result<Option<(String, String)>, Error> {
        let rows = sqlx::query("select content_type, body from webhook_bodies where delivery_id = $1")
            .bind(delivery.to_string())
            .fetch_all(self.reader())
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let body = opened(self.sealer(), purpose::BODY, &row.text("body")?)?;
        Ok(Some((row.text("content_type")?, body)))
    }

    /// Keeps what the first attempt of a delivery sends; what is kept already stays.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn keep_body(&self, delivery: DeliveryId, content_type: &str, body: &str) -> Result<(), Error> {
        let sealed = self.sealer().seal(purpose::BODY, &SecretString::from(body))?;
        let mut tx = self.begin().await?;
        sqlx::query(
            "insert into webhook_bodies (delivery_id, content_type, body) \
             select id, $2, $3 from webhook_deliveries where id = $1 on conflict (delivery_id) do nothing",
        )
        .bind(delivery.to_string())
        .bind(kept(content_type))
        .bind(sealed)
        .execute(tx.connection())
        .await?;
        tx.commit().await
    }

    /// What is remembered of a bot's message about a failover.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn bot_message(&self, endpoint: EndpointId, failover: &str) -> Result<Option<String>, Error> {
        let rows = sqlx::query("select state from webhook_messages where endpoint_id = $1 and failover = $2")
            .bind(endpoint.to_string())
            .bind(kept(failover))
            .fetch_all(self.reader())
            .await?;
        rows.first().map(|row| row.text("state")).transpose()
    }

    /// Remembers a bot's message about a failover. An endpoint that was deleted meanwhile has none.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_bot_message(
        &self,
        endpoint: EndpointId,
        failover: &str,
        state: &str,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let now = micros(tx.clock().now());
        sqlx::query(
            "insert into webhook_messages (endpoint_id, failover, state, updated_at) \
             select id, $2, $3, $4 from webhook_endpoints where id = $1 \
             on conflict (endpoint_id, failover) do update set state = $3, updated_at = $4",
        )
        .bind(endpoint.to_string())
        .bind(kept(failover))
        .bind(kept(state))
        .bind(now)
        .execute(tx.connection())
        .await?;
        tx.commit().await
    }

    /// The delivery of the newest event of the same failover that waits for the same endpoint behind this delivery.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn overtaken_by(&self, delivery: DeliveryId) -> Result<Option<DeliveryId>, Error> {
        let rows = sqlx::query(
            "select n.id from webhook_deliveries d join webhook_deliveries n \
             on n.lane = d.lane and n.order_key = d.order_key and n.place > d.place \
             where d.id = $1 and n.state in ('pending', 'held') order by n.place desc limit 1",
        )
        .bind(delivery.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.first().map(|row| row.parsed("id")).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::webhook::Owner;
    use crate::domain::webhook::endpoint::{Settings, SigningSecret};
    use crate::domain::webhook::target::TargetUrl;
    use crate::store::testing::temporary;

    #[tokio::test]
    async fn a_bots_message_is_remembered_and_replaced_per_endpoint_and_failover() {
        let store = temporary().await;
        let id = EndpointId::new(SystemClock.id());
        store
            .save_bot_message(id, "s1", "{}")
            .await
            .expect("nothing to do");
        assert_eq!(
            store.bot_message(id, "s1").await.expect("read"),
            None,
            "no such endpoint"
        );
        let mut tx = store.begin().await.expect("begun");
        let target = TargetUrl::parse("https://slack.com/api/", false).expect("a URL");
        let secret = SigningSecret::from_key(&[1; 32]);
        let settings = Settings {
            options: FormatOptions {
                template: Some("{{ event.id }}".to_owned()),
                bot: Some(Bot {
                    token: SecretString::from("xoxb-1"),
                    channel: "C1".to_owned(),
                }),
                ..FormatOptions::default()
            },
            ..Settings::default()
        };
        tx.insert_endpoint(id, &Owner::default(), &target, &secret, &settings)
            .await
            .expect("inserted");
        let read = tx.endpoint(id, &crate::domain::access::Tenancy::All).await;
        assert_eq!(
            read.expect("read").expect("there").settings.options,
            settings.options
        );
        tx.commit().await.expect("committed");
        for state in ["{\"id\":\"1\"}", "{\"id\":\"2\"}"] {
            store.save_bot_message(id, "s1", state).await.expect("saved");
            assert_eq!(
                store.bot_message(id, "s1").await.expect("read").as_deref(),
                Some(state)
            );
        }
        assert_eq!(store.bot_message(id, "s2").await.expect("read"), None);
        let nobodys = DeliveryId::new(SystemClock.id());
        store
            .keep_body(nobodys, "text/plain", "x")
            .await
            .expect("nothing to do");
        assert_eq!(store.kept_body(nobodys).await.expect("read"), None);
        assert_eq!(store.overtaken_by(nobodys).await.expect("read"), None);
    }
}
