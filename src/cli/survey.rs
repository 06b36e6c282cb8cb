//! `emgate survey`: holds the catalogue against a real Enterprise Manager. Progress goes to stderr, the short form to stdout,
//! the report to a file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConfigFile, Failure, output, say};
use crate::bootstrap::survey::{Error, Fault, JournalError, Options, Progress, Schema, survey};
use crate::text::counted;
use crate::{config, telemetry};

/// The exit code when something differs.
const DIFFERS: u8 = 3;

/// Arguments of `emgate survey`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate survey --config /etc/emgate/emgate.toml
  emgate survey --url https://em.example:9398 --username 'LAB\\svc-emgate' --password-file password.txt
  emgate survey --xsd RestAPI.xsd --out survey.json      the product's own schema as well
  emgate survey --resume                                 goes on where a survey was interrupted

It reads, by GET alone, and changes nothing. The report has no name, no address and no id in it: types, fields, counts, and
of a value that does not fit its form alone.

Exit code 0: nothing differs. 3: something does. 1: the survey could not be finished. 2: the command line or the configuration is wrong.")]
pub struct Args {
    /// The report; what was read until then is beside it, in FILE.journal, while the survey runs
    #[arg(long, value_name = "FILE", default_value = "emgate-survey.json")]
    pub out: PathBuf,
    /// Reads per second, at the most
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = rate)]
    pub rate: f64,
    /// Pages of 100 rows that are read of each query, at the most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pages: u32,
    /// Go on with a survey that was interrupted; nothing that was read is read again
    #[arg(long)]
    pub resume: bool,
    /// Hold the catalogue against this schema file of the product too; may be given several times
    #[arg(long, value_name = "FILE")]
    pub xsd: Vec<PathBuf>,
    /// Enterprise Manager's address, in place of upstream.url
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The account to log on with, in place of the first of upstream.accounts
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub username: Option<String>,
    /// The file with its password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Certificates to trust, in place of those of the configuration
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 of the certificate, in place of the pins of the configuration
    #[arg(long, value_name = "HEX")]
    pub pin: Option<String>,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Runs the survey.
///
/// # Errors
/// A failure with exit code 3 when something differs, 2 when it cannot begin, 1 when it cannot be finished.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let unusable = |failure: Failure| Failure {
        usage: true,
        ..failure
    };
    let upstream = upstream(args).map_err(unusable)?;
    let schema = if args.xsd.is_empty() {
        None
    } else {
        let read = Schema::read(&args.xsd);
        Some(read.map_err(|error| unusable(Failure::caused_by(&error)))?)
    };
    let options = Options {
        pace: Duration::from_secs_f64(1.0 / args.rate),
        max_pages: args.max_pages,
    };
    let tell = |progress: &Progress| say(&line(progress));
    let finished = survey(&upstream, &args.out, options, args.resume, schema.as_ref(), tell);
    let finished = finished.await.map_err(|fault| failure(&fault))?;
    let report = &finished.report;
    write(&args.out, report)?;
    finished
        .journal
        .remove()
        .map_err(|error| Failure::caused_by(&error))?;
    output(format!("{}the report is in {}\n", report.text(), args.out.display()).as_bytes())?;
    match report.differences() {
        0 => Ok(()),
        count => Err(Failure {
            exit: Some(DIFFERS),
            ..Failure::new(format!("{} from the catalogue", counted(count, "difference")))
                .hint("docs/survey.md says how to send the report; it has no name, address or id in it")
        }),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1000.0).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.01 to 1000".to_owned()),
    }
}

/// `[upstream]` with what the command line says in place of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the process, where the environment becomes an argument"
)]
fn upstream(args: &Args) -> Result<crate::bootstrap::survey::UpstreamConfig, Failure> {
    let file = config::locate(args.config.config.clone(), std::env::var_os("EMGATE_CONFIG"));
    let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    let account = args.username.as_ref().map(|_| OsString::from("survey"));
    let flags = [
        ("URL", args.url.clone().map(OsString::from)),
        ("ACCOUNTS__0__NAME", account),
        ("ACCOUNTS__0__USERNAME", args.username.clone().map(OsString::from)),
        (
            "ACCOUNTS__0__PASSWORD_FILE",
            args.password_file.clone().map(OsString::from),
        ),
        ("CA_FILE", args.ca_file.clone().map(OsString::from)),
        ("PIN_SHA256__0", args.pin.clone().map(OsString::from)),
    ];
    for (key, value) in flags {
        if let Some(value) = value {
            environment.insert(format!("EMGATE_UPSTREAM__{key}").into(), value);
        }
    }
    config::load_upstream(file.as_deref(), environment).map_err(|error| {
        Failure::new(error.to_string())
            .hint("give --url, --username and --password-file, or a configuration by --config FILE")
    })
}

fn line(progress: &Progress) -> String {
    match progress {
        Progress::Resumed(reads) => format!("goes on after {}", counted(*reads, "read")),
        Progress::Done {
            done,
            waiting,
            resource,
            milliseconds,
        } => format!("{done} read, {waiting} known to wait: {resource}, {milliseconds:.0} ms"),
        Progress::Waits(pause) => format!("Enterprise Manager is overloaded; waits {} s", pause.as_secs()),
    }
}

/// Writes the report, whole or not at all.
fn write(file: &Path, report: &crate::bootstrap::survey::Report) -> Result<(), Failure> {
    let unwritable =
        |error: &dyn std::fmt::Display| Failure::new(format!("cannot write {}: {error}", file.display()));
    let mut json = serde_json::to_vec_pretty(report).map_err(|error| unwritable(&error))?;
    json.push(b'\n');
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    // On the disk before the journal goes, which it could be made from again.
    std::fs::File::create(&part)
        .and_then(|mut part| part.write_all(&json).and_then(|()| part.sync_all()))
        .and_then(|()| std::fs::rename(&part, file))
        .map_err(|error| unwritable(&error))
}

fn failure(fault: &Fault) -> Failure {
    let text = telemetry::chain(fault);
    match fault {
        Fault::Setup(_) => Failure::usage(text),
        Fault::Survey(Error::Journal(JournalError::Interrupted(_))) => {
            Failure::usage(text).hint("--resume goes on with it; remove the file to begin again")
        }
        Fault::Survey(Error::Journal(JournalError::Missing(_))) => Failure::usage(text)
            .hint("--out names the report that was to be made; without --resume a survey begins"),
        Fault::Survey(Error::Journal(JournalError::Other(_))) => {
            Failure::usage(text).hint("remove the file to begin again, or name another one by --out")
        }
        Fault::Survey(Error::Upstream { .. }) | Fault::Interrupted => Failure::new(text)
            .hint("emgate check tests the logon alone; --resume goes on with what was read, if anything was"),
        Fault::Survey(Error::Journal(JournalError::File { .. })) => Failure::new(text),
    }
}
