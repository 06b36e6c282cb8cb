//! What signs: secrets of both spellings, rotation, Ed25519, and the signature of the body alone.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emgate::api_types::webhooks::{WebhookEndpoint, WebhookSecretRotation};
use emgate::domain::id::EndpointId;
use emgate::domain::webhook::{DeliveryState, Endpoint};
use emgate::webhooks::Jobs;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::bench::{Bench, Registered};
use super::peer::{OK, Peer, Received};
use crate::support::context::operator;

const HOUR: Duration = Duration::from_hours(1);

async fn delivered(bench: &Bench, peer: &Peer) -> Received {
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    let received = peer.received().into_iter();
    received.last().expect("a request")
}

async fn rotated(bench: &Bench, id: EndpointId) -> String {
    let wanted = WebhookSecretRotation::default();
    secret_of(
        &bench
            .verbs
            .rotate_secret(&operator(), id, &wanted)
            .await
            .expect("rotated"),
    )
}

fn secret_of(endpoint: &Endpoint) -> String {
    let sealed = endpoint.sealed.as_ref().expect("readable");
    sealed.signer.secret.text().expose_secret().to_owned()
}

fn versions(request: &Received) -> Vec<&str> {
    let parts = request.headers["webhook-signature"].split(' ');
    parts.filter_map(|part| part.split(',').next()).collect()
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_after_a_rotation_newest_first() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let jobs = Jobs::new(bench.store.clone());
    let Registered { id, secret: old } = bench.endpoint(&peer.url()).await;
    let new = rotated(&bench, id).await;
    assert_ne!(new, old);
    let request = delivered(&bench, &peer).await;
    request.verify(&new);
    request.verify(&old);
    assert_eq!(versions(&request), ["v1", "v1"]);

    bench.advance(Duration::from_secs(24 * 3600 - 1));
    jobs.step().await.expect("a step");
    assert_eq!(versions(&delivered(&bench, &peer).await).len(), 2);
    bench.advance(Duration::from_secs(2));
    jobs.step().await.expect("a step");
    assert_eq!(versions(&delivered(&bench, &peer).await), ["v1"]);
    assert_eq!(bench.get(id).await.rotated_at, None);
}

#[tokio::test]
async fn a_clock_that_was_ahead_neither_shortens_nor_lengthens_the_day() {
    let bench = Bench::idle(super::bench::lab()).await;
    let jobs = Jobs::new(bench.store.clone());
    let id = bench.endpoint("http://127.0.0.1:9/").await.id;
    rotated(&bench, id).await;
    let begin = bench.store.trusted_now();
    // Ahead by a year for a moment, which nobody trusts.
    emgate::clock::ManualClock::set(&bench.clock, begin + 365 * 24 * HOUR);
    jobs.step().await.expect("a step");
    emgate::clock::ManualClock::set(&bench.clock, begin);
    jobs.step().await.expect("a step");
    assert!(bench.get(id).await.rotated_at.is_some());
    // Set back by a month after the rotation: a day from then on.
    emgate::clock::ManualClock::set(&bench.clock, begin - 30 * 24 * HOUR);
    jobs.step().await.expect("a step");
    assert!(bench.get(id).await.rotated_at.is_some());
    bench.advance(24 * HOUR + Duration::from_secs(1));
    jobs.step().await.expect("a step");
    assert_eq!(bench.get(id).await.rotated_at, None);
}

#[tokio::test]
async fn the_bytes_of_a_secret_as_text_are_the_key() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let text = "a secret of plain words";
    let text = format!("{text}!");
    let made = bench
        .endpoint_with(
            &peer.url(),
            json!({"secretText": text, "bodySignature": "github"}),
        )
        .await;
    assert_eq!(made.secret, format!("whsec_{}", STANDARD.encode(&text)));
    let request = delivered(&bench, &peer).await;
    request.verify(&made.secret);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, text.as_bytes());
    let given = request.headers["x-hub-signature-256"].strip_prefix("sha256=");
    let tag: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&given.expect("the prefix")[at..at + 2], 16).expect("hexadecimal"))
        .collect();
    aws_lc_rs::hmac::verify(&key, &request.body, &tag).expect("the HMAC of the body");
}

#[tokio::test]
async fn an_ed25519_signature_stands_beside_the_other_and_its_key_is_shown() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let made = bench
        .endpoint_with(&peer.url(), json!({"signatures": ["v1", "v1a"]}))
        .await;
    let shown = WebhookEndpoint::from(&bench.get(made.id).await);
    assert_eq!(shown.signatures, ["v1", "v1a"]);
    let public = shown.public_key.expect("a public key");
    let public = STANDARD
        .decode(public.strip_prefix("whpk_").expect("the prefix"))
        .expect("base64");
    let request = delivered(&bench, &peer).await;
    request.verify(&made.secret);
    assert_eq!(versions(&request), ["v1", "v1a"]);
    let (_, signature) = request.headers["webhook-signature"]
        .split_once(" v1a,")
        .expect("both");
    let signed = [
        format!("{}.{}.", request.id(), request.headers["webhook-timestamp"]).as_bytes(),
        &request.body,
    ]
    .concat();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, &public)
        .verify(&signed, &STANDARD.decode(signature).expect("base64"))
        .expect("the signature is right");

    // A rotation renews the key; both sign.
    rotated(&bench, made.id).await;
    let renewed = WebhookEndpoint::from(&bench.get(made.id).await).public_key;
    assert_ne!(
        renewed.map(|key| key[5..].to_owned()),
        Some(STANDARD.encode(&public))
    );
    let request = delivered(&bench, &peer).await;
    assert_eq!(versions(&request), ["v1", "v1a", "v1", "v1a"]);

    let shown = WebhookEndpoint::from(&bench.patch(made.id, json!({"signatures": null})).await);
    assert_eq!((shown.signatures, shown.public_key), (vec!["v1"], None));
    assert_eq!(versions(&delivered(&bench, &peer).await), ["v1", "v1"]);
}
