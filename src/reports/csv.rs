//! A report as a table: a row for each machine, the plan's columns repeated (RFC 4180, UTF-8 with a byte order mark, so that
//! Excel reads it as such).
//!
//! A spreadsheet runs a text that begins like a formula; such texts get an apostrophe before them.

use serde_json::Value;

use super::Error;

/// Column, and where its value is: in the report, or in the machine.
const COLUMNS: &[(&str, Place)] = &[
    ("report_id", Place::Report("/report/id")),
    ("revision", Place::Report("/report/revision")),
    ("generated_at", Place::Report("/report/generatedAt")),
    ("plan_id", Place::Report("/plan/id")),
    ("plan_name", Place::Report("/plan/name")),
    ("tenant", Place::Report("/plan/tenant/name")),
    ("kind", Place::Report("/summary/kind")),
    ("action", Place::Report("/execution/action")),
    ("operation_id", Place::Report("/execution/operationId")),
    ("session_id", Place::Report("/execution/sessionId")),
    ("started_at", Place::Report("/execution/startedAt")),
    ("ended_at", Place::Report("/execution/endedAt")),
    ("result", Place::Report("/execution/result")),
    ("verdict", Place::Report("/summary/verdict")),
    ("requested_by", Place::Report("/request/by")),
    ("plan_rta_seconds", Place::ReportSeconds("/measures/rta/value")),
    ("rto_target_seconds", Place::Report("/measures/rto/targetSeconds")),
    ("rto_verdict", Place::Report("/measures/rto/verdict")),
    ("plan_rpa_seconds", Place::ReportSeconds("/measures/rpa/value")),
    ("rpo_target_seconds", Place::Report("/measures/rpa/targetSeconds")),
    ("rpo_verdict", Place::Report("/measures/rpa/verdict")),
    ("machine", Place::Machine("/name")),
    ("machine_order", Place::Machine("/order")),
    ("machine_in_plan", Place::Machine("/inPlan")),
    ("machine_result", Place::Machine("/result")),
    ("machine_started_at", Place::Machine("/startedAt")),
    ("machine_ended_at", Place::Machine("/endedAt")),
    ("machine_wait_seconds", Place::MachineSeconds("/wait/value")),
    ("machine_time_seconds", Place::MachineSeconds("/time/value")),
    ("machine_rta_seconds", Place::MachineSeconds("/rta/value")),
    ("machine_rta_reason", Place::Machine("/rta/reason")),
    ("machine_rto_target_seconds", Place::Machine("/rta/targetSeconds")),
    ("machine_rto_verdict", Place::Machine("/rta/verdict")),
    ("machine_point_id", Place::Machine("/point/id")),
    ("machine_point_created_at", Place::Machine("/point/createdAt")),
    ("machine_point_type", Place::Machine("/point/type")),
    ("machine_rpa_seconds", Place::MachineSeconds("/rpa/value")),
    ("machine_rpa_reason", Place::Machine("/rpa/reason")),
    ("machine_rpo_target_seconds", Place::Machine("/rpa/targetSeconds")),
    ("machine_rpo_verdict", Place::Machine("/rpa/verdict")),
    ("machine_message", Place::Machine("/message")),
    ("digest", Place::Report("/integrity/digest")),
];

