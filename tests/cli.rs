//! The binary as a process: help, exit codes, what is said where.
//!
//! Each run gets an environment of its own and an empty working directory, so that nothing of the machine leaks in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected shall end loudly"
)]

#[cfg(feature = "manual")]
#[path = "cli/manual.rs"]
mod manual;

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const CONFIG: &str = r#"
[upstream]
url = "https://em.example:9398"
[[upstream.accounts]]
name = "operators"
username = 'LAB\svc-emgate'
password = "word of the account"
[auth]
issuer = "https://idp.example/"
audience = "emgate"
[[auth.keys]]
kind = "hs256"
secret = "a secret of thirty-two bytes or more"
"#;

/// What a run left behind.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn emgate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emgate"));
    command
        .args(arguments)
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    emgate(folder.path(), arguments).output().unwrap().into()
}

/// Runs in a folder whose `emgate.toml` is [`CONFIG`].
fn run_configured(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("emgate.toml"), CONFIG).unwrap();
    emgate(folder.path(), arguments).output().unwrap().into()
}

fn run_with_input(arguments: &[&str], input: &[u8]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut command = emgate(folder.path(), arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

const COMMANDS: &[&str] = &[
    #[cfg(feature = "demo")]
    "simulate",
    #[cfg(feature = "demo")]
    "demo",
    "audit",
    "check",
    #[cfg(feature = "manual")]
    "completions",
    "convert",
    "events",
    "health",
    "listen",
    #[cfg(feature = "manual")]
    "man",
    "openapi",
    "operation",
    "plan",
    "report",
    "serve",
    "store",
    "survey",
    "token",
];

#[test]
fn every_command_has_help_with_examples() {
    let all = run(&["--help"]);
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    for command in COMMANDS {
        assert!(
            all.stdout.contains(&format!("\n  {command} ")),
            "{command} is not listed:\n{}",
            all.stdout
        );
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{command}");
        assert!(
            help.stdout.contains("Examples:\n  emgate "),
            "{command}:\n{}",
            help.stdout
        );
        assert!(help.stderr.is_empty(), "{command}: {}", help.stderr);
    }
    let listed = all
        .stdout
        .split_once("Commands:\n")
        .unwrap()
        .1
        .split_once("\n\n")
        .unwrap()
        .0;
    assert_eq!(
        listed.lines().count(),
        COMMANDS.len() + 1,
        "a command is missing in this test:\n{listed}"
    );
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for (line, said) in [
        ("", "Usage: emgate <COMMAND>"),
        ("frobnicate", "frobnicate"),
        ("token", "--subject"),
        ("token --subject s --scope plans:everything", "is not a scope"),
        ("token --subject= --scope all", "--subject"),
        ("token --subject s --scope all --ttl 0s", "a second or longer"),
        ("token --subject s --scope all --ttl 900ms", "a second or longer"),
        ("listen --forward-to receiver.example", "for example http://"),
        (
            "listen --forward-to ftp://receiver.example",
            "for example http://",
        ),
        #[cfg(feature = "demo")]
        ("simulate --speed 0", "--speed must be above 0"),
    ] {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = run(&arguments);
        assert_eq!(run.code, Some(2), "{line}: {}", run.stderr);
        assert!(
            run.stdout.is_empty() && run.stderr.contains(said),
            "{line}: {}",
            run.stderr
        );
    }
}

#[test]
fn a_faulty_configuration_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emgate.toml");
    std::fs::write(&file, CONFIG.replace("[auth]", "[auth]\nleway = \"30s\"")).unwrap();
    let run: Run = emgate(folder.path(), &["token", "--subject", "s", "--scope", "all"])
        .env("EMGATE_SERVER__LISTEN", "nowhere")
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.starts_with("error: the configuration has 2 faults:\n"),
        "{}",
        run.stderr
    );
    for words in [
        "auth.leway is unknown",
        "server.listen (from EMGATE_SERVER__LISTEN)",
        "hint: ",
    ] {
        assert!(run.stderr.contains(words), "{words}:\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("word of the account"), "{}", run.stderr);
}

#[test]
fn the_file_is_the_one_asked_for_else_that_of_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    let token = ["token", "--subject", "s", "--scope", "all"];
    let run: Run = emgate(folder.path(), &token)
        .env("EMGATE_CONFIG", "of-variable.toml")
        .output()
        .unwrap()
        .into();
    assert!(
        run.stderr.contains("of-variable.toml cannot be read"),
        "{}",
        run.stderr
    );
    let asked = [&token[..], &["--config", "asked-for.toml"]].concat();
    let run: Run = emgate(folder.path(), &asked)
        .env("EMGATE_CONFIG", "of-variable.toml")
        .output()
        .unwrap()
        .into();
    assert!(
        run.stderr.contains("asked-for.toml cannot be read"),
        "{}",
        run.stderr
    );
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_bad_log_filter_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let token = ["token", "--subject", "s", "--scope", "all"];
    let run: Run = emgate(folder.path(), &token)
        .env("EMGATE_LOG", "emgate=loud")
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("EMGATE_LOG"), "{}", run.stderr);
}

