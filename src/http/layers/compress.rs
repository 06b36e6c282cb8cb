//! Compression of answers: gzip where the caller takes it, by the rules of the library, which is asked only where it may have
//! something to do.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};

/// Marks an answer that must leave byte for byte, with the length that was announced for it.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct NoCompression;

/// Excludes answers with a strong entity tag, which names their bytes, and those marked [`NoCompression`].
#[derive(Debug, Clone, Copy)]
struct Compressible;

impl Predicate for Compressible {
    fn should_compress<B>(&self, response: &axum::http::Response<B>) -> bool
    where
        B: axum::body::HttpBody,
    {
        let names_bytes = |tag: &HeaderValue| !tag.as_bytes().starts_with(b"W/");
        !response.headers().get(ETAG).is_some_and(names_bytes)
            && response.extensions().get::<NoCompression>().is_none()
    }
}

/// A body in the one encoding that there is.
pub(in crate::http) fn gzipped(body: &Bytes, effort: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), effort);
    // Writing to memory does not fail.
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// What such a form was made of; nothing where it is none.
pub(in crate::http) fn inflated(gzip: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    match GzDecoder::new(gzip).read_to_end(&mut body) {
        Ok(_) => body,
        Err(_) => Vec::new(),
    }
}

/// What a request says of encodings.
pub(super) struct Accepted(Vec<HeaderValue>);

impl Accepted {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        Self(headers.get_all(ACCEPT_ENCODING).iter().cloned().collect())
    }

    /// The answer in an encoding that the caller takes.
    pub(super) async fn compressed(self, mut response: Response) -> Response {
        let predicate = DefaultPredicate::new().and(Compressible);
        if self.0.is_empty() {
            // Only says that callers who take an encoding get other bytes.
            let is_encoded = response.headers().contains_key(CONTENT_ENCODING)
                || response.headers().contains_key(CONTENT_RANGE);
            if !is_encoded && predicate.should_compress(&response) {
                response
                    .headers_mut()
                    .append(VARY, HeaderValue::from_static("accept-encoding"));
            }
            return response;
        }
        let mut request = Request::new(Body::empty());
        for value in self.0 {
            request.headers_mut().append(ACCEPT_ENCODING, value);
        }
        let mut answer = Some(response);
        let inner = service_fn(move |_: Request| {
            std::future::ready(Ok::<_, Infallible>(answer.take().unwrap_or_default()))
        });
        let layer = CompressionLayer::new().compress_when(predicate);
        match Box::pin(layer.layer(inner).oneshot(request)).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }
}
