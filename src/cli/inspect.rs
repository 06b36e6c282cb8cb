//! `emgate token inspect`: what the configured gateway would make of a token, by the code that requests use.
//!
//! Fetches the keys of issuers as the gateway does, with its limits. Neither the token nor its signature is printed.

use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{ConfigFile, Failure, output};
use crate::auth::{Inspection, KeyOf, Refusal, Verifier};
use crate::bootstrap;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::access::{Scope, Tenancy};

/// Largest input that is read, in bytes; the longest token is far shorter.
const LARGEST: u64 = 1024 * 1024;
/// How long the fetching of keys may take to end when it is not needed any more.
const END: Duration = Duration::from_secs(1);

/// Arguments of `emgate token inspect`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate token inspect --config emgate.toml --file token.jwt
  pbpaste | emgate token inspect -
  emgate token inspect --json - < token.jwt | jq .scopes

Exit code 0: requests with the token are accepted; 1: they are refused; 2: there is no token, or no configuration.
A token on the command line is in the shell's history and visible to other users of the machine; a file or stdin is not.")]
pub struct Args {
    /// The token; stdin when absent or "-"
    #[arg(value_name = "TOKEN", conflicts_with = "file")]
    pub token: Option<String>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Prints what the gateway makes of the token.
///
/// # Errors
/// A failure with exit code 1 when the token is refused, and with 2 when token or configuration cannot be read.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let token = read(args)?;
    let config = args.config.load().map_err(|failure| Failure {
        usage: true,
        ..failure
    })?;
    bootstrap::install_tls_provider();
    let verifier = Verifier::new(&config.auth, SystemClock::shared()).map_err(|error| Failure {
        usage: true,
        ..Failure::caused_by(&error)
    })?;
    let fetching = bootstrap::fetch_keys(&verifier);
    let found = verifier.inspect(token.expose_secret()).await;
    fetching.stop(END).await;
    let report = Report::new(&found, SystemClock.now());
    let text = if args.json {
        format!("{:#}\n", report.json())
    } else {
        report.text()
    };
    output(text.as_bytes())?;
    match found.outcome {
        Ok(_) => Ok(()),
        Err(refusal) => {
            Err(Failure::new(format!("the token is refused: {refusal}")).hint(remedy(&found, refusal)))
        }
    }
}

/// The token, without what people copy along with it.
fn read(args: &Args) -> Result<SecretString, Failure> {
    let text = match (&args.file, args.token.as_deref()) {
        (Some(file), _) => from_file(file)?,
        (None, None | Some("-")) => {
            let stdin = io::stdin();
            if args.token.is_none() && stdin.is_terminal() {
                return Err(Failure::usage("there is no token").hint("give it by --file FILE or on stdin"));
            }
            from(stdin.lock(), "stdin")?
        }
        (None, Some(token)) => token.to_owned().into(),
    };
    let mut words = text.expose_secret().split_whitespace();
    let mut first = words.next();
    if first.is_some_and(|word| word.eq_ignore_ascii_case("bearer")) {
        first = words.next();
    }
    match (first, words.next()) {
        (Some(token), None) => Ok(token.to_owned().into()),
        (None, _) => Err(Failure::usage("there is no token: the input is empty")),
        (Some(_), Some(_)) => Err(Failure::usage(
            "the input is more than a token: it has spaces or lines within",
        )),
    }
}

fn from_file(file: &Path) -> Result<SecretString, Failure> {
    let name = file.display().to_string();
    let opened = std::fs::File::open(file);
    from(opened.map_err(|error| unreadable(&name, &error))?, &name)
}

fn from(input: impl Read, name: &str) -> Result<SecretString, Failure> {
    let mut text = String::new();
    input
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(name, &error))?;
    Ok(text.into())
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {name}: {error}"))
}

/// What to do about a refusal, with what is known of this one.
fn remedy(found: &Inspection, refusal: Refusal) -> String {
    match (refusal, &found.wanted_audience, &found.without_keys) {
        (Refusal::OtherAudience, Some(wanted), _) => {
            format!("{}; wanted is {}", refusal.remedy(), quoted(wanted))
        }
        (Refusal::KeysUnavailable, _, Some(reason)) => format!("{reason}; {}", refusal.remedy()),
        (refusal, _, _) => refusal.remedy().to_owned(),
    }
}

/// What is printed.
struct Report<'f> {
    found: &'f Inspection,
    now: Timestamp,
}

impl<'f> Report<'f> {
    fn new(found: &'f Inspection, now: Timestamp) -> Self {
        Self { found, now }
    }