/// The claims of a token made with [`CONFIG`], its signature, issuer and audience checked.
fn claims(token: &str) -> Value {
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.set_audience(&["emgate"]);
    validation.set_issuer(&["https://idp.example/"]);
    let key = jsonwebtoken::DecodingKey::from_secret(b"a secret of thirty-two bytes or more");
    jsonwebtoken::decode::<Value>(token.trim(), &key, &validation)
        .unwrap()
        .claims
}

#[test]
fn a_token_carries_what_was_asked_for() {
    let run = run_configured(&[
        "token",
        "--subject",
        "portal",
        "--scope",
        "plans:read plans:test",
        "--ttl",
        "10m",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    let claims = claims(&run.stdout);
    assert_eq!(claims["sub"], "portal");
    assert_eq!(claims["scope"], "plans:read plans:test");
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        600
    );
    assert_eq!(claims.get("tenants"), None);
}

#[test]
fn a_token_for_tenants_is_confined() {
    let run = run_configured(&[
        "token",
        "--subject",
        "s",
        "--scope",
        "all",
        "--tenant",
        "ABC Company",
        "--tenant",
        "XYZ",
    ]);
    let claims = claims(&run.stdout);
    assert_eq!(claims["tenants"], serde_json::json!(["ABC Company", "XYZ"]));
    let scope = claims["scope"].as_str().unwrap();
    assert!(
        scope.contains("webhooks:write") && !scope.contains("tenants:all"),
        "{scope}"
    );
}

#[test]
fn a_token_that_opens_nothing_is_said_to() {
    let signing = |more: &[&str]| {
        let asked = [&["token", "--subject", "s", "--scope"], more].concat();
        run_configured(&asked)
    };
    let useless = signing(&["plans:read"]);
    assert_eq!(useless.code, Some(0), "{}", useless.stderr);
    assert_eq!(useless.stdout.lines().count(), 1, "{}", useless.stdout);
    assert!(
        useless.stderr.contains("tenants:all, or --tenant"),
        "{}",
        useless.stderr
    );
    for useful in [
        &["plans:read tenants:all"][..],
        &["plans:read", "--tenant", "ABC Company"],
    ] {
        let run = signing(useful);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    }
    let nameless = signing(&["plans:read", "--tenant", ""]);
    assert_eq!(nameless.code, Some(2), "{}", nameless.stdout);
}

#[test]
fn a_command_whose_stderr_has_no_reader_ends_with_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // It says that --timeout bounds nothing, then that nobody listens at that address.
    let status = emgate(folder.path(), &["plan", "test", "ERP", "--timeout", "1s"])
        .env("EMGATE_SERVER", "http://127.0.0.1:9")
        .env("EMGATE_TOKEN", "a.b.c")
        .stderr(writer)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

/// A token for [`CONFIG`] with claims beside or instead of good ones.
fn signed(secret: &str, edits: &Value) -> String {
    let mut claims = serde_json::json!({
        "iss": "https://idp.example/", "aud": "emgate", "sub": "ann", "exp": 4_000_000_000_u64,
        "scope": "plans:read sessions:read", "tenants": ["ABC \u{1b}[31mCompany"],
    });
    claims
        .as_object_mut()
        .unwrap()
        .extend(edits.as_object().unwrap().clone());
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

const KEY: &str = "a secret of thirty-two bytes or more";

#[test]
fn an_inspected_token_is_shown_with_its_rights_and_not_itself() {
    let token = signed(KEY, &serde_json::json!({}));
    let by_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(by_file.path(), format!("Bearer {token}\n")).unwrap();
    let file = by_file.path().display().to_string();
    for arguments in [
        &["token", "inspect", &token][..],
        &["token", "inspect", "--file", &file],
    ] {
        let run = run_configured(arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(run.stdout.starts_with("accepted\n"), "{}", run.stdout);
        for line in [
            "issuer     \"https://idp.example/\"",
            "matches    auth.keys[0]",
            "signed     HS256",
            "audience   \"emgate\"",
            "subject    \"ann\"",
            "rules      none",
            "scopes     plans:read sessions:read",
            "tenants    \"ABC \\u{1b}[31mCompany\"",
            "expires    2096-10-02T07:06:40Z, in ",
        ] {
            assert!(run.stdout.contains(line), "{line} is not in\n{}", run.stdout);
        }
        for part in token.split('.') {
            assert!(!run.stdout.contains(part) && !run.stderr.contains(part));
        }
    }
}

#[test]
fn an_inspected_token_comes_by_stdin_and_is_shown_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("of-the-test.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let config = config.display().to_string();
    let token = signed(KEY, &serde_json::json!({}));
    for arguments in [
        &["token", "inspect", "--json", "--config", &config][..],
        &["token", "inspect", "--json", "--config", &config, "-"],
    ] {
        let run = run_with_input(arguments, token.as_bytes());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let shown: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(shown["accepted"], true);
        assert_eq!(shown["refusal"], Value::Null);
        assert_eq!(shown["matches"], "auth.keys[0]");
        assert_eq!(
            shown["scopes"],
            serde_json::json!(["plans:read", "sessions:read"])
        );
        assert_eq!(shown["expiresAt"], "2096-10-02T07:06:40Z");
    }
}

#[test]
fn a_refused_token_is_inspected_with_the_reason_and_the_remedy() {
    for (token, reason, remedy, has_rights) in [
        (
            signed(KEY, &serde_json::json!({"exp": 1})),
            "the token has expired",
            "get a new token",
            true,
        ),
        (
            signed(KEY, &serde_json::json!({"aud": "other"})),
            "meant for another audience",
            "wanted is \"emgate\"",
            true,
        ),
        (
            signed(KEY, &serde_json::json!({"iss": "https://x.example"})),
            "from another issuer",
            "auth.issuer",
            true,
        ),
        (
            signed("another secret of thirty-two bytes", &serde_json::json!({})),
            "no trusted key",
            "among auth.keys",
            false,
        ),
        (
            "opaque-words".to_owned(),
            "not a signed JSON Web Token",
            "three parts",
            false,
        ),
    ] {
        let run = run_configured(&["token", "inspect", &token]);
        assert_eq!(run.code, Some(1), "{reason}: {}", run.stdout);
        assert!(
            run.stdout.starts_with("refused: ") && run.stdout.contains(reason),
            "{}",
            run.stdout
        );
        assert!(
            run.stderr.contains(reason) && run.stderr.contains(remedy),
            "{}",
            run.stderr
        );
        assert_eq!(
            run.stdout.contains("scopes     plans:read"),
            has_rights,
            "{}",
            run.stdout
        );
        let signature = token.rsplit('.').next().unwrap();
        assert!(!run.stdout.contains(signature) && !run.stderr.contains(signature));
        let run = run_configured(&["token", "inspect", "--json", &token]);
        let shown: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &shown["accepted"]), (Some(1), &Value::Bool(false)));
        assert!(
            shown["refusal"]["reason"].as_str().unwrap().contains(reason),
            "{shown}"
        );
    }
}

#[test]
fn what_is_no_token_to_inspect_ends_with_2() {
    let token = signed(KEY, &serde_json::json!({}));
    for arguments in [
        &["token", "inspect", ""][..],
        &["token", "inspect", "two words"],
        &["token", "inspect", "--file", "absent.jwt"],
        &["token", "inspect"],
        &["token", "inspect", &token, "--file", "emgate.toml"],
        &["token", "inspect", &token, "--config", "absent.toml"],
    ] {
        let run = run_configured(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}{}", run.stdout, run.stderr);
        assert!(
            run.stdout.is_empty() && !run.stderr.contains(&token),
            "{}",
            run.stderr
        );
    }
}

/// As EM writes it, the end of the root cut off.
const SESSION: &str = "<CloudFailoverSession Name=\"ABC\" UID=\"urn:veeam:CloudFailoverSession:a986d473-0248-4884-9832-17ec982ee393\" \
    xmlns=\"http://www.veeam.com/ent/v1.0\"><State>Working</State>";

fn session() -> String {
    format!("\u{feff}{SESSION}</CloudFailoverSession>")
}

#[test]
fn convert_writes_json_with_two_blanks_per_level() {
    for arguments in [&["convert"][..], &["convert", "-"]] {
        let run = run_with_input(arguments, session().as_bytes());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let json: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(json["state"], "Working");
        assert_eq!(json["id"], "a986d473-0248-4884-9832-17ec982ee393");
        assert_eq!(
            run.stdout,
            format!("{}\n", serde_json::to_string_pretty(&json).unwrap())
        );
    }
}

#[test]
fn convert_reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("session.xml"), session()).unwrap();
    let run: Run = emgate(folder.path(), &["convert", "--compact", "session.xml"])
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1);
    let missing: Run = emgate(folder.path(), &["convert", "missing.xml"])
        .output()
        .unwrap()
        .into();
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.starts_with("error: cannot read missing.xml: "),
        "{}",
        missing.stderr
    );
}