/// Where a value is; seconds are milliseconds there.
#[derive(Clone, Copy)]
enum Place {
    Report(&'static str),
    ReportSeconds(&'static str),
    Machine(&'static str),
    MachineSeconds(&'static str),
}

impl Place {
    fn cell(self, report: &Value, machine: &Value) -> String {
        match self {
            Self::Report(pointer) => text(report.pointer(pointer)),
            Self::Machine(pointer) => text(machine.pointer(pointer)),
            Self::ReportSeconds(pointer) => seconds(report.pointer(pointer)),
            Self::MachineSeconds(pointer) => seconds(machine.pointer(pointer)),
        }
    }
}

/// Columns of the programme; all are in the plan's row.
const PROGRAMME: &[(&str, Place)] = &[
    ("plan_id", Place::Machine("/plan/id")),
    ("plan_name", Place::Machine("/plan/name")),
    ("plan_kind", Place::Machine("/plan/kind")),
    ("tenant", Place::Machine("/plan/tenant/name")),
    ("tests", Place::Machine("/tests")),
    ("last_test_at", Place::Machine("/lastTest/at")),
    ("last_verdict", Place::Machine("/lastTest/verdict")),
    ("last_result", Place::Machine("/lastTest/result")),
    ("last_rta_seconds", Place::MachineSeconds("/lastTest/rtaMs")),
    ("last_rpa_seconds", Place::MachineSeconds("/lastTest/rpaMs")),
    ("last_report_id", Place::Machine("/lastTest/reportId")),
    ("days_since", Place::Machine("/daysSince")),
    ("test_every_days", Place::Machine("/testEveryDays")),
    ("overdue", Place::Machine("/overdue")),
    ("next_test_at", Place::Machine("/nextTestAt")),
    ("can_be_tested", Place::Machine("/canBeTested")),
    ("open_findings", Place::Machine("/openFindings")),
    ("started_elsewhere", Place::Machine("/startedElsewhere")),
    ("rto_target_seconds", Place::Machine("/rtoSeconds")),
    ("rpo_target_seconds", Place::Machine("/rpoSeconds")),
    ("owner", Place::Machine("/owner")),
    ("population", Place::Report("/population")),
    ("generated_at", Place::Report("/generatedAt")),
];

/// The table; a report without machines has one row.
///
/// # Errors
/// [`Error::Table`], in theory.
pub fn table(report: &Value) -> Result<Vec<u8>, Error> {
    let machines = report.get("machines").and_then(Value::as_array);
    let none = [Value::Null];
    let machines = machines.map_or(&none[..], Vec::as_slice);
    rows(
        COLUMNS,
        report,
        if machines.is_empty() { &none } else { machines },
    )
}

/// The programme as a table: a row for each plan.
///
/// # Errors
/// [`Error::Table`], in theory.
pub fn programme(programme: &Value) -> Result<Vec<u8>, Error> {
    let plans = programme.get("items").and_then(Value::as_array);
    rows(PROGRAMME, programme, plans.map_or(&[], Vec::as_slice))
}

fn rows(columns: &[(&str, Place)], whole: &Value, rows: &[Value]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer
        .write_record(columns.iter().map(|(name, _)| *name))
        .map_err(|_| Error::Table)?;
    for row in rows {
        let cells = columns.iter().map(|(_, place)| place.cell(whole, row));
        writer.write_record(cells).map_err(|_| Error::Table)?;
    }
    writer.into_inner().map_err(|_| Error::Table)
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if is_formula(text) => format!("'{text}"),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Whether a spreadsheet may take it for a formula (OWASP, CSV injection).
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// Milliseconds as seconds, exact.
fn seconds(value: Option<&Value>) -> String {
    let Some(millis) = value.and_then(Value::as_i64) else {
        return String::new();
    };
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    match millis % 1000 {
        0 => format!("{sign}{}", millis / 1000),
        rest => format!("{sign}{}.{rest:03}", millis / 1000),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("=HYPERLINK(\"http://x.example\")", "'=HYPERLINK(\"http://x.example\")")]
    #[case("+1", "'+1")]
    #[case("-1", "'-1")]
    #[case("@x", "'@x")]
    #[case("\tx", "'\tx")]
    #[case("\rx", "'\rx")]
    #[case("a=b", "a=b")]
    #[case("", "")]
    fn a_text_that_begins_like_a_formula_is_none(#[case] given: &str, #[case] cell: &str) {
        assert_eq!(text(Some(&json!(given))), cell);
    }

    #[rstest]
    #[case(480_000, "480")]
    #[case(3_600_001, "3600.001")]
    #[case(-1500, "-1.500")]
    #[case(0, "0")]
    fn milliseconds_become_exact_seconds(#[case] millis: i64, #[case] told: &str) {
        assert_eq!(seconds(Some(&json!(millis))), told);
    }

    #[test]
    fn hostile_names_break_no_row() {
        let names = ["a\r\nb,\"c\"", "=1+1", "日本語", "\u{202e}x"];
        let machines: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let bytes = table(&json!({"machines": machines})).expect("a table");
        assert!(bytes.starts_with("\u{feff}report_id,".as_bytes()));
        let mut reader = csv::Reader::from_reader(bytes.get(3..).expect("longer"));
        let column = reader
            .headers()
            .expect("headers")
            .iter()
            .position(|name| name == "machine");
        let column = column.expect("a column");
        let read: Vec<String> = reader
            .records()
            .map(|row| row.expect("a row").get(column).expect("a cell").to_owned())
            .collect();
        assert_eq!(read, ["a\r\nb,\"c\"", "'=1+1", "日本語", "\u{202e}x"]);
    }

    #[test]
    fn a_report_without_machines_has_one_row() {
        let bytes = table(&json!({"machines": [], "report": {"id": "x"}})).expect("a table");
        assert_eq!(String::from_utf8(bytes).expect("UTF-8").lines().count(), 2);
    }
}
