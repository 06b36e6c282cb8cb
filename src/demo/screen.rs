//! What the demo shows: bars redrawn in place on a terminal, a few plain lines anywhere else.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::{Endpoint, Machine, Operation};
use super::receiver::Received;
use super::stage::Stage;
use crate::text::{counted, is_harmful};

/// Cells of a bar.
const BAR: usize = 32;
/// The longest machine name that is shown whole.
const NAME: usize = 16;
/// Off a terminal, a machine's progress is worth a line only after so many more percent.
const STEP: f64 = 25.0;

/// Where the demo writes. Errors of stdout (a closed pipe) are no reason to stop the demo.
#[derive(Debug)]
pub struct Screen {
    out: io::Stdout,
    terminal: bool,
    colour: bool,
    /// Characters of a bar: done and not done.
    cells: (&'static str, &'static str),
    /// The picture may still change.
    live: bool,
    /// Lines of the picture that is redrawn.
    drawn: usize,
    /// Lines below the picture's bars.
    notes: Vec<String>,
    /// Off a terminal: what was last said of each machine.
    said: BTreeMap<String, (String, f64)>,
}

impl Screen {
    /// The process's standard output.
    #[expect(
        clippy::disallowed_methods,
        reason = "TERM, NO_COLOR and the locale tell what this terminal can show; they configure nothing"
    )]
    pub fn new() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let terminal = io::stdout().is_terminal() && variable("TERM") != "dumb";
        // The first of these that is set decides (POSIX, "Internationalization Variables").
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .map(variable)
            .into_iter()
            .find(|value| !value.is_empty());
        let unicode =
            locale.is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
        Self {
            out: io::stdout(),
            terminal,
            colour: terminal && variable("NO_COLOR").is_empty(),
            cells: if unicode { ("█", "░") } else { ("#", ".") },
            live: false,
            drawn: 0,
            notes: Vec::new(),
            said: BTreeMap::new(),
        }
    }

    /// Who takes part.
    pub fn cast(&self, stage: &Stage) {
        self.line(&format!(
            "simulated Enterprise Manager   {}/api/",
            stage.simulator_url
        ));
        self.line(&format!(
            "emgate                         {}/api/v1",
            stage.gateway_url
        ));
        self.line(&format!("webhook receiver               {}", stage.hook_url));
        self.line("");
    }

    /// The past is made.
    pub fn past_begins(&self) {
        self.step("A year of monthly tests, with the clock turned back");
    }

    /// It is done.
    pub fn past(&self, tests: usize) {
        self.line(&format!(
            "  {}, each with its recovery report",
            counted(tests, "test")
        ));
        self.line("");
    }

    /// The registered receiver.
    pub fn endpoint(&self, status: StatusCode, endpoint: &Endpoint) {
        self.step("POST /api/v1/webhook-endpoints");
        self.line(&format!(
            "  {status}: endpoint {}, its secret was shown once",
            endpoint.id
        ));
    }

    /// The accepted test.
    pub fn accepted(&mut self, status: StatusCode, plan: &str, operation: &Operation) {
        self.step(&format!("POST /api/v1/cloud-failover-plans/{plan}/test"));
        let name = operation
            .plan
            .as_ref()
            .map_or("the plan", |plan| plan.name.as_str());
        self.line(&format!("  {status}: operation {}", operation.id));
        self.line("");
        self.line(&self.strong(name));
        self.live = true;
    }

    /// The picture is complete; what comes next is written below it.
    pub fn rest(&mut self) {
        self.live = false;
        if self.drawn == 0 {
            for note in std::mem::take(&mut self.notes) {
                self.line(&note);
            }
        }
    }

    /// Each machine's progress.
    pub fn progress(&mut self, operation: &Operation) {
        let Some(session) = &operation.session else {
            return;
        };
        if self.terminal {
            self.redraw(
                &session.virtual_machines,
                &session.state,
                operation.progress.unwrap_or(0.0),
            );
        } else {
            for machine in &session.virtual_machines {
                self.say(machine);
            }
        }
    }

    fn redraw(&mut self, machines: &[Machine], state: &str, progress: f64) {
        let mut lines: Vec<String> = machines
            .iter()
            .map(|machine| {
                let word = machine.result.as_deref().unwrap_or(&machine.state);
                self.bar_line(&machine.name, machine.progress.unwrap_or(0.0), word)
            })
            .collect();
        lines.push(self.faint(&self.bar_line("session", progress, state)));
        lines.extend(self.notes.iter().cloned());
        let up = if self.drawn > 0 {
            format!("\x1b[{}A", self.drawn)
        } else {
            String::new()
        };
        self.drawn = lines.len();
        let picture = lines
            .iter()
            .fold(String::new(), |picture, line| picture + "\x1b[2K" + line + "\n");
        self.write(&format!("{up}{picture}"));
    }

    fn say(&mut self, machine: &Machine) {
        let word = machine.result.as_ref().unwrap_or(&machine.state).clone();
        let done = machine.progress.unwrap_or(0.0);
        let news = self
            .said
            .get(&machine.name)
            .is_none_or(|(last, percent)| *last != word || done - percent >= STEP);
        if news {
            self.line(&self.bar_line(&machine.name, done, &word));
            self.said.insert(machine.name.clone(), (word, done));
        }
    }

    fn bar_line(&self, title: &str, percent: f64, word: &str) -> String {
        format!(
            "  {} {} {percent:>3.0} %  {}",
            name(title),
            self.bar(percent),
            self.tint(word)
        )
    }

    /// A delivery that is not the one waited for; on a terminal it joins the picture while there is one.
    pub fn other_webhook(&mut self, received: &Received) {
        let verdict = match &received.verdict {
            Ok(_) => self.good("signature verified"),
            Err(reason) => self.bad(reason),
        };
        let note = format!("  webhook {}: {verdict}", received.event_type());
        if self.terminal && self.live {
            self.notes.push(note);
        } else {
            self.line(&note);
        }
    }

    /// The delivery that the demo is about.
    pub fn webhook(&self, received: &Received) {
        self.line("");
        self.step(&format!("webhook {}", received.event_type()));
        for (name, value) in &received.headers {
            self.line(&format!("  {name}: {value}"));
        }
        for line in excerpt(&received.json()).lines() {
            self.line(&format!("  {line}"));
        }
        match &received.verdict {
            Ok(age) => {
                let text = "verified by the receiver:";
                let how = format!(
                    "HMAC-SHA256 over id.timestamp.body ({} bytes), {age} s old",
                    received.body.len()
                );
                self.line(&format!("  {} {how}", self.good(text)));
            }
            Err(reason) => self.line(&format!("  {} {reason}", self.bad("NOT verified:"))),
        }
    }

    /// How it ended.
    pub fn result(&self, operation: &Operation, took: Duration) {
        let result = operation.result.as_deref().unwrap_or("unknown");
        let machines = operation
            .session
            .as_ref()
            .map_or(0, |session| session.virtual_machines.len());
        self.line("");
        let word = self.tint(result);
        self.line(&format!(
            "result: {word}, {} in {:.1} s",
            counted(machines, "machine"),
            took.as_secs_f64()
        ));
        if let Some(failure) = &operation.failure {
            self.line(&format!("  {}", failure.message));
        }
    }

    /// The report of the test, verified as a file.
    pub fn report(&self, file: Option<&str>, verified: &str) {
        let place = match file {
            Some(file) => format!("written to {file}"),
            None => "not written: the working directory cannot be written to".to_owned(),
        };
        self.line("");
        self.line(&format!("recovery report: {place}"));
        self.line(&format!("  verified as signed: {verified}"));
    }

    /// What to try while it stays up.
    pub fn invite(&self, stage: &Stage) {
        let url = &stage.gateway_url;
        self.line("");
        self.line("It stays up until Ctrl-C. To try it:");
        self.line("");
        self.line(&format!(
            "  console         {url}/console/    (log in with the token below)"
        ));
        self.line(&format!("  documentation   {url}/docs"));
        self.line(&format!("  simulator       {}/_sim/stats", stage.simulator_url));
        self.line("");
        self.line(&format!("  TOKEN={}", stage.token));
        self.line(&format!(
            "  curl -H \"Authorization: Bearer $TOKEN\" {url}/api/v1/cloud-failover-plans"
        ));
        self.line("");
        self.line("Webhooks that arrive from now on:");
    }

    fn step(&self, text: &str) {
        let text = self.strong(text);
        self.line(&text);
    }

    fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn write(&self, text: &str) {
        let mut out = self.out.lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn bar(&self, percent: f64) -> String {
        let share = (percent / 100.0).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and BAR; rounded down, so that full means done"
        )]
        let filled = (share * BAR as f64).floor() as usize;
        format!(
            "{}{}",
            self.cells.0.repeat(filled),
            self.cells.1.repeat(BAR.saturating_sub(filled))
        )
    }

    fn tint(&self, word: &str) -> String {
        match word {
            "success" => self.good(word),
            "failed" => self.bad(word),
            other => other.to_owned(),
        }
    }

    fn good(&self, text: &str) -> String {
        self.style("32", text)
    }

    fn bad(&self, text: &str) -> String {
        self.style("31", text)
    }

    fn strong(&self, text: &str) -> String {
        self.style("1", text)
    }

    fn faint(&self, text: &str) -> String {
        self.style("2", text)
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A name in its column: cut, without anything that could move the cursor.
fn name(name: &str) -> String {
    let clean = name.chars().map(|c| if is_harmful(c) { '?' } else { c });
    format!("{:<NAME$}", clean.take(NAME).collect::<String>())
}

/// The body of an event, cut to its main members; `"…": "…"` replaces the rest.
fn excerpt(body: &Value) -> String {
    let pick = |value: Option<&Value>, keys: &[&str]| -> Value {
        let Some(Value::Object(object)) = value else {
            return Value::Null;
        };
        let picked = object.iter().filter(|(key, _)| keys.contains(&key.as_str()));
        let picked = picked.map(|(key, value)| (key.clone(), value.clone()));
        picked
            .chain([("…".to_owned(), json!("…"))])
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let session = pick(
        body.pointer("/data/session"),
        &["id", "planName", "state", "result", "startedAt", "endedAt"],
    );
    let operation = pick(
        body.pointer("/data/operation"),
        &["id", "action", "state", "result", "requestedBy"],
    );
    let shown = json!({
        "type": body.get("type"),
        "timestamp": body.get("timestamp"),
        "data": { "session": session, "operation": operation, "sequence": body.pointer("/data/sequence") },
    });
    serde_json::to_string_pretty(&shown)
        .unwrap_or_default()
        .replace("\"…\": \"…\"", "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        Screen {
            out: io::stdout(),
            terminal: false,
            colour: false,
            cells: ("#", "."),
            live: false,
            drawn: 0,
            notes: Vec::new(),
            said: BTreeMap::new(),
        }
    }

    #[test]
    fn a_progress_bar_is_as_full_as_its_percentage() {
        let filled = |percent| screen().bar(percent).matches('#').count();
        assert_eq!((filled(0.0), filled(50.0), filled(100.0)), (0, BAR / 2, BAR));
        assert_eq!((filled(-5.0), filled(1e9), filled(f64::NAN)), (0, BAR, 0));
        assert_eq!(screen().bar(33.0).len(), BAR);
    }

    #[test]
    fn a_hostile_machine_name_moves_no_cursor() {
        assert_eq!(name("a\x1b[2Jb\n").trim_end(), "a?[2Jb?");
        assert_eq!(name(&"x".repeat(99)).len(), NAME);
    }

    #[test]
    fn an_excerpt_marks_what_was_cut() {
        let body =
            json!({"type": "t", "data": {"session": {"result": "success", "links": {}}, "sequence": 2}});
        let text = excerpt(&body);
        assert!(text.contains("\"result\": \"success\"") && text.contains('…') && !text.contains("links"));
    }
}