#[test]
fn convert_ends_with_1_on_a_refused_document() {
    for input in [
        SESSION,
        "",
        "{\"type\":\"CloudFailoverSession\",\"nonsense\":1}",
        "<html><body>down</body></html>",
        "<!DOCTYPE a><a/>",
    ] {
        let run = run_with_input(&["convert"], input.as_bytes());
        assert_eq!(run.code, Some(1), "{input}");
        assert!(
            run.stderr.starts_with("error: stdin is refused: "),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn health_says_that_no_port_is_configured_to_ask() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("emgate.toml"), CONFIG).unwrap();
    let run: Run = emgate(folder.path(), &["health"])
        .env("EMGATE_SERVER__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("server.listen has port 0"), "{}", run.stderr);
}

#[test]
fn health_fails_without_a_listener() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("emgate.toml"), CONFIG).unwrap();
    // The port is free: it was bound before and closed again.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let run: Run = emgate(folder.path(), &["health"])
        .env("EMGATE_SERVER__LISTEN", &free)
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr
            .contains(&format!("http://{free}/healthz does not answer")),
        "{}",
        run.stderr
    );
}

#[test]
fn convert_round_trips() {
    let json = run_with_input(&["convert"], session().as_bytes()).stdout;
    let xml = run_with_input(&["convert", "--type", "CloudFailoverSession"], json.as_bytes());
    assert_eq!(xml.code, Some(0), "{}", xml.stderr);
    assert!(xml.stdout.contains("<CloudFailoverSession "), "{}", xml.stdout);
    let again = run_with_input(&["convert", "--to", "json"], xml.stdout.as_bytes());
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        value(&again.stdout),
        value(&json),
        "but for the order of keys, which is free"
    );
}

