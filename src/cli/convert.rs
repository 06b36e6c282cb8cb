//! `emgate convert`: the transcoder as a tool, from one of EM's documents to what the API would answer, and back.
//!
//! Works from stream to stream, so that the output before a refusal is an incomplete document; the exit code shows
//! it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Failure, say};
use crate::text::counted;
use crate::transcode::{self, Anomalies, AnomalyKind, ConvertError, EncodeError, Options, Target};

/// Arguments of `emgate convert`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate convert session.xml
  curl -H \"X-RestSvcSessionId: $ID\" https://em.example:9398/api/cloud/failoverPlans | emgate convert
  emgate convert --compact query-result.xml | jq '.items[].name'
  emgate convert --to xml --type CloudFailoverPlan plan.json")]
pub struct Args {
    /// The output format; by default the one that the input does not have
    #[arg(long, value_enum)]
    pub to: Option<Format>,
    /// EM's type or document element of the JSON input, such as `CloudFailoverPlan`; by default its member "type"
    #[arg(long = "type", value_name = "TYPE")]
    pub root: Option<String>,
    /// One line without spaces instead of two spaces per level
    #[arg(long)]
    pub compact: bool,
    /// The document; stdin when absent or "-"
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
}

/// The two formats.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum Format {
    Json,
    Xml,
}

/// Converts one document to stdout.
///
/// # Errors
/// When the document cannot be read or is refused; a usage failure when the type of the JSON is not given.
pub fn run(args: &Args) -> Result<(), Failure> {
    let stdin = args.file == Path::new("-");
    let name = if stdin {
        "stdin".to_owned()
    } else {
        args.file.display().to_string()
    };
    let input: Box<dyn BufRead> = if stdin {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.file);
        let file = file.map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
        Box::new(BufReader::new(file))
    };
    let options = Options {
        to: args.to.map(|format| match format {
            Format::Json => Target::Json,
            Format::Xml => Target::Xml,
        }),
        root: args.root.as_deref(),
        compact: args.compact,
    };
    let mut out = Stdout::new();
    match transcode::convert(input, &mut out, options) {
        _ if out.reader_left => Ok(()),
        Ok(converted) => {
            note(&converted.anomalies);
            Ok(())
        }
        Err(ConvertError::NoRoot) => Err(Failure::usage(format!("{name} does not say what it is"))
            .hint("name EM's type or document element with --type, for example --type CloudFailoverPlan")),
        Err(error @ ConvertError::Encode(EncodeError::UnknownRoot(_))) => {
            Err(Failure::usage(error.to_string())
                .hint("--type takes EM's own names, such as CloudFailoverPlan or QueryResult"))
        }
        Err(error) => Err(Failure::new(format!("{name} is refused: {error}"))
            .hint("what was written to stdout, if anything, is not a whole document")),
    }
}

/// What the catalogue does not know is in the output nevertheless; the user should know.
fn note(anomalies: &Anomalies) {
    for anomaly in anomalies.iter() {
        let what = match anomaly.kind {
            AnomalyKind::UnknownName => "is not known to the catalogue",
            AnomalyKind::UnparsedValue => "holds a value that is not of its type and stays text",
            AnomalyKind::UnknownValue => "holds a value that its enumeration does not list",
        };
        say(&format!(
            "note: {}.{} {what} ({})",
            anomaly.ty,
            anomaly.name,
            counted(anomaly.count, "time")
        ));
    }
    if anomalies.more > 0 {
        say(&format!("note: and {} more", anomalies.more));
    }
}

/// Buffered stdout, which records that its reader has gone (`| head`): that ends the work and is no failure.
struct Stdout {
    out: BufWriter<io::Stdout>,
    reader_left: bool,
}

impl Stdout {
    fn new() -> Self {
        Self {
            out: BufWriter::new(io::stdout()),
            reader_left: false,
        }
    }

    fn watched<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.reader_left |= result
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.watched(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.watched(flushed)
    }
}
