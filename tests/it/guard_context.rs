//! Every verb takes the context of its request first, so that none can forget who asks.

use std::fs;
use std::path::{Path, PathBuf};

/// Verbs without a caller: probes have no token, a refused token no caller, and a ticket stands for one.
const WITHOUT_CALLER: &[&str] = &[
    "readiness",
    "report_keys",
    "audit_refusal",
    "use_operation_ticket",
    "use_stream_ticket",
    "console_token",
    "begin_console_login",
    "take_console_login",
];

/// The name and the parameters after `&self` of each public async method in a source.
fn verbs(source: &str) -> Vec<(&str, String)> {
    source
        .split("pub async fn ")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once('(')?;
            let parameters: String = rest.split_once(") ->")?.0.split_whitespace().collect();
            Some((
                name,
                parameters.strip_prefix("&self")?.trim_matches(',').to_owned(),
            ))
        })
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

fn takes_context(parameters: &str) -> bool {
    parameters
        .trim_start_matches('_')
        .starts_with("context:&OpContext")
}

#[test]
fn every_verb_takes_the_context_first() {
    let mut seen = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app")) {
        let source = fs::read_to_string(&path).unwrap();
        for (name, parameters) in verbs(&source) {
            seen += 1;
            assert!(
                takes_context(&parameters) || WITHOUT_CALLER.contains(&name),
                "{}: the verb {name} does not take `context: &OpContext` first; pass it on from the handler, or make \
                 the method private to the room",
                path.display(),
            );
        }
    }
    assert!(
        seen > 20,
        "only {seen} verbs were found; has the way they are written changed?"
    );
}

/// Verbs for which it does not matter whose things the caller sees: they read nothing that is anybody's or what belongs to
/// something that was seen, or are reached by routes that are closed to callers who are confined.
const WITHOUT_TENANCY: &[&str] = &[
    "callback",
    "em_download",
    "em_read",
    "plan_settings",
    "with_session",
];

#[test]
fn a_verb_that_ignores_its_caller_is_named_here() {
    let mut ignoring = Vec::new();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app")) {
        let source = fs::read_to_string(&path).unwrap();
        let verbs = verbs(&source).into_iter();
        ignoring.extend(
            verbs
                .filter(|(_, parameters)| parameters.starts_with("_context"))
                .map(|(name, _)| name.to_owned()),
        );
    }
    ignoring.sort_unstable();
    assert_eq!(ignoring, WITHOUT_TENANCY);
}

#[test]
fn a_verb_without_context_is_found() {
    let source =
        "impl App {\n    pub async fn plan(\n        &self,\n        id: &EmId,\n    ) -> Plan {}\n}";
    let found = verbs(source);
    assert_eq!(found, [("plan", "id:&EmId".to_owned())]);
    assert!(!takes_context(&found[0].1));
}
