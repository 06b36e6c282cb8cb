//! `emgate events`: prints the event log, and follows it.

use std::ops::ControlFlow;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use super::exit;
use super::server::{Server, ServerArgs};
use super::sse::{Block, Parser};
use super::wait::text;
use crate::cli::{Failure, say, stream_output};
use crate::domain::event::EventType;
use crate::text::spelled_out;

/// How long to rest before a stream is opened again, where the gateway does not say.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest silence of a stream, which says every 15 seconds that it lives.
const SILENCE: Duration = Duration::from_secs(60);

/// Arguments of `emgate events`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate events                                                  the log, oldest first
  emgate events --follow                                         what happens from now on, until Ctrl-C
  emgate events --follow --after start --json | jq .data         all of it, an event on each line")]
pub struct Args {
    /// Go on with what happens, from now on unless --after says otherwise
    #[arg(long)]
    pub follow: bool,
    #[command(flatten)]
    pub wanted: WantedArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Which events.
#[derive(clap::Args, Clone, Debug)]
pub struct WantedArgs {
    /// Only events of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    pub types: Vec<EventType>,
    /// Begin after this event, or with the oldest one (start)
    #[arg(long, value_name = "ID|start")]
    pub after: Option<String>,
}

impl WantedArgs {
    /// The types as a parameter; none for all.
    fn list(&self) -> Option<String> {
        let words: Vec<&str> = self.types.iter().map(|kind| kind.as_str()).collect();
        (!words.is_empty()).then(|| words.join(","))
    }
}

fn event_type(word: &str) -> Result<EventType, String> {
    EventType::parse(word).ok_or_else(|| {
        let known: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("event types are {}", known.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
/// What went wrong, with its exit code. Ctrl-C is the ordinary end.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let server = Server::new(&args.server)?;
    if !args.follow {
        return print_log(&server, &args.wanted).await;
    }
    let is_json = server.json;
    let following = follow(&server, &args.wanted, async |event: String| {
        let line = if is_json { event } else { shown(&event) };
        stream_output(format!("{line}\n").as_bytes())
    });
    tokio::select! {
        followed = following => followed,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn print_log(server: &Server, wanted: &WantedArgs) -> Result<(), Failure> {
    let mut after = wanted.after.clone().unwrap_or_else(|| "start".to_owned());
    let types = wanted.list();
    loop {
        let parameters = [
            ("pageSize", Some("100")),
            ("type", types.as_deref()),
            ("after", Some(&after)),
        ];
        let path = with_query("/events", &parameters);
        let page = server.get(&path).await?;
        let items = page.get("items").and_then(Value::as_array);
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            return Ok(());
        };
        for item in items {
            let json = item.to_string();
            let line = if server.json { json } else { shown(&json) };
            if stream_output(format!("{line}\n").as_bytes())?.is_break() {
                return Ok(());
            }
            if let Some(id) = text(item, "/id") {
                id.clone_into(&mut after);
            }
        }
    }
}

/// A path with the parameters that there are.
fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    format!("{path}?{}", query.finish())
}

/// An event on one line, for people.
fn shown(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let part = |pointers: &[&str]| {
        let mut found = pointers.iter().filter_map(|pointer| text(&event, pointer));
        found.next().map_or_else(|| "-".to_owned(), spelled_out)
    };
    let data = |name: &str| {
        let places = [
            format!("/data/session/{name}"),
            format!("/data/operation/{name}"),
            format!("/data/{name}"),
        ];
        part(&places.each_ref().map(String::as_str))
    };
    let plan = match data("planName").as_str() {
        "-" => part(&["/data/operation/plan/name", "/data/endpoint/id", "/data/account"]),
        name => name.to_owned(),
    };
    format!(
        "{}  {:<28}  {}  {}  {}",
        part(&["/timestamp"]),
        part(&["/type"]),
        plan,
        data("result"),
        part(&["/id"])
    )
}

/// Hands every event to `take`, as the JSON of the log, until that breaks off, and comes back when the stream breaks: nothing is
/// missed, and nothing comes twice.
///
/// # Errors
/// What the gateway refuses, what `take` says, or that it cannot be reached at the first request.
pub(super) async fn follow(
    server: &Server,
    wanted: &WantedArgs,
    mut take: impl AsyncFnMut(String) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let types = wanted.list();
    let mut last: Option<String> = None;
    let mut pause = PAUSE;
    let (mut is_first, mut is_told) = (true, false);
    loop {
        let after = if last.is_some() {
            None
        } else {
            wanted.after.as_deref()
        };
        let mut request = server.request(
            Method::GET,
            &with_query("/events/stream", &[("type", types.as_deref()), ("after", after)]),
        )?;
        if let Some(id) = &last {
            request = request.header("last-event-id", id);
        }
        match request.send().await {
            Ok(mut answer) if answer.status() == StatusCode::OK => {
                (is_first, is_told) = (false, false);
                let mut parser = Parser::default();
                // A connection that was cut off is silent for ever.
                while let Ok(Ok(Some(bytes))) = tokio::time::timeout(SILENCE, answer.chunk()).await {
                    if !parser.add(&bytes) {
                        break;
                    }
                    while let Some(block) = parser.next() {
                        let Block {
                            id,
                            event,
                            data,
                            retry,
                        } = block;
                        pause = retry.map_or(pause, Duration::from_millis);
                        match (event.as_deref(), data) {
                            (Some("unauthorized"), _) => {
                                tracing::debug!("the token has expired");
                            }
                            (Some("reset"), _) => {
                                say("events were missed: the log does not go back as far any more");
                            }
                            (Some(_), Some(data)) => {
                                let taken = take(data).await?;
                                if taken.is_break() {
                                    return Ok(());
                                }
                            }
                            _ => {}
                        }
                        // After it was taken: what failed in between comes again.
                        last = id.or(last);
                    }
                }
            }
            Ok(answer)
                if answer.status().is_client_error() && answer.status() != StatusCode::TOO_MANY_REQUESTS =>
            {
                return Err(refused(answer).await);
            }
            Err(error) if is_first => return Err(server.unreachable(&error)),
            Ok(_) | Err(_) if is_told => {}
            Ok(answer) => {
                say(&format!(
                    "the gateway answers {}; the stream is asked for again",
                    answer.status()
                ));
                is_told = true;
            }
            Err(error) => {
                say(&format!(
                    "{}; the stream is asked for again",
                    server.unreachable(&error).message
                ));
                is_told = true;
            }
        }
        sleep(pause).await;
    }
}

async fn refused(answer: reqwest::Response) -> Failure {
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str);
    let mut failure = Failure::new(detail.map_or_else(|| format!("status {status}"), ToOwned::to_owned));
    failure.exit = (status != StatusCode::NOT_FOUND).then_some(exit::REFUSED);
    failure
}
