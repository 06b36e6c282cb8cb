//! `emgate report verify`: whether files are the recovery reports that were signed, without a connection where the key is given.
//! `emgate report template`: where a template of one's own begins.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Failure, output};
use crate::bootstrap;
use crate::reports::html::BUILT_IN;
use crate::reports::verify::{Fault, Key, Page, Verified, verify};
use crate::text::{counted, spelled_out};

/// The largest file that is read, in bytes; a report of a thousand machines has two million.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How long the keys of a gateway are waited for.
const LIMIT: Duration = Duration::from_secs(15);

/// Arguments of `emgate report`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate report verify report.json --key report-keys.json
  emgate report verify *.html --server https://dr.example.com
  emgate report template > report.html")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with reports.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Verify that files are the reports that were signed
    Verify(Verify),
    /// Print the built-in template of pages, as a beginning for one of your own (`reports.template_file`)
    #[command(after_help = "Examples:
  emgate report template > report.html")]
    Template,
}

/// Arguments of `emgate report verify`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  curl https://dr.example.com/.well-known/emgate/report-keys > report-keys.json
  emgate report verify report.json --key report-keys.json      without a connection
  emgate report verify *.html --server https://dr.example.com  with the keys of a gateway

Exit code 0: all files are what was signed. 1: one is not; what is wrong is named. 2: a file or the key cannot be read.")]
pub struct Verify {
    /// Reports as JSON or as pages
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The key: a file with the answer of /.well-known/emgate/report-keys, or the public key in base64
    #[arg(long, value_name = "FILE|KEY")]
    pub key: Option<String>,
    /// The gateway to get the keys from, where --key is not given
    #[arg(long, value_name = "URL", env = "EMGATE_SERVER")]
    pub server: Option<String>,
    /// Accept a report that was formatted anew, if its content is what was signed; a page is compared all the same
    #[arg(long)]
    pub reformatted: bool,
}

/// Runs the command.
///
/// # Errors
/// Exit code 1 when a file is not what was signed, 2 when it or the key cannot be read.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let args = match &args.command {
        Command::Verify(args) => args,
        Command::Template => return output(BUILT_IN.as_bytes()),
    };
    let keys = match (&args.key, &args.server) {
        (Some(key), _) => given(key)?,
        (None, Some(server)) => fetched(server).await?,
        (None, None) => {
            return Err(Failure::usage("there is no key to verify with")
                .hint("give it by --key, or the gateway to get it from by --server"));
        }
    };
    let (mut told, mut wrong) = (String::new(), Vec::new());
    for file in &args.files {
        let name = file.display();
        match verify(&content(file)?, &keys, args.reformatted) {
            Ok(verified) => told.push_str(&good(&name.to_string(), &verified)),
            Err(faults) => {
                told.push_str(&format!("{name}: NOT VERIFIED\n"));
                for fault in &faults {
                    told.push_str(&format!("  {}\n", spelled_out(&fault.to_string())));
                }
                wrong.push((name.to_string(), faults));
            }
        }
    }
    output(told.as_bytes())?;
    match wrong.as_slice() {
        [] => Ok(()),
        [(name, faults)] => Err(Failure::new(format!(
            "{name} is not the report that was signed: {}",
            parts(faults)
        ))),
        many => Err(Failure::new(format!(
            "{} of {} files are not the reports that were signed",
            many.len(),
            args.files.len()
        ))),
    }
}

/// Verifies the content of a file with the keys that a gateway told: the verdict and the digest, or all faults.
///
/// # Errors
/// The faults, in one line.
pub fn check(content: &[u8], keys: &Value) -> Result<String, String> {
    let keys = listed(keys).ok_or("the gateway told no keys")?;
    match verify(content, &keys, false) {
        Ok(verified) => Ok(format!("{}, {}", verified.verdict, verified.digest)),
        Err(faults) => Err(faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")),
    }
}

fn good(name: &str, verified: &Verified) -> String {
    let page = match verified.page {
        Page::Compared => ", page compared",
        Page::OtherVersion => ", page not compared: it was made by another version",
        Page::Template => ", page not compared: it was made by a template of the operator's",
        Page::None => "",
    };
    format!(
        "{name}: verified: {} ({}), report {} revision {}, {}, signed by {}, {}{page}\n",
        verified
            .plan
            .as_deref()
            .map_or_else(|| "plan not known".to_owned(), spelled_out),
        verified.verdict,
        verified.id,
        verified.revision,
        verified.digest,
        verified.key_id,
        counted(verified.audit_rows, "audit row"),
    )
}

/// The parts that are wrong, by their first word.
fn parts(faults: &[Fault]) -> String {
    let words: Vec<String> = faults
        .iter()
        .map(|fault| fault.to_string().split(':').next().unwrap_or_default().to_owned())
        .collect();
    words.join(", ")
}

fn content(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::usage(format!("{} cannot be read: {error}", file.display()));
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(Failure::usage(format!(
            "{} is larger than any report",
            file.display()
        )));
    }
    std::fs::read(file).map_err(unreadable)
}

/// The keys of a file, or the key itself.
fn given(key: &str) -> Result<Vec<Key>, Failure> {
    let text = match std::fs::read_to_string(key) {
        Ok(text) => text,
        Err(_) => key.to_owned(),
    };
    let text = text.trim();
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        return listed(&document).ok_or_else(|| {
            Failure::usage("--key names a file without keys")
                .hint("it is the answer of /.well-known/emgate/report-keys")
        });
    }
    use base64::Engine as _;
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    if decoded.is_ok_and(|key| key.len() == 32) {
        return Ok(vec![Key {
            id: None,
            public_key: text.to_owned(),
        }]);
    }
    Err(Failure::usage(
        "--key is neither a file with keys nor 32 bytes in base64",
    ))
}

fn listed(document: &Value) -> Option<Vec<Key>> {
    let keys = document.get("keys")?.as_array()?;
    let key = |key: &Value| {
        Some(Key {
            id: Some(key.get("keyId")?.as_str()?.to_owned()),
            public_key: key.get("publicKey")?.as_str()?.to_owned(),
        })
    };
    let keys: Option<Vec<Key>> = keys.iter().map(key).collect();
    keys.filter(|keys| !keys.is_empty())
}

async fn fetched(server: &str) -> Result<Vec<Key>, Failure> {
    bootstrap::install_tls_provider();
    let client = reqwest::Client::builder()
        .timeout(LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Failure::caused_by(&error))?;
    let url = format!(
        "{}/.well-known/emgate/report-keys",
        super::client::server::base(server)
    );
    let usage = |error: reqwest::Error| {
        let failure = Failure {
            usage: true,
            ..Failure::caused_by(&error)
        };
        failure.hint("--server takes the address of a gateway that runs; --key verifies without a connection")
    };
    let answer = client.get(&url).send().await.map_err(usage)?;
    let answer = answer.error_for_status().map_err(usage)?;
    let document: Value = answer.json().await.map_err(usage)?;
    listed(&document).ok_or_else(|| Failure::usage(format!("{url} has no keys")))
}
