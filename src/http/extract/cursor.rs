//! A place in a log: opaque to callers, a few bytes in base64 here.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::query::text_of;
use crate::app::Cursor;
use crate::app::audit::AuditPlace;
use crate::app::events::EventPlace;
use crate::app::streams::LogPosition;
use crate::domain::id::{DeliveryId, EndpointId, JobId, OperationId};
use crate::http::openapi::constraints;
use crate::http::problem::Problem;

/// A place in a log that a cursor of a caller's can name.
pub trait FromCursor: Sized {
    /// What else callers may name a place by.
    const ALSO: &'static str = "";

    /// The place of these bytes.
    fn from_cursor(bytes: &[u8]) -> Option<Self>;

    /// The place before the first row, in a log that has one.
    fn at_start() -> Option<Self> {
        None
    }

    /// The place of this number, in a log whose rows are known by theirs.
    fn from_number(_number: i64) -> Option<Self> {
        None
    }
}

/// A place in a log that a cursor is made of.
pub trait IntoCursor {
    /// The bytes of the place.
    fn into_cursor(self) -> Vec<u8>;
}

macro_rules! places_by_id {
    ($($id:ident)*) => {$(
        impl FromCursor for $id {
            fn from_cursor(bytes: &[u8]) -> Option<Self> {
                Some(Self::new(Uuid::from_slice(bytes).ok()?))
            }
        }

        impl IntoCursor for $id {
            fn into_cursor(self) -> Vec<u8> {
                self.uuid().as_bytes().to_vec()
            }
        }
    )*};
}

places_by_id! { OperationId EndpointId DeliveryId JobId }

/// An event's number, or its id as text.
impl IntoCursor for EventPlace {
    fn into_cursor(self) -> Vec<u8> {
        match self {
            Self::Start => START.as_bytes().to_vec(),
            Self::Seq(seq) => seq.to_be_bytes().to_vec(),
            Self::Id(id) => id.to_string().into_bytes(),
        }
    }
}

impl FromCursor for EventPlace {
    const ALSO: &'static str = ", or give the id of an event, or `start`";

    fn from_cursor(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok();
        match text.filter(|text| text.starts_with(EVENT_ID)) {
            Some(id) => id.parse().ok().map(Self::Id),
            None => Some(Self::Seq(i64::from_be_bytes(bytes.try_into().ok()?))),
        }
    }

    fn at_start() -> Option<Self> {
        Some(Self::Start)
    }
}

impl IntoCursor for AuditPlace {
    fn into_cursor(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

impl FromCursor for AuditPlace {
    const ALSO: &'static str = ", or give the `sequence` of a row";

    fn from_cursor(bytes: &[u8]) -> Option<Self> {
        Some(Self(i64::from_be_bytes(bytes.try_into().ok()?)))
    }

    fn from_number(number: i64) -> Option<Self> {
        Some(Self(number))
    }
}

/// Whether a cursor is the number of a row. A cursor of 8 bytes has 11 characters in base64, a number here up to 10.
fn is_number(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What ids of events begin with.
const EVENT_ID: &str = "evt_";
/// The place before the oldest event.
pub const START: &str = "start";

/// A position of the event log as callers are told it: an event's id, or `start`.
pub fn position_text(position: LogPosition) -> String {
    position.0.map_or_else(|| START.to_owned(), |id| id.to_string())
}

/// The same as a header.
pub fn position_header(position: LogPosition) -> HeaderValue {
    let Some(id) = position.0 else {
        return HeaderValue::from_static(START);
    };
    HeaderValue::try_from(id.to_string()).unwrap_or(HeaderValue::from_static(START))
}

/// A cursor as callers send it. Ids of events and numbers of rows are accepted as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpaqueCursor {
    /// What a cursor of ours decodes to, or an event's id; of what is no cursor, nothing.
    Place(Vec<u8>),
    /// A row's number.
    Number(i64),
    /// Before the first row.
    Start,
}

impl OpaqueCursor {
    /// The cursor's text.
    pub fn write(place: impl IntoCursor) -> String {
        URL_SAFE_NO_PAD.encode(place.into_cursor())
    }
}

impl<'de> Deserialize<'de> for OpaqueCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with(EVENT_ID) {
            return Ok(Self::Place(text.into_bytes()));
        }
        if text == START {
            return Ok(Self::Start);
        }
        if let Some(number) = text.parse().ok().filter(|_| is_number(&text)) {
            return Ok(Self::Number(number));
        }
        // Whoever knows the log says what its cursors are.
        Ok(Self::Place(URL_SAFE_NO_PAD.decode(text).unwrap_or_default()))
    }
}

impl PartialSchema for OpaqueCursor {
    fn schema() -> RefOr<Schema> {
        text_of(constraints::CURSOR)
    }
}

impl ToSchema for OpaqueCursor {}

/// The document's side of a cursor in the log of events, which may be an event's id.
pub struct EventCursor;

impl PartialSchema for EventCursor {
    fn schema() -> RefOr<Schema> {
        text_of(constraints::EVENT_CURSOR)
    }
}

impl ToSchema for EventCursor {}

/// The document's side of a cursor in the audit log, which may be a row's number.
pub struct AuditCursor;

impl PartialSchema for AuditCursor {
    fn schema() -> RefOr<Schema> {
        text_of(constraints::AUDIT_CURSOR)
    }
}

impl ToSchema for AuditCursor {}

/// Where a page begins, from at most one of the two parameters.
pub fn cursor<P: FromCursor>(
    after: Option<&OpaqueCursor>,
    before: Option<&OpaqueCursor>,
) -> Result<Option<Cursor<P>>, Problem> {
    let place = |name, cursor: &OpaqueCursor| {
        let place = match cursor {
            OpaqueCursor::Place(bytes) => P::from_cursor(bytes),
            OpaqueCursor::Number(number) => P::from_number(*number),
            OpaqueCursor::Start => P::at_start(),
        };
        place.ok_or_else(|| {
            let also = P::ALSO;
            let detail =
                format!("this is not a cursor of this list; take it from the links of another page{also}");
            Problem::fault(name, detail)
        })
    };
    match (after, before) {
        (None, None) => Ok(None),
        (Some(after), None) => place("after", after).map(|place| Some(Cursor::After(place))),
        (None, Some(before)) => place("before", before).map(|place| Some(Cursor::Before(place))),
        (Some(_), Some(_)) => Err(Problem::fault("before", "cannot be combined with after")),
    }
}
