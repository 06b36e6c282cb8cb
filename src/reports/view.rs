//! What a page shows beside the report's own values: the places of bars and ticks in its drawings, and words for people.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// How wide the drawing of the trend is, and how high, in its own units.
const TREND: (f64, f64) = (640.0, 150.0);

/// What is computed for a page.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// The machines with their bars, in the report's order.
    machines: Vec<Bar>,
    /// Places of the axis above the machines.
    ticks: Vec<Tick>,
    /// Where the target of the recovery time is on that axis, in percent.
    target: Option<f64>,
    /// The tests before and this one, oldest first; none where there is only this one.
    trend: Option<Trend>,
    /// How many machines recovered, failed, and are missing or have no result.
    counts: Counts,
}

/// A machine's bar, in percent of the axis.
#[derive(Debug, Default, Serialize)]
struct Bar {
    /// Until when it waited.
    wait: Option<f64>,
    /// From where it worked.
    from: f64,
    /// For how long.
    width: f64,
    /// How it ended: `good`, `warn`, `bad` or `none`.
    tone: &'static str,
}

#[derive(Debug, Serialize)]
struct Tick {
    place: f64,
    label: String,
    /// Where its text is anchored, so that it stays inside.
    anchor: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    good: usize,
    warn: usize,
    bad: usize,
}

#[derive(Debug, Serialize)]
struct Trend {
    columns: Vec<Column>,
    /// Where the target is, from above.
    target: Option<f64>,
    target_label: Option<String>,
    width: f64,
    height: f64,
}

#[derive(Debug, Serialize)]
struct Column {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    tone: &'static str,
    /// The recovery time.
    label: String,
    /// The day.
    day: String,
    current: bool,
}

/// What is computed for the page of the programme.
#[derive(Debug, Serialize)]
pub(super) struct Coverage {
    /// How many of a hundred plans were tested.
    covered: i64,
    open_findings: i64,
}

impl Coverage {
    pub(super) fn of(programme: &Value) -> Self {
        let number = |name: &str| at(programme, name).as_i64().unwrap_or_default();
        let items = at(programme, "/items").as_array().map_or(&[][..], Vec::as_slice);
        Self {
            covered: number("/tested") * 100 / number("/population").max(1),
            open_findings: items
                .iter()
                .filter_map(|item| at(item, "/openFindings").as_i64())
                .sum(),
        }
    }
}

fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn millis_of(value: &Value) -> Option<i64> {
    let at: Timestamp = value.as_str()?.parse().ok()?;
    Some(at.as_millisecond())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a failover are far below 2^52"
)]
fn share(part: i64, whole: i64) -> f64 {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    // Three digits are a thousandth of the width.
    (percent.clamp(0.0, 100.0) * 1000.0).round() / 1000.0
}

fn tone(result: &Value) -> &'static str {
    match result.as_str() {
        Some("success") => "good",
        Some("warning") => "warn",
        Some(_) => "bad",
        None => "none",
    }
}

impl View {
    pub(super) fn of(report: &Value) -> Self {
        let start = millis_of(at(report, "/execution/startedAt"));
        let machines: &[Value] = at(report, "/machines").as_array().map_or(&[], Vec::as_slice);
        let since_start = |value: &Value| Some(millis_of(value)? - start?);
        let last = machines
            .iter()
            .filter_map(|machine| since_start(at(machine, "/endedAt")))
            .max();
        let end = since_start(at(report, "/execution/endedAt"))
            .max(last)
            .unwrap_or(0)
            .max(1000);
        let target = at(report, "/measures/rto/targetSeconds")
            .as_i64()
            .map(|seconds| seconds * 1000);
        // A target far beyond would press the bars together.
        let shown_target = target.filter(|target| *target <= end * 2);
        let axis = end.max(shown_target.unwrap_or(0));
        let axis = axis + axis / 25;
        let bar = |machine: &Value| {
            let tone = tone(at(machine, "/result"));
            let (begun, ended) = (
                since_start(at(machine, "/startedAt")),
                since_start(at(machine, "/endedAt")),
            );
            let Some(begun) = begun else {
                return Bar {
                    tone,
                    ..Bar::default()
                };
            };
            let from = share(begun, axis);
            Bar {
                wait: Some(from),
                from,
                width: share(ended.unwrap_or(end) - begun, axis).max(0.2),
                tone,
            }
        };
        let mut counts = Counts::default();
        for machine in machines {
            match tone(at(machine, "/result")) {
                "good" => counts.good += 1,
                "warn" => counts.warn += 1,
                _ => counts.bad += 1,
            }
        }
        Self {
            machines: machines.iter().map(bar).collect(),
            ticks: ticks(axis),
            target: shown_target.map(|target| share(target, axis)),
            trend: trend(report, target),
            counts,
        }
    }
}

