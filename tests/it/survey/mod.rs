//! `emgate survey` as a process before a simulated Enterprise Manager: what it finds, what it does not tell, what it does after a
//! kill, and what it finds in schema files.

mod plants;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Output, Stdio};

use emgate::catalogue::catalogue;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Process, command};
use crate::support::scripted_server::ScriptedServer;
use crate::waiting::{eventually, output_of};
use plants::PLANTS;

const USER: &str = r"LAB\svc-emgate";
const PASSWORD: &str = "simulated";

/// A simulated EM as a process, and a server before it that can change its answers.
struct Em {
    simulator: Process,
    server: ScriptedServer,
    url: String,
    folder: TempDir,
}

impl Em {
    async fn start(options: &[&str]) -> Self {
        let simulate = ["simulate", "--listen", "127.0.0.1:0", "--history", "3"];
        let simulator = Process::start(&[&simulate, options].concat(), &[]);
        let server = ScriptedServer::start().await;
        let mut config = emgate::upstream::Config::new(simulator.url("").parse().expect("a URL"), Vec::new());
        server.put_before(&mut config);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("password"), PASSWORD).expect("written");
        Self {
            simulator,
            server,
            url: config.url.to_string(),
            folder,
        }
    }

    fn command(&self, more: &[&str]) -> std::process::Command {
        let fixed = [
            "survey",
            "--url",
            &self.url,
            "--username",
            USER,
            "--password-file",
            "password",
            "--rate",
            "1000",
        ];
        let mut survey = command(&[], &[&fixed, more].concat());
        survey
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        survey
    }

    async fn survey(&self, more: &[&str]) -> Output {
        let child = self.command(more).spawn().expect("started");
        tokio::task::spawn_blocking(move || output_of(child))
            .await
            .expect("waited for")
    }

    fn report(&self) -> Value {
        let report = std::fs::read(self.folder.path().join("emgate-survey.json")).expect("a report");
        serde_json::from_slice(&report).expect("JSON")
    }

    /// What was read, and how often.
    fn reads(&self) -> BTreeMap<String, usize> {
        let mut reads = BTreeMap::new();
        for seen in self.server.seen("GET /api/") {
            // Logging on begins with the root, and a logon session is asked for while an answer is late.
            let own = seen.target == "/api/" || seen.target.starts_with("/api/logonSessions/");
            if !own {
                *reads.entry(seen.target).or_default() += 1;
            }
        }
        reads
    }

    fn journal(&self) -> std::path::PathBuf {
        self.folder.path().join("emgate-survey.json.journal")
    }

    /// All documents of the world that the survey read, as the simulator writes them.
    async fn world(&self) -> Vec<String> {
        let client = crate::support::client::plain();
        let logon = client
            .post(self.simulator.url("/api/sessionMngr/?v=latest"))
            .basic_auth(USER, Some(PASSWORD))
            .header("content-length", "0");
        let logon = logon.send().await.expect("answered");
        let token = logon.headers()["x-restsvcsessionid"].clone();
        let mut documents = Vec::new();
        for target in self.reads().keys() {
            let read = client
                .get(self.simulator.url(target))
                .header("x-restsvcsessionid", token.clone());
            let answer = read.send().await.expect("answered");
            documents.push(answer.text().await.expect("text"));
        }
        documents
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every value of a document: texts and attributes, whole and by the parts of paths.
fn values(document: &str, into: &mut BTreeSet<String>) {
    let mut reader = Reader::from_str(document.trim_start_matches('\u{feff}'));
    let mut add = |text: &str| {
        let parts = text.split(['/', '?', ':', '@', '\\']).chain([text]);
        into.extend(
            parts
                .map(str::trim)
                .filter(|part| part.len() > 5)
                .map(str::to_owned),
        );
    };
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) | Event::Empty(tag) => {
                for attribute in tag.attributes().flatten() {
                    add(&quick_xml::escape::unescape(&attribute.value).expect("references"));
                }
            }
            Event::Text(text) => add(&text.xml10_content()),
            Event::Eof => return,
            _ => {}
        }
    }
}

/// The words that a report has of the catalogue.
fn vocabulary() -> BTreeSet<&'static str> {
    let mut words = BTreeSet::new();
    for (_, ty) in catalogue().types() {
        words.insert(ty.name);
        words.extend(ty.link_types.iter().chain(&ty.roots).copied());
        words.extend(ty.fields.iter().map(|field| field.name));
    }
    for words_of in catalogue().enums() {
        words.insert(words_of.name);
        words.extend(words_of.values.iter().chain(&words_of.observed).copied());
    }
    for resource in catalogue().resources() {
        words.extend(resource.path.split('/'));
    }
    words.extend(catalogue().queries().iter().map(|query| query.name));
    words.extend(catalogue().link_relations().iter().map(|(relation, _)| *relation));
    words.extend(["format=Entity", "Reference", "resources"]);
    words
}

