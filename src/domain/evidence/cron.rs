//! Cron expressions: five fields, read by cronexpr, and the local times that they stand for.

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// The longest cron expression, in characters.
const CRON_LIMIT: usize = 100;

/// As many years as cronexpr looks ahead.
const YEARS: i16 = 4;

/// The fields of a cron expression, and the values of each.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or L for the last"),
    ("month", "1 to 12, or JAN to DEC"),
    (
        "day of the week",
        "0 to 7, where 0 and 7 are Sunday, or SUN to SAT",
    ),
];

/// What is wrong with five fields that are no cron expression: each that is none by itself, with what it may be.
fn cron_faults(text: &str, options: ParseOptions) -> String {
    let mut faults = Vec::new();
    for (at, (field, (name, values))) in text.split(' ').zip(FIELDS).enumerate() {
        let alone: Vec<&str> = (0..FIELDS.len())
            .map(|other| if other == at { field } else { "*" })
            .collect();
        if cronexpr::parse_crontab_with(&alone.join(" "), options).is_err() {
            faults.push(format!(
                "the {name} `{field}` must be {values}, or *, also as list (1,15), range (1-5) or step (*/15)"
            ));
        }
    }
    if faults.is_empty() {
        return format!("`{text}` is no cron expression such as 0 3 1 * *");
    }
    faults.join("; ")
}

const FIVE_FIELDS: &str =
    "must be five fields: minute, hour, day of the month, month, day of the week, such as 0 3 1 * *";

/// A cron expression.
#[derive(Debug, Clone)]
pub struct Cron {
    given: Crontab,
    /// The same of January alone, where it has an `L` and is about December too. There cronexpr 1.7 finds no last day and
    /// no last weekday, because it asks whether the month of a later day is the greater number.
    december: Option<Crontab>,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(FIVE_FIELDS.to_owned());
        };
        if text.len() > CRON_LIMIT || !text.is_ascii() {
            return Err(FIVE_FIELDS.to_owned());
        }
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let read =
            |text: &str| cronexpr::parse_crontab_with(text, options).map_err(|_| cron_faults(text, options));
        let given = read(&fields.join(" "))?;
        let with_last = day.contains('L') || weekday.contains('L');
        let in_december = read(&format!("* * * {month} *"))?.matches("2000-12-01T00:00:00Z");
        let december = (with_last && in_december.unwrap_or_default())
            .then(|| read(&format!("{minute} {hour} {day} 1 {weekday}")))
            .transpose()?;
        Ok(Self { given, december })
    }

    /// The first of its local times after one; none within the years to come.
    #[must_use]
    pub fn after(&self, local: DateTime) -> Option<DateTime> {
        let december = self
            .december
            .as_ref()
            .and_then(|january| after_in_december(january, local));
        first_after(&self.given, local).into_iter().chain(december).min()
    }
}

/// The first time of an expression after one.
fn first_after(cron: &Crontab, local: DateTime) -> Option<DateTime> {
    let second = TimeZone::UTC.to_timestamp(local).ok()?.as_second();
    let from = MakeTimestamp::from_second(second).ok()?;
    Some(cron.find_next(from).ok()?.datetime())
}

/// The first time after one that is in December what the expression says of January: both have 31 days, so a January that
/// begins with the same weekday has the same days.
fn after_in_december(january: &Crontab, local: DateTime) -> Option<DateTime> {
    (0..=YEARS).find_map(|years| {
        let december = Date::new(local.year().checked_add(years)?, 12, 1).ok()?;
        let twin = (2000..2028)
            .filter_map(|year| Date::new(year, 1, 1).ok())
            .find(|first| first.weekday() == december.weekday())?;
        let apart = december - twin;
        let from = local.max(december.to_datetime(jiff::civil::Time::midnight()) - 1.minute());
        let found = first_after(january, from.checked_sub(apart).ok()?)?;
        (found.date().first_of_month() == twin).then(|| found + apart)
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Weekday, date};
    use rstest::rstest;

    use super::*;

    fn is_last_friday(day: Date) -> bool {
        day.weekday() == Weekday::Friday && (day + 7.days()).first_of_month() != day.first_of_month()
    }

    #[rstest]
    #[case::of_each_month("0 3 L * *", |day: Date| day == day.last_of_month())]
    #[case::of_december("0 3 L 12 *", |day: Date| day == day.last_of_month() && day.month() == 12)]
    #[case::by_name("0 3 L DEC *", |day: Date| day == day.last_of_month() && day.month() == 12)]
    #[case::of_each_quarter("0 3 L */3 *", |day: Date| day == day.last_of_month() && day.month() % 3 == 1)]
    #[case::of_the_others("0 3 L 1-11 *", |day: Date| day == day.last_of_month() && day.month() < 12)]
    #[case::beside_another("0 3 1,L * *", |day: Date| day == day.last_of_month() || day.day() == 1)]
    #[case::or_a_weekday("0 3 L * 1", |day: Date| day == day.last_of_month() || day.weekday() == Weekday::Monday)]
    #[case::last_weekday("0 3 * * 5L", is_last_friday)]
    #[case::last_weekday_by_name("0 3 * * friL", is_last_friday)]
    #[case::last_weekday_of_december("0 3 * 12 5L", |day: Date| is_last_friday(day) && day.month() == 12)]
    #[case::either_last("0 3 L * 5L", |day: Date| is_last_friday(day) || day == day.last_of_month())]
    #[case::both("0 3 */2 * 5L", |day: Date| is_last_friday(day) && day.day() % 2 == 1)]
    #[case::nth_weekday("0 3 * * 5#5", |day: Date| day.weekday() == Weekday::Friday && day.day() > 28)]
    #[case::last_and_first("0 3 * * 5L,1#1", |day: Date| is_last_friday(day)
        || day.weekday() == Weekday::Monday && day.day() < 8)]
    fn l_is_the_last_in_december_too(#[case] text: &str, #[case] is_due: fn(Date) -> bool) {
        let cron = Cron::parse(text).expect("an expression");
        let begin = date(2026, 11, 29);
        let expected: Vec<DateTime> = begin
            .series(1.day())
            .filter(|day| is_due(*day))
            .take(40)
            .map(|day| day.at(3, 0, 0, 0))
            .collect();
        let mut local = begin.at(0, 0, 0, 0);
        for due in expected {
            local = cron.after(local).expect("a due time");
            assert_eq!(local, due);
        }
    }

    #[test]
    fn several_times_of_the_last_day_of_the_year_are_all_due() {
        let cron = Cron::parse("*/30 22-23 L * *").expect("an expression");
        let mut local = date(2026, 12, 31).at(22, 0, 0, 0);
        let mut due = Vec::new();
        for _ in 0..4 {
            local = cron.after(local).expect("a due time");
            due.push(local.to_string());
        }
        assert_eq!(
            due,
            [
                "2026-12-31T22:30:00",
                "2026-12-31T23:00:00",
                "2026-12-31T23:30:00",
                "2027-01-31T22:00:00"
            ]
        );
    }

    #[test]
    fn nothing_is_due_where_the_calendar_ends() {
        let cron = Cron::parse("0 3 L 12 *").expect("an expression");
        assert_eq!(cron.after(date(9999, 12, 31).at(12, 0, 0, 0)), None);
        let cron = Cron::parse("0 3 30L * *");
        assert!(cron.is_err(), "L stands alone or behind a weekday");
    }
}