/// Four places or five that are round numbers of seconds, minutes or hours.
fn ticks(axis: i64) -> Vec<Tick> {
    const STEPS: [i64; 17] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400,
    ];
    let step = STEPS
        .iter()
        .map(|seconds| seconds * 1000)
        .find(|step| axis / step <= 5);
    let step = step.unwrap_or(axis / 5).max(1);
    (0..=axis / step)
        .map(|number| Tick {
            place: share(number * step, axis),
            label: if number == 0 {
                "T+0".to_owned()
            } else {
                format!("+{}", short(number * step))
            },
            anchor: match share(number * step, axis) {
                place if place < 5.0 => "start",
                place if place > 93.0 => "end",
                _ => "middle",
            },
        })
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds and counts, far below 2^52"
)]
fn trend(report: &Value, target: Option<i64>) -> Option<Trend> {
    let past = at(report, "/comparison/tests").as_array()?;
    if past.is_empty() {
        return None;
    }
    let own = (
        at(report, "/measures/rta/value").as_i64(),
        at(report, "/summary/facts/test_date"),
        at(report, "/summary/verdict"),
        true,
    );
    let earlier = past.iter().rev().map(|test| {
        (
            at(test, "/rtaMs").as_i64(),
            at(test, "/at"),
            at(test, "/verdict"),
            false,
        )
    });
    let tests: Vec<_> = earlier.chain([own]).collect();
    let highest = tests.iter().filter_map(|test| test.0).max().unwrap_or(1);
    let shown_target = target.filter(|target| *target <= highest * 3);
    let top = (highest.max(shown_target.unwrap_or(0)) as f64 * 1.15).max(1.0);
    let (width, height) = TREND;
    let slot = width / 13.0;
    let offset = width - slot * tests.len() as f64;
    let place = |millis: i64| (1.0 - millis as f64 / top) * height;
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    let columns = tests
        .iter()
        .enumerate()
        .map(|(number, (rta, day, verdict, current))| {
            let bar = rta.map_or(2.0, |rta| (height - place(rta)).max(2.0));
            Column {
                x: rounded(offset + slot * number as f64 + slot * 0.15),
                y: rounded(height - bar),
                width: rounded(slot * 0.7),
                height: rounded(bar),
                tone: match verdict.as_str() {
                    Some("passed") => "good",
                    Some("notMeasured") => "warn",
                    Some(_) => "bad",
                    None => "none",
                },
                label: rta.map_or_else(|| "none".to_owned(), short),
                day: day
                    .as_str()
                    .and_then(|day| day.get(2..10))
                    .unwrap_or("")
                    .to_owned(),
                current: *current,
            }
        });
    Some(Trend {
        columns: columns.collect(),
        target: shown_target.map(|target| rounded(place(target))),
        target_label: target.map(short),
        width,
        height,
    })
}

/// A duration in its two largest units, without blanks: for drawings.
fn short(millis: i64) -> String {
    let seconds = (millis + 500) / 1000;
    if millis.unsigned_abs() < 10_000 {
        return format!("{}.{}s", millis / 1000, millis.unsigned_abs() % 1000 / 100);
    }
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 if seconds % 60 == 0 => format!("{}m", seconds / 60),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 if seconds % 3600 < 30 => format!("{}h", seconds / 3600),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A figure for people: `8 min 0.0 s`; a figure that is absent is its reason in words.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands values over")]
pub(super) fn duration(measure: minijinja::Value) -> String {
    let value = measure
        .get_attr("value")
        .ok()
        .and_then(|value| i64::try_from(value).ok());
    let Some(millis) = value else {
        let reason = measure.get_attr("reason").ok();
        let reason = reason
            .as_ref()
            .and_then(minijinja::Value::as_str)
            .unwrap_or_default();
        return reason_words(reason).to_owned();
    };
    spelled(millis)
}

/// Milliseconds for people.
pub(super) fn millis(value: minijinja::Value) -> String {
    i64::try_from(value).map_or_else(|_| "not measured".to_owned(), spelled)
}

/// The day of a moment, in UTC.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands values over")]
pub(super) fn day(value: minijinja::Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.get(..10).unwrap_or(text).to_owned()
}

/// A target, in seconds.
pub(super) fn limit(seconds: minijinja::Value) -> String {
    i64::try_from(seconds).map_or_else(|_| "none".to_owned(), |seconds| spelled(seconds * 1000))
}

fn spelled(millis: i64) -> String {
    let sign = if millis < 0 { "−" } else { "" };
    let millis = millis.unsigned_abs();
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let fraction = if rest == 0 {
        String::new()
    } else {
        format!(".{rest:03}")
    };
    let units = [
        (seconds / 86_400, "d"),
        (seconds % 86_400 / 3600, "h"),
        (seconds % 3600 / 60, "min"),
    ];
    // Beyond a day nobody asks for the seconds.
    let shown_seconds = seconds < 86_400 && (seconds % 60 > 0 || rest > 0 || seconds == 0);
    let mut parts: Vec<String> = units
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if shown_seconds {
        parts.push(format!("{}{fraction} s", seconds % 60));
    }
    format!("{sign}{}", parts.join(" "))
}

/// A moment for people, in UTC, with milliseconds at the most.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands values over")]
pub(super) fn moment(value: minijinja::Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match text.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        Some((day, time)) => format!("{day} {} UTC", time.get(..12).unwrap_or(time)),
        None if text.is_empty() => "not known".to_owned(),
        None => text.to_owned(),
    }
}

