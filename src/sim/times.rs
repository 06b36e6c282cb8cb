//! Times as EM spells them: 0 to 7 fraction digits, now and then without a zone or with a foreign one.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dice::Dice;

/// Towards which side a moment is rounded to the digits that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// For beginnings.
    Down,
    /// For ends, so that none comes before its beginning.
    Up,
}

/// A moment in the spelling of `owner`, who always spells alike; `plain` asks for the usual one.
pub fn spell(at: Timestamp, owner: Uuid, rounding: Rounding, plain: bool) -> String {
    let mut dice = Dice::from_id(owner);
    let (digits, zone) = if plain {
        (7, 0)
    } else {
        (u32::try_from(dice.below(8)).unwrap_or(7), dice.below(8))
    };
    let unit = 10_i128.pow(9 - digits);
    let nanos = at.as_nanosecond();
    let floor = nanos.div_euclid(unit) * unit;
    let rounded = if rounding == Rounding::Up && floor < nanos {
        floor + unit
    } else {
        floor
    };
    let at = Timestamp::from_nanosecond(rounded).unwrap_or(at);
    let (at, suffix) = match zone {
        6 => (at, ""),
        7 => (
            at.checked_add(SignedDuration::from_hours(2)).unwrap_or(at),
            "+02:00",
        ),
        _ => (at, "Z"),
    };
    let whole = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = format!("{:09}", at.as_nanosecond().rem_euclid(1_000_000_000));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction}{suffix}")
}