#[test]
fn convert_wants_to_know_what_json_is() {
    for (arguments, hint) in [
        (&["convert"][..], "--type"),
        (&["convert", "--type", "Nonsense"], "EM's own names"),
    ] {
        let run = run_with_input(arguments, b"{}");
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{}", run.stderr);
    }
}

#[test]
fn openapi_prints_the_document() {
    let run = run(&["openapi"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/cloud-failover-plans/{planId}/test"]["post"].is_object());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/emgate.v1.json");
    assert!(
        run.stdout == std::fs::read_to_string(kept).unwrap(),
        "openapi/emgate.v1.json is stale: make openapi"
    );
}

#[test]
fn check_prints_the_defaults_to_start_from() {
    let run = run(&["check", "--defaults"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("\n[upstream]\n"), "{}", run.stdout);
}

#[test]
fn check_tries_every_part() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("emgate.toml"), CONFIG).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let run: Run = emgate(folder.path(), &["check"])
        .env("EMGATE_SERVER__LISTEN", taken.local_addr().unwrap().to_string())
        .env("EMGATE_UPSTREAM__URL", "http://127.0.0.1:1")
        .env("EMGATE_STORE__URL", "sqlite://nowhere/at/all.db")
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, Some(1));
    let failed = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("FAILED"))
        .count();
    assert_eq!(failed, 3, "{}", run.stdout);
    assert!(
        run.stdout
            .starts_with("ok      configuration   is in order (1 account)\n"),
        "{}",
        run.stdout
    );
    for words in ["listener", "store", "em operators", "upstream.ca_file"] {
        assert!(run.stdout.contains(words), "{words}:\n{}", run.stdout);
    }
    assert!(
        run.stderr.starts_with("error: 3 of 4 steps failed\nhint: "),
        "{}",
        run.stderr
    );
    assert!(!format!("{}{}", run.stdout, run.stderr).contains("word of the account"));
}