/// All texts of a document of JSON, names of members included.
fn strings(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => _ = into.insert(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(members) => {
            for (name, member) in members {
                into.insert(name.clone());
                strings(member, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn nothing_differs_where_the_server_is_as_the_catalogue_says() {
    for options in [&["--plain"][..], &[]] {
        let em = Em::start(options).await;
        let done = em.survey(&["--max-pages", "1"]).await;
        let report = em.report();
        assert_eq!(
            done.status.code(),
            Some(0),
            "{}{}",
            text(&done.stderr),
            report["findings"]
        );
        assert_eq!(report["findings"], serde_json::json!([]));
        assert_eq!(report["apiVersion"], "v1_7");
        assert!(
            report["reads"]["count"].as_u64().is_some_and(|count| count > 400),
            "{}",
            report["reads"]
        );
        // More than a hundred restore points: a page was left.
        assert!(report["reads"]["queriesCut"].as_u64().is_some_and(|cut| cut > 0));
        let job = &report["types"]["JobEntityType"];
        assert!(
            job["seen"].as_u64() > Some(10) && job["fields"]["JobType"] == job["seen"],
            "{job}"
        );
        let jobs = report["resources"].as_array().expect("a list").iter();
        let jobs: Vec<_> = jobs.filter(|one| one["resource"] == "/query?type=Job").collect();
        assert!(
            jobs.len() == 1 && jobs[0]["milliseconds"]["p95"].is_number(),
            "{jobs:?}"
        );
        assert!(
            em.server
                .seen("POST")
                .iter()
                .all(|seen| seen.target.starts_with("/api/sessionMngr/"))
        );
        assert!(
            em.server
                .seen("DELETE")
                .iter()
                .all(|seen| seen.target.starts_with("/api/logonSessions/"))
        );
        assert!(em.server.seen("PUT").is_empty() && !em.journal().exists());
    }
}

#[tokio::test]
async fn every_planted_difference_is_found_and_no_value_is_told() {
    let em = Em::start(&["--plain", "--seed", "1"]).await;
    plants::plant_all(&em.server);
    let done = em.survey(&[]).await;
    assert_eq!(done.status.code(), Some(3), "{}", text(&done.stderr));
    let report = em.report();
    let findings = report["findings"].as_array().expect("a list");
    for plant in PLANTS {
        let found = findings.iter().any(|finding| {
            finding["kind"] == plant.kind
                && finding["type"] == plant.ty
                && finding["field"].as_str().unwrap_or_default() == plant.field
        });
        assert!(found, "{plant:?} was not found in {findings:#?}");
    }
    // Beside what was planted, three documents cannot be transcoded.
    let kinds: BTreeSet<&str> = PLANTS
        .iter()
        .map(|plant| plant.kind)
        .chain(["notReadable"])
        .collect();
    let others: Vec<&Value> = findings
        .iter()
        .filter(|finding| !kinds.contains(finding["kind"].as_str().expect("a kind")))
        .collect();
    assert!(others.is_empty(), "{others:#?}");

    let mut told = BTreeSet::new();
    strings(&report, &mut told);
    let mut told: String = told.into_iter().collect::<Vec<_>>().join("\n");
    told.push_str(&text(&done.stdout));
    assert!(!told.contains(plants::MARK), "a planted value is told");
    let (mut world, known) = (BTreeSet::new(), vocabulary());
    for document in em.world().await {
        values(&document, &mut world);
    }
    assert!(world.len() > 3_000, "{}", world.len());
    assert!(world.contains("srv13.lab.example") && world.contains(crate::support::PLAN));
    let is_number = |value: &str| value.chars().all(|c| c.is_ascii_digit() || c == '.');
    let leaked: Vec<&String> = world
        .iter()
        .filter(|value| !known.contains(value.as_str()) && !is_number(value) && told.contains(value.as_str()))
        .collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
    for secret in [USER, PASSWORD, &em.url] {
        assert!(!told.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_survey_that_was_killed_reads_nothing_twice_but_what_had_no_answer() {
    const HELD: &str = "/api/query?type=Job&format=Entities&pageSize=100&page=1";
    let mut em = Em::start(&["--plain"]).await;
    em.server
        .before(&format!("GET {HELD}"), 1, std::future::pending());
    let mut first = em.command(&[]).spawn().expect("started");
    eventually(
        "the read that is held",
        async || em.reads(),
        |reads| reads.contains_key(HELD),
    )
    .await;
    first.kill().expect("killed");
    first.wait().expect("gone");
    let before = em.reads();
    assert!(before.len() > 50, "{before:?}");

    let refused = em.survey(&[]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("--resume goes on"),
        "{}",
        text(&refused.stderr)
    );
    let url = std::mem::replace(&mut em.url, "http://127.0.0.1:1".to_owned());
    let other = em.survey(&["--resume"]).await;
    em.url = url;
    assert_eq!(other.status.code(), Some(2));
    assert!(
        text(&other.stderr).contains("is of another survey"),
        "{}",
        text(&other.stderr)
    );
    assert_eq!(em.reads(), before);

    let second = em.survey(&["--resume"]).await;
    assert_eq!(second.status.code(), Some(0), "{}", text(&second.stderr));
    let goes_on = format!("goes on after {} reads\n", before.len() - 1);
    assert!(text(&second.stderr).starts_with(&goes_on), "{goes_on}{before:#?}");
    let reads = em.reads();
    let twice: Vec<&String> = reads
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(target, _)| target)
        .collect();
    assert_eq!(twice, [HELD]);
    let report = em.report();
    let resources = report["resources"].as_array().expect("a list").iter();
    let left_out = resources.filter(|one| one["resource"] == "/logonSessions/{ID}");
    let left_out: u64 = left_out.filter_map(|one| one["reads"].as_u64()).sum();
    assert_eq!(report["reads"]["count"], reads.len() as u64 + left_out);
    assert!(!em.journal().exists());
}

#[tokio::test]
async fn a_server_that_is_away_leaves_nothing_to_go_on_with() {
    let mut em = Em::start(&[]).await;
    em.url = "http://127.0.0.1:1".to_owned();
    let done = em.survey(&[]).await;
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done.stderr);
    assert!(
        said.contains("stopped after 0 reads") && said.contains("emgate check tests the logon"),
        "{said}"
    );
    assert!(!em.journal().exists());
    let again = em.survey(&["--resume"]).await;
    assert_eq!(again.status.code(), Some(2));
    let said = text(&again.stderr);
    assert!(said.contains("nothing was interrupted there"), "{said}");
}
