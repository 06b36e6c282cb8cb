//! Moments and lengths of time, as people read them.

use std::time::Duration;

use jiff::Timestamp;

use crate::webhooks::formats::text::clean;

/// A length of time for people: the two largest units.
fn for_people(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// How long it took, against what is allowed where an objective says so.
pub(super) fn duration(from: Option<&str>, to: Option<&str>, objective: Option<Duration>) -> Option<String> {
    let moment = |text: &str| text.parse::<Timestamp>().ok();
    let took = moment(to?)?.duration_since(moment(from?)?);
    let took = for_people(Duration::try_from(took).ok()?);
    Some(match objective {
        Some(allowed) => format!("{took} of {} allowed", for_people(allowed)),
        None => took,
    })
}

/// A moment for people: to the minute, UTC.
pub(super) fn minute(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => clean(text, 40),
    }
}
