//! `emgate demo`: a failover test from start to webhook on one machine, with nothing else installed.
//!
//! A simulated Enterprise Manager, the gateway and a webhook receiver on loopback; a failover plan is tested
//! through the gateway's API, each machine's progress is shown while it runs, and the end is reported by a
//! signed webhook. The demo talks to the gateway over HTTP only, as any client would, and its receiver checks
//! the signature with code of its own: success means that an independent implementation agrees.

mod calendar;
mod client;
mod exhibit;
mod past;
mod receiver;
mod screen;
mod stage;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use self::client::Operation;
use self::receiver::{Inbox, Received};
use self::screen::Screen;
use self::stage::Stage;
use crate::cli::Failure;

/// The event whose verified signature is the demo's success.
const FINISHED: &str = "failover.session.finished";
/// Where the report of the test is written, in the working directory.
const REPORT: &str = "emgate-demo-report.html";
/// "ABC Company Failover Plan", the plan of EM's manual, which every simulator has.
const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";

/// Options of `emgate demo`.
///
/// ```text
/// emgate demo             half a minute, as a small plan takes it
/// emgate demo --fast      the same in a few seconds
/// emgate demo --keep      stays up afterwards, to try the API and read its documentation
/// ```
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Examples:
  emgate demo
  emgate demo --fast
  emgate demo --keep --port 8080")]
pub struct Options {
    /// Port of the gateway; a free one when absent
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Stay up until Ctrl-C and print URLs and a token to try
    #[arg(long)]
    pub keep: bool,
    /// Let the simulated failover run about ten times faster
    #[arg(long)]
    pub fast: bool,
}

impl Options {
    /// Simulated seconds per second: the plan of four machines takes 40 simulated seconds.
    fn speed(&self) -> f64 {
        if self.fast { 14.0 } else { 1.25 }
    }

    /// The longest the failover and its webhook may take.
    fn patience(&self) -> Duration {
        Duration::from_secs(if self.fast { 12 } else { 120 })
    }

    /// From read to read of the operation.
    fn glance(&self) -> Duration {
        Duration::from_millis(if self.fast { 80 } else { 250 })
    }
}

/// Runs the demo. Ends well only when the receiver verified the webhook of the finished failover.
///
/// # Errors
/// What went wrong, as one line with its causes; also when interrupted before the webhook came.
pub async fn run(options: Options) -> Result<(), Failure> {
    let signals = |kind| signal(kind).map_err(because("signals cannot be received"));
    let (mut interrupt, mut terminate) = (
        signals(SignalKind::interrupt())?,
        signals(SignalKind::terminate())?,
    );
    let stage = Stage::build(&options).await?;
    let mut screen = Screen::new();
    let shown = tokio::select! {
        shown = play(&options, &stage, &mut screen) => shown,
        _ = interrupt.recv() => Err(Failure::new("interrupted before the demo ended")),
        _ = terminate.recv() => Err(Failure::new("stopped before the demo ended")),
    };
    screen.rest();
    let shown = match shown {
        Ok(()) if options.keep => tokio::select! {
            filled = exhibit::fill(&options, &stage) => filled,
            _ = interrupt.recv() => Err(Failure::new("interrupted before the demo ended")),
            _ = terminate.recv() => Err(Failure::new("stopped before the demo ended")),
        },
        other => other,
    };
    let outcome = match shown {
        Ok(()) if options.keep => {
            screen.invite(&stage);
            tokio::select! {
                () = keep_reporting(&stage.inbox, &mut screen) => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(())
        }
        other => other,
    };
    stage.strike().await;
    outcome
}

/// The past, where somebody is there to look at it, and then what the demo is about.
async fn play(options: &Options, stage: &Stage, screen: &mut Screen) -> Result<(), Failure> {
    if options.keep {
        screen.past_begins();
        screen.past(past::make(options, stage).await?);
    }
    show(options, stage, screen).await
}

/// The play itself.
async fn show(options: &Options, stage: &Stage, screen: &mut Screen) -> Result<(), Failure> {
    screen.cast(stage);
    let client = &stage.client;
    client.ready(Duration::from_secs(10)).await?;

    let (status, endpoint) = client.create_endpoint(&stage.hook_url).await?;
    stage.inbox.expect_secret(&endpoint.secret)?;
    screen.endpoint(status, &endpoint);

    let begun = Instant::now();
    let (status, operation) = client.test_plan(PLAN).await?;
    screen.accepted(status, PLAN, &operation);
    let play = async {
        let (operation, early) = follow(stage, &operation.id, options.glance(), screen).await?;
        let received = match early {
            Some(received) => received,
            None => finished_webhook(&stage.inbox, screen).await?,
        };
        Ok::<_, Failure>((operation, received))
    };
    let Ok(played) = timeout(options.patience(), play).await else {
        return Err(Failure::new(format!(
            "no webhook of the finished failover within {} s",
            options.patience().as_secs()
        ))
        .hint("EMGATE_LOG=info shows what the gateway did"));
    };
    let (operation, received) = played?;
    screen.webhook(&received);
    if let Err(reason) = &received.verdict {
        return Err(Failure::new(format!(
            "the receiver could not verify the webhook: {reason}"
        )));
    }
    if received.operation_id().as_deref() != Some(operation.id.as_str()) {
        return Err(Failure::new(
            "the webhook is not about the operation that was started",
        ));
    }
    screen.result(&operation, begun.elapsed());
    report(client, &operation.id, screen).await
}

/// Writes the report of the test into the working directory and verifies the file.
async fn report(client: &client::Client, operation: &str, screen: &mut Screen) -> Result<(), Failure> {
    let page = client.report(operation).await?;
    let keys = client.report_keys().await?;
    let verified = crate::cli::report::check(&page, &keys)
        .map_err(|faults| Failure::new(format!("the report is not what was signed: {faults}")))?;
    let written = std::fs::write(REPORT, &page).is_ok();
    screen.report(written.then_some(REPORT), &verified);
    Ok(())
}

/// Shows each machine's progress until the operation has finished; also gives the webhook that is waited for
/// if it was here first.
async fn follow(
    stage: &Stage,
    id: &str,
    glance: Duration,
    screen: &mut Screen,
) -> Result<(Operation, Option<Received>), Failure> {
    let mut finished = None;
    loop {
        let operation = stage.client.operation(id).await?;
        while let Some(received) = stage.inbox.at_hand().await {
            if received.event_type() == FINISHED {
                finished = Some(received);
            } else {
                screen.other_webhook(&received);
            }
        }
        screen.progress(&operation);
        match operation.state.as_str() {
            "finished" => {
                screen.rest();
                return Ok((operation, finished));
            }
            "unknown" => return Err(Failure::new(format!("the gateway lost track of operation {id}"))),
            _ => sleep(glance).await,
        }
    }
}

/// The webhook of the finished failover; others are named in passing.
async fn finished_webhook(inbox: &Inbox, screen: &mut Screen) -> Result<Received, Failure> {
    loop {
        let received = inbox
            .next()
            .await
            .ok_or_else(|| Failure::new("the webhook receiver ended"))?;
        if received.event_type() == FINISHED {
            return Ok(received);
        }
        screen.other_webhook(&received);
    }
}

async fn keep_reporting(inbox: &Inbox, screen: &mut Screen) {
    while let Some(received) = inbox.next().await {
        screen.other_webhook(&received);
    }
}

/// Turns an error into a failure of what was being done.
fn because<E: std::error::Error + 'static>(what: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::new(format!("{what}: {}", Failure::caused_by(&error).message))
}
