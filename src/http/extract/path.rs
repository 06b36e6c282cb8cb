//! The ids in a path. One that cannot exist names nothing: 404.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use crate::http::HttpState;
use crate::http::problem::Problem;

/// The path's only parameter, read as an id.
pub struct Id<T>(pub T);

impl<T: FromStr + Send> FromRequestParts<HttpState> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("the resource");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| nothing())?;
        let mut values = params.iter().map(|(_, value)| value);
        match (values.next().map(str::parse), values.next()) {
            (Some(Ok(id)), None) => Ok(Self(id)),
            _ => Err(nothing()),
        }
    }
}

/// The path's two parameters, each read as an id.
pub struct Ids<A, B>(pub A, pub B);

impl<A: FromStr + Send, B: FromStr + Send> FromRequestParts<HttpState> for Ids<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("the resource");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| nothing())?;
        let mut values = params.iter().map(|(_, value)| value);
        match (values.next(), values.next(), values.next()) {
            (Some(one), Some(other), None) => {
                let one = one.parse().map_err(|_| nothing())?;
                Ok(Self(one, other.parse().map_err(|_| nothing())?))
            }
            _ => Err(nothing()),
        }
    }
}
