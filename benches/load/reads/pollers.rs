//! What a thousand callers cost EM, of whom one half asks for the same plan and one for the same list again and again, beside one
//! caller of each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use emgate::clock::{Clock as _, SystemClock};
use futures_util::future::join_all;
use serde_json::Value;

use super::asked;
use super::callers::{Asked, Kept};
use super::{Rounds, number};
use crate::figures::{Figures, Row};
use crate::process::Running;

const POLLERS: usize = 1_000;
/// Between two requests of one caller, give or take a fifth. Shorter than what is read stays in memory (a second), so that a lone
/// caller asks soon after it has run out.
const PAUSE: f64 = 0.25;
/// Nothing else is asked of EM meanwhile.
const UNWATCHED: [(&str, &str); 2] = [
    ("EMGATE_WATCH__INTERVAL", "1h"),
    ("EMGATE_WATCH__IDLE_INTERVAL", "1h"),
];

pub async fn measure(figures: &mut Figures) {
    let rounds = Rounds::wanted();
    let (pollers, time) = (number("POLLERS", POLLERS as f64) as usize, 12 * rounds.time);
    let simulator = asked::simulator();
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = asked::gateway(&simulator, (directory.path(), "emgate"), &[], &UNWATCHED).await;
    let plan = asked::a_plan(gateway.addr).await;
    let rows = [
        (
            "plan",
            format!("/api/v1/cloud-failover-plans/{plan}"),
            format!("GET /api/cloud/cloudFailoverPlans/{plan}"),
        ),
        (
            "list of 20 plans",
            "/api/v1/cloud-failover-plans".to_owned(),
            "GET /api/query".to_owned(),
        ),
    ];
    let mut found = vec![(Vec::new(), Vec::new(), 0); rows.len()];
    // The long time of a round is asked three times at the most: what is counted is bounded by the clock, not by the machine.
    for round in 0..rounds.count.min(3) {
        for many in [false, true] {
            let count = if many { pollers / rows.len() } else { 1 };
            let before = requests(&simulator).await;
            let asking = rows
                .iter()
                .map(|(_, path, _)| poll(gateway.addr, path, count, round, time));
            let answers = join_all(asking).await;
            let after = requests(&simulator).await;
            for (((_, _, at_em), found), answers) in rows.iter().zip(&mut found).zip(answers) {
                let count = |stats: &Value| stats["requests"][at_em].as_f64().unwrap_or(0.0);
                let reached = (count(&after) - count(&before)) / time.as_secs_f64();
                if many {
                    found.0.push(reached);
                    found.2 += answers;
                } else {
                    found.1.push(reached);
                }
            }
        }
    }
    figures.begin(
        "pollers",
        format!("requests at EM a second while {pollers} callers poll, one half each, beside one caller"),
    );
    for ((name, _, _), (many, one, answers)) in rows.iter().zip(found) {
        let row = Row::new(*name, "/s", many).beside("one caller", one);
        figures.add(row.remark(format!("{answers} answers to the many")));
    }
}

/// So many callers ask for so long; how many answers they got.
async fn poll(addr: SocketAddr, path: &str, pollers: usize, round: usize, time: Duration) -> usize {
    let end = Instant::now() + time;
    let one = |place: usize| async move {
        let token = asked::token(&format!("poller {place} of round {round}"));
        let asked = Asked::new(path, &format!("authorization: Bearer {token}\r\n"), 200);
        let mut connection = Kept::open(addr).await;
        let mut answers = 0;
        // They do not begin all at once.
        tokio::time::sleep(Duration::from_secs_f64(PAUSE * chance())).await;
        while Instant::now() < end {
            connection.ask(&asked).await;
            answers += 1;
            let pause = PAUSE * (0.8 + 0.4 * chance());
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        answers
    };
    join_all((0..pollers).map(one)).await.into_iter().sum()
}

/// Anything between 0 and 1.
fn chance() -> f64 {
    f64::from(SystemClock.id().as_bytes()[15]) / 255.0
}

/// What the simulator has counted.
async fn requests(simulator: &Running) -> Value {
    let url = format!("http://{}/_sim/stats", simulator.addr);
    let answer = asked::client().get(url).send().await.expect("an answer");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}
