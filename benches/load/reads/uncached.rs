//! A plan that is read from EM for each request, nothing shared, and transcoded, since it comes in other bytes mostly, or known by its
//! bytes. Beside it are proxies that pass on EM's XML as it is: Envoy, nginx, and the least that can be made of the libraries that the
//! gateway is made of.

use super::Rounds;
use super::asked::{self, a_plan};
use super::bare::Bare;
use super::callers::{Asked, CONNECTIONS};
use super::envoy::Envoy;
use super::nginx::Nginx;
use super::subject::{Found, Subject};
use crate::figures::{Figures, Row};
use crate::process::Running;

/// What is measured, in the order of its subjects; after them come Envoy and nginx.
const SUBJECTS: [&str; 5] = [
    "plan",
    "plan through the mirror",
    "plan of the same bytes",
    "plan of the same bytes through the mirror",
    "the libraries alone, XML passed on",
];

/// Each request of a caller is one at EM, as many at once as there are connections.
const UNSHARED: [(&str, &str); 3] = [
    ("EMGATE_UPSTREAM__CACHE_TTL", "0s"),
    ("EMGATE_UPSTREAM__COALESCE", "false"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__MAX_REQUESTS_PER_SESSION", "64"),
];

pub async fn measure(figures: &mut Figures) {
    let rounds = Rounds::wanted();
    let directory = tempfile::tempdir().expect("a directory");
    let (changing, same) = (asked::simulator(), asked::plain_simulator());
    let gateway = |simulator, folder| asked::gateway(simulator, (directory.path(), folder), &[], &UNSHARED);
    let gateways = [gateway(&changing, "changing").await, gateway(&same, "same").await];
    let envoy = Envoy::before(same.addr, directory.path());
    let nginx = Nginx::before(same.addr, directory.path());
    let bare = Bare::before(same.addr);
    let plan = a_plan(gateways[0].addr).await;
    let session = format!("x-restsvcsessionid: {}\r\n", logon(&same).await);
    let at_em = Asked::new(
        &format!("/api/cloud/cloudFailoverPlans/{plan}?format=Entity"),
        &session,
        200,
    );
    let paths = [
        format!("/api/v1/cloud-failover-plans/{plan}"),
        format!("/api/v1/em/cloud/cloudFailoverPlans/{plan}?format=Entity"),
    ];
    let mut subjects = Vec::new();
    for gateway in &gateways {
        for path in &paths {
            subjects.push((Subject::new(gateway.addr, vec![gateway.id()]), Some(path)));
        }
    }
    subjects.push((Subject::new(bare.addr, vec![bare.id()]), None));
    subjects.push((Subject::new(envoy.addr, vec![envoy.id()]), None));
    subjects.push((Subject::new(nginx.addr, nginx.processes()), None));
    let mut found: [Found; 7] = Default::default();
    for round in 0..rounds.count {
        for (place, ((subject, path), found)) in subjects.iter().zip(&mut found).enumerate() {
            let asked = path.map_or_else(
                || at_em.clone(),
                |path| {
                    let token = asked::token(&format!("caller {place} of round {round}"));
                    Asked::new(path, &format!("authorization: Bearer {token}\r\n"), 200)
                },
            );
            subject.measure(found, &asked, rounds.time);
        }
    }
    let [ours @ .., envoy, nginx] = found;
    figures.begin(
        "uncached",
        format!(
            "a plan read from EM for each of the answers a second over {CONNECTIONS} connections, transcoded, or known by its bytes; beside proxies that pass its XML on"
        ),
    );
    for (name, ours) in SUBJECTS.into_iter().zip(ours) {
        for (other, theirs) in [("Envoy", &envoy), ("nginx", &nginx)] {
            let row = Row::new(format!("{name}, beside {other}"), "/s", ours.rates.clone());
            figures.add(row.beside(other, theirs.rates.clone()));
        }
        let row = Row::new(format!("{name}, processor"), "us", ours.micros);
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
