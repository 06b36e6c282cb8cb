//! The list `[[policies]]`: what is allowed with plans, to whom, when, and with whose approval.

use std::{collections::BTreeSet, time::Duration};

use jiff::{civil::Weekday, tz::TimeZone};

use super::reader::Section;
use crate::app::config::{
    Admitted, Matching, PlanAction, PlanKind, Policies, Policy, Scope, WeekTime, Window,
};

const SECOND: Duration = Duration::from_secs(1);
const MONTH: Duration = Duration::from_hours(30 * 24);
/// How long approvers have when the configuration does not say.
const APPROVAL_EXPIRES: Duration = Duration::from_hours(4);
/// More would have to be found among the few who may approve.
const MOST_APPROVALS: usize = 5;

/// How a window is written.
const WINDOW: &str = "is not a window such as \"Sat 20:00 - Sun 06:00 Europe/Berlin\"";

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

pub(super) fn read(items: Vec<Section<'_>>) -> Policies {
    let mut names = BTreeSet::new();
    let mut policies = Vec::new();
    for mut s in items {
        let name = s.text("name");
        let name = s.required("name", name);
        if let Some(name) = &name
            && !names.insert(name.to_lowercase())
        {
            s.fault("name", &format!("`{name}` is used by another policy"));
        }
        let matching = matching(s.section("match"));
        let callers = callers(s.has("callers"), s.section("callers"));
        let windows = s.list("windows", window);
        let windows = filled(&s, "windows", windows);
        policies.push(Policy {
            name: name.unwrap_or_default(),
            matching,
            callers,
            windows,
            approvals: s.count("approvals", 0, 0, MOST_APPROVALS),
            approval_expires: s.duration("approval_expires", APPROVAL_EXPIRES, SECOND, MONTH),
            reason_required: s.boolean("reason_required", false),
        });
        s.finish();
    }
    Policies(policies)
}

fn matching(mut s: Section<'_>) -> Matching {
    let plans = s.one_or_more("plan", text);
    let tenants = s.one_or_more("tenant", text);
    let kinds = s.one_or_more("kind", |word| one_of(word, PlanKind::ALL, PlanKind::as_str));
    let actions = s.one_or_more("action", |word| one_of(word, PlanAction::ALL, PlanAction::as_str));
    let matching = Matching {
        plans: filled(&s, "plan", plans),
        tenants: filled(&s, "tenant", tenants),
        kinds: filled(&s, "kind", kinds),
        actions: filled(&s, "action", actions),
    };
    s.finish();
    matching
}

fn callers(given: bool, mut s: Section<'_>) -> Admitted {
    let subjects = s.one_or_more("subjects", text);
    let scopes = s.one_or_more("scopes", |word| one_of(word, Scope::ALL, Scope::as_str));
    let callers = Admitted {
        subjects: filled(&s, "subjects", subjects),
        scopes: filled(&s, "scopes", scopes),
    };
    let faulty = ["subjects", "scopes"].iter().any(|key| s.is_faulty(key));
    if given && callers == Admitted::default() && !faulty {
        s.fault(
            "subjects",
            "is missing, and so is `scopes`; name some, or leave `callers` out for all",
        );
    }
    s.finish();
    callers
}

/// The list; one that is there and empty is a fault, since it could mean all or none.
fn filled<T>(s: &Section<'_>, key: &'static str, list: Option<Vec<T>>) -> Vec<T> {
    if list.as_ref().is_some_and(Vec::is_empty) && !s.is_faulty(key) {
        s.fault(key, "is empty; leave it out for all");
    }
    list.unwrap_or_default()
}

fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text.to_owned())
}

fn one_of<T: Copy>(word: &str, all: &[T], as_str: impl Fn(T) -> &'static str) -> Result<T, String> {
    let known = all.iter().copied().find(|one| as_str(*one) == word);
    known.ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|one| as_str(*one)).collect();
        format!("`{word}` is not one of {}", words.join(", "))
    })
}

/// `Sat 20:00 - Sun 06:00 Europe/Berlin`
fn window(text: &str) -> Result<Window, String> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [from_day, from_time, "-", to_day, to_time, zone] = parts.as_slice() else {
        return Err(format!("`{text}` {WINDOW}"));
    };
    let (from, to) = (week_time(from_day, from_time)?, week_time(to_day, to_time)?);
    let place = |time: WeekTime| time.place() % (7 * 24 * 60);
    if place(from) == place(to) {
        return Err(format!(
            "`{text}` begins where it ends; leave windows out where every time is right"
        ));
    }
    // The system's list of zones, or the one that is part of the program.
    let zone = TimeZone::get(zone).map_err(|_| {
        format!("`{zone}` is no time zone of the IANA database, such as Europe/Berlin or UTC")
    })?;
    Ok(Window { from, to, zone })
}

fn week_time(day: &str, time: &str) -> Result<WeekTime, String> {
    let lower = day.to_ascii_lowercase();
    let known = DAYS.iter().find(|(name, _)| *name == lower);
    let (_, day) = known.ok_or_else(|| format!("`{day}` is not one of Mon, Tue, Wed, Thu, Fri, Sat, Sun"))?;
    let minute = minute(time).ok_or_else(|| format!("`{time}` is not a time from 00:00 to 24:00"))?;
    Ok(WeekTime { day: *day, minute })
}

fn minute(time: &str) -> Option<i16> {
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str| -> Option<i16> {
        let two_digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        two_digits.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let whole = hours * 60 + minutes;
    (minutes < 60 && whole <= 24 * 60).then_some(whole)
}
