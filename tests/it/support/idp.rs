//! Pairs of keys, tokens of any text, and an identity provider on loopback that publishes a key set.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// A private key and its public half.
pub struct Pair {
    pub private: EncodingKey,
    pub algorithm: Algorithm,
    /// The public key as a JWK without `kid`.
    pub jwk: Value,
    /// The public key in PEM.
    pub pem: String,
}

impl Pair {
    pub fn new(algorithm: Algorithm) -> Self {
        use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
        use aws_lc_rs::signature::{self as sig, KeyPair as _};
        let (private, public) = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let kind = if algorithm == Algorithm::ES256 {
                    &sig::ECDSA_P256_SHA256_FIXED_SIGNING
                } else {
                    &sig::ECDSA_P384_SHA384_FIXED_SIGNING
                };
                let pair = sig::EcdsaKeyPair::generate(kind).expect("a pair");
                let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
                let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("PKCS#8").as_ref());
                (private, public.as_ref().to_vec())
            }
            Algorithm::EdDSA => {
                let pair = sig::Ed25519KeyPair::generate().expect("a pair");
                let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
                let private = EncodingKey::from_ed_der(pair.to_pkcs8v1().expect("PKCS#8").as_ref());
                (private, public.as_ref().to_vec())
            }
            _ => {
                let pair =
                    aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a pair");
                let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
                let private: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
                let private = pem("PRIVATE KEY", private.as_ref());
                let private = EncodingKey::from_rsa_pem(private.as_bytes()).expect("RSA");
                (private, public.as_ref().to_vec())
            }
        };
        let jwk = Jwk::from_encoding_key(&private, algorithm).expect("a public key");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        let members = jwk.as_object_mut().expect("an object");
        members.retain(|name, value| name != "kid" && !value.is_null());
        Self {
            private,
            algorithm,
            jwk,
            pem: pem("PUBLIC KEY", &public),
        }
    }

    /// The public key with more members.
    pub fn jwk_with(&self, more: &Value) -> Value {
        let mut jwk = self.jwk.clone();
        let members = jwk.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        jwk
    }

    /// A token of these texts, signed by the pair's algorithm whatever the header says.
    pub fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        sign_by(&self.private, self.algorithm, header, claims)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<String> = text
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Bytes as parts of tokens are written.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of these texts, signed by a key and an algorithm.
pub fn sign_by(
    key: &EncodingKey,
    algorithm: Algorithm,
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
) -> String {
    let signed = format!("{}.{}", base64url(header), base64url(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm).expect("signing works");
    format!("{signed}.{signature}")
}

/// Publishes these keys at `/keys`, with a discovery document, until the runtime ends. Gives the base URL.
pub async fn publish(keys: &[Value]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let discovery = json!({"issuer": base, "jwks_uri": format!("{base}/keys")}).to_string();
    let keys = json!({"keys": keys}).to_string();
    let router = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(|State(state): State<Arc<(String, String)>>| async move { state.0.clone() }),
        )
        .route(
            "/keys",
            get(|State(state): State<Arc<(String, String)>>| async move { state.1.clone() }),
        )
        .with_state(Arc::new((discovery, keys)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}
