//! Moments and lengths of time, as people read them.

use std::time::Duration;

use jiff::Timestamp;

use crate::webhooks::formats::text::clean;

/// A length of time for people: the two largest units.
fn for_people(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) if rest == 0 => "less than 1 s".to_owned(),
        (0, 0) => format!("{rest} s"),
        (0, _) if rest == 0 => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {rest} s"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// How long it took, against what is allowed where an objective says so.
pub(super) fn duration(from: Option<&str>, to: Option<&str>, objective: Option<Duration>) -> Option<String> {
    let moment = |text: &str| text.parse::<Timestamp>().ok();
    let took = moment(to?)?.duration_since(moment(from?)?);
    let took = Duration::try_from(took).ok()?;
    let told = for_people(took);
    Some(match objective {
        Some(allowed) if took > allowed => {
            format!("{told}, LONGER than the {} allowed", for_people(allowed))
        }
        Some(allowed) => format!("{told} of {} allowed", for_people(allowed)),
        None => told,
    })
}

/// A moment for people: to the minute, UTC.
pub(super) fn minute(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => clean(text, 40),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("2026-02-13T08:00:00Z", "less than 1 s")]
    #[case("2026-02-13T08:00:00.9Z", "less than 1 s")]
    #[case("2026-02-13T08:00:59Z", "59 s")]
    #[case("2026-02-13T08:12:05Z", "12 min 5 s")]
    #[case("2026-02-13T10:12:05Z", "2 h 12 min")]
    fn a_length_of_time_has_its_two_largest_units(#[case] to: &str, #[case] told: &str) {
        let took = duration(Some("2026-02-13T08:00:00Z"), Some(to), None);
        assert_eq!(took.as_deref(), Some(told));
    }

    #[rstest]
    #[case("2026-02-13T08:12:05Z", "12 min 5 s of 15 min allowed")]
    #[case("2026-02-13T08:15:00.001Z", "15 min, LONGER than the 15 min allowed")]
    fn a_length_of_time_is_held_against_what_is_allowed(#[case] to: &str, #[case] told: &str) {
        let allowed = Some(Duration::from_mins(15));
        let took = duration(Some("2026-02-13T08:00:00Z"), Some(to), allowed);
        assert_eq!(took.as_deref(), Some(told));
    }
}
