//! `emgate convert`: the transcoder as a tool, from one of EM's documents to what the API would answer.
//!
//! Works from stream to stream in constant memory, so what stands on stdout before a refusal is the beginning of a
//! document and not one; the exit code tells.

mod indent;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::Failure;
use crate::transcode::{self, Anomalies, AnomalyKind};
use indent::Indented;

/// Arguments of `emgate convert`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate convert session.xml
  curl -H \"X-RestSvcSessionId: $ID\" https://em.example:9398/api/cloud/failoverPlans | emgate convert
  emgate convert --compact < query-result.xml | jq '.items[].name'")]
pub struct Args {
    /// One line without blanks instead of two blanks per level
    #[arg(long)]
    pub compact: bool,
    /// The document; stdin when absent or "-"
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
}

/// Converts one document to stdout.
///
/// # Errors
/// When the document cannot be read or is refused.
pub fn run(args: &Args) -> Result<(), Failure> {
    let input = open(&args.file)?;
    let mut out = Stdout::new();
    let anomalies = to_json(input, &mut out, args.compact);
    if out.reader_left {
        return Ok(());
    }
    let name = if args.file == Path::new("-") {
        "stdin".to_owned()
    } else {
        args.file.display().to_string()
    };
    note(&anomalies.map_err(|error| error.of(&name))?);
    Ok(())
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = File::open(file);
    let file = opened.map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

fn to_json(input: impl BufRead, out: &mut Stdout, compact: bool) -> Result<Anomalies, Refused> {
    let (_, anomalies) = if compact {
        transcode::decode_stream(input, out)
    } else {
        transcode::decode_stream(input, &mut Indented::new(&mut *out))
    }
    .map_err(Refused::new)?;
    out.write_all(b"\n")
        .and_then(|()| out.flush())
        .map_err(Refused::new)?;
    Ok(anomalies)
}

/// Why there is no document, without its name yet.
struct Refused(String);

impl Refused {
    fn new(error: impl std::error::Error) -> Self {
        Self(error.to_string())
    }

    fn of(self, name: &str) -> Failure {
        Failure::new(format!("{name} is refused: {}", self.0))
            .hint("what was written to stdout is not a whole document")
    }
}

/// What the catalogue did not foresee is in the output all the same; a person should know.
fn note(anomalies: &Anomalies) {
    for anomaly in anomalies.iter() {
        let what = match anomaly.kind {
            AnomalyKind::UnknownName => "is not known to the catalogue",
            AnomalyKind::UnparsedValue => "holds a value that is not of its type and stays text",
            AnomalyKind::UnknownValue => "holds a value that its enumeration does not list",
        };
        eprintln!(
            "note: {}.{} {what} ({} times)",
            anomaly.ty, anomaly.name, anomaly.count
        );
    }
}

/// stdout, buffered, which remembers that its reader went away (`| head`): that ends the work and is no failure.
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