/// A simulator as a process, ended when dropped.
#[cfg(feature = "demo")]
struct Simulator {
    child: std::process::Child,
    url: String,
}

#[cfg(feature = "demo")]
impl Simulator {
    fn start(folder: &Path) -> Self {
        use std::io::BufRead as _;
        let mut child = emgate(
            folder,
            &[
                "simulate",
                "--listen",
                "127.0.0.1:0",
                "--user",
                "me",
                "--password",
                "word",
            ],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let log = std::io::BufReader::new(child.stderr.take().unwrap());
        let listening = log
            .lines()
            .map(Result::unwrap)
            .find(|line| line.contains("listening"))
            .unwrap();
        let line: Value = serde_json::from_str(&listening).unwrap();
        Self {
            child,
            url: format!("http://{}", line["listen"].as_str().unwrap()),
        }
    }

    /// Logons and logoffs that it has seen.
    async fn logons(&self) -> (u64, u64) {
        let stats = reqwest::get(format!("{}/_sim/stats", self.url)).await.unwrap();
        let stats: Value = stats.json().await.unwrap();
        (
            stats["logons"].as_u64().unwrap(),
            stats["logoffs"].as_u64().unwrap(),
        )
    }
}

#[cfg(feature = "demo")]
impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(feature = "demo")]
#[tokio::test]
async fn check_logs_off_the_session_it_opened() {
    let folder = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(folder.path());
    std::fs::write(folder.path().join("emgate.toml"), CONFIG).unwrap();
    let check = |password: &str| -> Run {
        emgate(folder.path(), &["check"])
            .env("EMGATE_SERVER__LISTEN", "127.0.0.1:0")
            .env("EMGATE_UPSTREAM__URL", &simulator.url)
            .env("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "me")
            .env("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", password)
            .output()
            .unwrap()
            .into()
    };
    let good = check("word");
    assert_eq!(good.code, Some(0), "{}{}", good.stdout, good.stderr);
    assert!(
        good.stdout
            .contains("ok      em operators    logged on to http://"),
        "{}",
        good.stdout
    );
    assert!(good.stderr.is_empty(), "{}", good.stderr);
    assert_eq!(simulator.logons().await, (1, 1));

    // Every account is tried, a tenant's too.
    let config = format!(
        "{CONFIG}\n[[upstream.accounts]]\nname = \"abc\"\nusername = \"ABC Company\"\n\
         password = \"simulated\"\ntenant = \"ABC Company\"\n"
    );
    std::fs::write(folder.path().join("emgate.toml"), config).unwrap();
    let both = check("word");
    assert_eq!(both.code, Some(0), "{}{}", both.stdout, both.stderr);
    assert!(both.stdout.contains("ok      em abc"), "{}", both.stdout);
    assert_eq!(simulator.logons().await, (3, 3));
    std::fs::write(folder.path().join("emgate.toml"), CONFIG).unwrap();

    let bad = check("another word");
    assert_eq!(bad.code, Some(1));
    assert!(bad.stdout.contains("FAILED  em operators"), "{}", bad.stdout);
    assert!(bad.stdout.contains("username and password"), "{}", bad.stdout);
    assert_eq!(
        simulator.logons().await,
        (3, 3),
        "a refused logon leaves nothing open"
    );
}

#[test]
fn serve_refuses_a_store_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("https://em.example:9398", "https://127.0.0.1:1");
    std::fs::write(folder.path().join("emgate.toml"), config).unwrap();
    let key = folder.path().join("emgate.db.key");
    let start = |command: &str| -> Run {
        emgate(folder.path(), &[command])
            .env("EMGATE_SERVER__LISTEN", "127.0.0.1:0")
            .output()
            .unwrap()
            .into()
    };
    // Makes the store, and the key beside it.
    let checked = start("check");
    assert!(
        checked.stdout.contains("opens and is up to date"),
        "{}{}",
        checked.stdout,
        checked.stderr
    );
    let right = std::fs::read_to_string(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    let run = start("serve");
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(!key.exists(), "a key was made for a store that was sealed");
    std::fs::write(&key, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let other = start("serve");
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    for refused in [run, other] {
        for part in [
            "emgate.db.key",
            "store.encryption_key_file",
            "If it is lost for good",
        ] {
            assert!(
                refused.stderr.contains(part),
                "{part} is missing: {}",
                refused.stderr
            );
        }
    }
    std::fs::write(&key, right).unwrap();
    assert!(start("check").stdout.contains("opens and is up to date"));
}