/// A word of the report for people.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands values over")]
pub(super) fn words(value: minijinja::Value) -> String {
    let text = value.as_str().unwrap_or("none");
    let known = [
        ("realFailover", "real failover"),
        ("notMeasured", "not measured"),
        ("noTarget", "no target"),
        ("onPremises", "on-premises"),
        ("awaitingApproval", "waits for approval"),
        ("submitting", "sent to Enterprise Manager"),
        ("sessionStarted", "session started"),
        ("machineEnded", "machine ended"),
        ("sessionEnded", "session ended"),
        ("taskDone", "task seen done"),
        ("cancelRequested", "cancellation requested"),
        ("undoRequested", "undo requested"),
        ("undoFinished", "undo finished"),
        ("em", "Enterprise Manager"),
        ("emAndGateway", "Enterprise Manager and gateway"),
        ("emAndCaller", "Enterprise Manager and caller"),
        ("gatewayAndCaller", "gateway and caller"),
        ("all", "all three"),
        ("rta", "plan recovery time"),
        ("endToEnd", "end to end"),
        ("sinceIncident", "since the incident"),
    ];
    let found = known.iter().find(|(word, _)| *word == text);
    found.map_or_else(|| text.to_owned(), |(_, words)| (*words).to_owned())
}

/// A sign for a verdict, so that it is not told by colour alone.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands values over")]
pub(super) fn mark(value: minijinja::Value) -> &'static str {
    match value.as_str() {
        Some("passed" | "met" | "success" | "yes" | "pass" | "accepted") => "✓",
        Some("failed" | "missed" | "error" | "no" | "fail" | "rejected") => "✗",
        Some("warning" | "notMeasured" | "unknown") => "!",
        _ => "–",
    }
}

fn reason_words(reason: &str) -> &'static str {
    match reason {
        "noTime" => "no time from Enterprise Manager",
        "running" => "had not ended",
        "notRecovered" => "not recovered",
        "ambiguousName" => "name is not unique",
        "noPoint" => "no restore point named",
        "pointGone" => "restore point was removed",
        "noApproval" => "no approval needed",
        "noClock" => "clocks not compared",
        "noSession" => "no failover session",
        "emHasNoSession" => "not recorded by Enterprise Manager",
        "noOperation" => "not requested through the gateway",
        "notSent" => "was not sent",
        "noMachines" => "no machines",
        "noIncident" => "no incident given",
        "noBound" => "no bound given",
        "noChecks" => "no check recorded",
        "stillFailedOver" => "not undone yet",
        "testOnly" => "a test needs no undo",
        _ => "not known",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 s")]
    #[case(1500, "1.500 s")]
    #[case(480_000, "8 min")]
    #[case(3_600_001, "1 h 0.001 s")]
    #[case(-600_000, "−10 min")]
    #[case(604_800_000, "7 d")]
    #[case(90_061_000, "1 d 1 h 1 min")]
    fn a_duration_is_spelled_in_its_units(#[case] millis: i64, #[case] words: &str) {
        assert_eq!(spelled(millis), words);
    }

    #[test]
    fn an_axis_has_few_round_places() {
        for axis in [1_000, 47_000, 500_000, 3_700_000, 90_000_000, 900_000_000] {
            let ticks = ticks(axis);
            assert!((2..=6).contains(&ticks.len()), "{axis}: {}", ticks.len());
        }
    }
}