    fn scopes(&self) -> Option<Vec<&'static str>> {
        let rights = self.found.rights.as_ref()?;
        Some(rights.scopes.iter().copied().map(Scope::as_str).collect())
    }

    /// What surprises whoever holds an accepted token.
    fn notes(&self) -> Vec<&'static str> {
        let Some(rights) = &self.found.rights else {
            return Vec::new();
        };
        let mut notes = Vec::new();
        if rights.scopes.is_empty() {
            notes.push(
                "it gives no scope: every request but GET /api/v1/me and GET /api/v1 is refused with 403",
            );
        }
        match &rights.tenancy {
            Tenancy::Only(tenants) if tenants.is_empty() => {
                notes.push("it is for no tenant and has no tenants:all, so that it shows nothing");
            }
            Tenancy::Only(_) if rights.scopes.contains(&Scope::TenantsAll) => {
                notes.push("its confinement to tenants wins over tenants:all");
            }
            Tenancy::Only(_) | Tenancy::All => {}
        }
        notes
    }

    fn json(&self) -> Value {
        let found = self.found;
        let refusal = found
            .outcome
            .as_ref()
            .err()
            .map(|refusal| json!({"reason": refusal.to_string(), "remedy": remedy(found, *refusal)}));
        let rights = found.rights.as_ref();
        let tenants = rights.map(|rights| match &rights.tenancy {
            Tenancy::All => Value::Null,
            Tenancy::Only(tenants) => json!(tenants),
        });
        json!({
            "accepted": found.outcome.is_ok(),
            "refusal": refusal,
            "issuer": found.issuer,
            "audience": found.audience,
            "subject": found.subject,
            "algorithm": found.algorithm,
            "keyId": found.key_id,
            "matches": found.tried_with.as_ref().map(key_of),
            "rules": rights.map(|rights| rights.rules.clone()),
            "scopes": self.scopes(),
            "tenants": tenants,
            "issuedAt": found.issued_at.map(|at| at.to_string()),
            "validFrom": found.starts_at.map(|at| at.to_string()),
            "expiresAt": found.expires_at.map(|at| at.to_string()),
            "notes": self.notes(),
        })
    }

    fn text(&self) -> String {
        let found = self.found;
        let verdict = match &found.outcome {
            Ok(_) => "accepted".to_owned(),
            Err(refusal) => format!("refused: {refusal}"),
        };
        let mut lines = vec![verdict];
        let mut line = |name: &str, value: Option<String>| {
            lines.extend(value.map(|value| format!("  {name:<10} {value}")));
        };
        line("issuer", found.issuer.as_ref().map(|text| format!("{text:?}")));
        line("matches", found.tried_with.as_ref().map(key_of));
        let key_id = found.key_id.as_ref().map(|id| format!(", kid {id:?}"));
        let signed = found.algorithm.as_ref();
        line(
            "signed",
            signed.map(|algorithm| format!("{algorithm}{}", key_id.unwrap_or_default())),
        );
        if let Some(rights) = &found.rights {
            line("audience", Some(or_none(quoted(&found.audience))));
            line(
                "subject",
                Some(
                    found
                        .subject
                        .as_ref()
                        .map_or("none".to_owned(), |name| format!("{name:?}")),
                ),
            );
            line("rules", Some(or_none(rights.rules.join(", "))));
            line(
                "scopes",
                Some(or_none(self.scopes().unwrap_or_default().join(" "))),
            );
            let tenants = match &rights.tenancy {
                Tenancy::All => "all".to_owned(),
                Tenancy::Only(tenants) => or_none(quoted(tenants)),
            };
            line("tenants", Some(tenants));
        }
        line("issued", found.issued_at.map(|at| self.moment(at)));
        line("valid from", found.starts_at.map(|at| self.moment(at)));
        line("expires", found.expires_at.map(|at| self.moment(at)));
        for note in self.notes() {
            line("note", Some(note.to_owned()));
        }
        lines.join("\n") + "\n"
    }

    /// A moment, and how far away it is.
    fn moment(&self, at: Timestamp) -> String {
        let seconds = at.as_second().saturating_sub(self.now.as_second());
        let (count, unit) = match seconds.unsigned_abs() {
            seconds @ 0..120 => (seconds, "s"),
            seconds @ 120..7_200 => (seconds / 60, "min"),
            seconds @ 7_200..172_800 => (seconds / 3_600, "h"),
            seconds => (seconds / 86_400, "d"),
        };
        if seconds < 0 {
            format!("{at}, {count} {unit} ago")
        } else {
            format!("{at}, in {count} {unit}")
        }
    }
}

fn key_of(key: &KeyOf) -> String {
    match key {
        KeyOf::Issuer(place, name) => format!("auth.issuers[{place}] {name}"),
        KeyOf::Keys(Some(place)) => format!("auth.keys[{place}]"),
        KeyOf::Keys(None) => "no auth.issuers; auth.keys is tried".to_owned(),
    }
}

/// Texts of a token, as a terminal may show them.
fn quoted<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| format!("{text:?}")).collect();
    quoted.join(", ")
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}
