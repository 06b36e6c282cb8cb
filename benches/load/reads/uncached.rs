//! A plan that is read from EM for each request and transcoded, nothing remembered and nothing shared, beside proxies that pass on
//! EM's XML as it is: Envoy and nginx.

use super::Rounds;
use super::asked::{self, a_plan};
use super::callers::{Asked, CONNECTIONS};
use super::envoy::Envoy;
use super::nginx::Nginx;
use super::subject::{Found, Subject};
use crate::figures::{Figures, Row};
use crate::process::Running;

/// Each request of a caller is one at EM, as many at once as there are connections.
const UNSHARED: [(&str, &str); 3] = [
    ("EMGATE_UPSTREAM__CACHE_TTL", "0s"),
    ("EMGATE_UPSTREAM__COALESCE", "false"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__MAX_REQUESTS_PER_SESSION", "64"),
];

pub async fn measure(figures: &mut Figures) {
    let rounds = Rounds::wanted();
    let simulator = asked::simulator();
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = asked::gateway(&simulator, (directory.path(), "emgate"), &[], &UNSHARED).await;
    let envoy = Envoy::before(simulator.addr, directory.path());
    let nginx = Nginx::before(simulator.addr, directory.path());
    let plan = a_plan(gateway.addr).await;
    let session = format!("x-restsvcsessionid: {}\r\n", logon(&simulator).await);
    let at_em = Asked::new(
        &format!("/api/cloud/cloudFailoverPlans/{plan}?format=Entity"),
        &session,
        200,
    );
    let subjects = [
        Subject::new(gateway.addr, vec![gateway.id()]),
        Subject::new(gateway.addr, vec![gateway.id()]),
        Subject::new(envoy.addr, vec![envoy.id()]),
        Subject::new(nginx.addr, nginx.processes()),
    ];
    let paths = [
        format!("/api/v1/cloud-failover-plans/{plan}"),
        format!("/api/v1/em/cloud/cloudFailoverPlans/{plan}?format=Entity"),
    ];
    let mut found: [Found; 4] = Default::default();
    for round in 0..rounds.count {
        for (place, (subject, found)) in subjects.iter().zip(&mut found).enumerate() {
            let asked = paths.get(place).map_or_else(
                || at_em.clone(),
                |path| {
                    let token = asked::token(&format!("caller {place} of round {round}"));
                    Asked::new(path, &format!("authorization: Bearer {token}\r\n"), 200)
                },
            );
            subject.measure(found, &asked, rounds.time);
        }
    }
    let [plan, mirror, envoy, nginx] = found;
    figures.begin(
        "uncached",
        format!(
            "a plan read from EM for each of the answers a second over {CONNECTIONS} connections, transcoded; beside proxies that pass its XML on"
        ),
    );
    for (name, ours) in [("plan", &plan), ("plan through the mirror", &mirror)] {
        for (other, theirs) in [("Envoy", &envoy), ("nginx", &nginx)] {
            let row = Row::new(format!("{name}, beside {other}"), "/s", ours.rates.clone());
            figures.add(row.beside(other, theirs.rates.clone()));
        }
        let row = Row::new(format!("{name}, processor"), "us", ours.micros.clone());
        figures.add(row.beside("Envoy", envoy.micros.clone()));
    }
}

/// A logon session of EM's, as the header of a request has it.
async fn logon(simulator: &Running) -> String {
    let url = format!("http://{}/api/sessionMngr/?v=latest", simulator.addr);
    let request = asked::client()
        .post(url)
        .basic_auth("u", Some("p"))
        .header("content-length", "0");
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    let header = answer.headers().get("x-restsvcsessionid");
    header
        .expect("a logon session")
        .to_str()
        .expect("text")
        .to_owned()
}
