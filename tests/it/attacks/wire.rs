//! The attacks over TCP: what a real process answers and logs, and how a token may come.

use axum::http::HeaderValue;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::forge::{self, keys_of_a, keys_of_b};
use super::table;
use crate::support::idp::publish;
use crate::support::world::World;
use crate::support::{TestGateway, client, token};

/// A gateway as a process, which knows the issuers of the attacks and logs everything of its own.
async fn world() -> World {
    let (a, b) = (publish(&keys_of_a()).await, publish(&keys_of_b()).await);
    let key = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(key.path(), &forge::OWN.pem).expect("written");
    let settings = [
        ("AUTH__ISSUERS__0__ISSUER", forge::A.to_owned()),
        ("AUTH__ISSUERS__0__AUDIENCE__0", "emgate".to_owned()),
        ("AUTH__ISSUERS__0__JWKS_URL", format!("{a}/keys")),
        ("AUTH__ISSUERS__1__ISSUER", forge::B.to_owned()),
        ("AUTH__ISSUERS__1__AUDIENCE__0", "emgate".to_owned()),
        ("AUTH__ISSUERS__1__JWKS_URL", format!("{b}/keys")),
        ("AUTH__KEYS__1__KIND", "pem".to_owned()),
        ("AUTH__KEYS__1__ALGORITHM", "RS256".to_owned()),
        ("AUTH__KEYS__1__FILE", key.path().display().to_string()),
        ("LOG", "emgate=trace,debug".to_owned()),
    ];
    let settings: Vec<String> = settings
        .map(|(name, value)| format!("EMGATE_{name}={value}"))
        .into();
    let starter: Vec<&str> = ["env"]
        .into_iter()
        .chain(settings.iter().map(String::as_str))
        .collect();
    World::start_by(&starter, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_an_attack_says_why_and_nothing_of_the_token() {
    let mut world = world().await;
    let url = world.gateway.url("/api/v1/operations");
    // The access log names the caller of a token that counts.
    let good = forge::of_a(forge::claims(json!({"sub": "ann"})));
    let good = client::plain().get(&url).bearer_auth(good).send().await;
    assert_ne!(
        good.expect("an answer").status(),
        401,
        "the token that the attacks change is good"
    );
    let mut traces = Vec::new();
    let mut sent = 0;
    for (name, token, refusal) in table::all() {
        // What no header can hold cannot come this way.
        if HeaderValue::from_str(&token).is_err() {
            continue;
        }
        sent += 1;
        let answer = client::plain()
            .get(&url)
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 401, "{name}");
        let challenge = answer.headers()["www-authenticate"]
            .to_str()
            .expect("text")
            .to_owned();
        let described = format!("error=\"invalid_token\", error_description=\"{refusal}\"");
        assert!(challenge.contains(&described), "{name}: {challenge}");
        let headers = format!("{:?}", answer.headers());
        let body: Value = answer.json().await.expect("a problem");
        assert_eq!(body["detail"], refusal.to_string(), "{name}");
        let own = forge::traces(&token);
        for trace in &own {
            assert!(
                !headers.contains(trace) && !body.to_string().contains(trace),
                "{name}: {trace}"
            );
        }
        traces.extend(own);
    }
    assert!(sent > 100, "{sent}");
    world.gateway.wait_for_line("GET /api/v1/operations 401");
    let log = world.gateway.log();
    let found: Vec<&String> = traces.iter().filter(|trace| log.contains(*trace)).collect();
    assert!(found.is_empty(), "the log holds {found:?}");
    world.stop_gateway();
}

/// The status that a raw request gets, and its challenge.
async fn raw(test: &TestGateway, target: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(test.addr()).await.expect("a connection");
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    stream.write_all(body.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    let challenge = answer.lines().find(|line| line.starts_with("www-authenticate: "));
    (status, challenge.unwrap_or_default().to_owned())
}

const NO_TOKEN: &str = "www-authenticate: Bearer realm=\"emgate\"";

/// `TOKEN` in headers, target and body is a good one.
#[rstest]
#[case::no_header("", "", "", 401, true)]
#[case::scheme_alone("authorization: Bearer\r\n", "", "", 401, true)]
#[case::scheme_and_a_blank("authorization: Bearer \r\n", "", "", 401, true)]
#[case::token_alone("authorization: TOKEN\r\n", "", "", 401, true)]
#[case::basic("authorization: Basic TOKEN\r\n", "", "", 401, true)]
#[case::other_scheme("authorization: DPoP TOKEN\r\n", "", "", 401, true)]
#[case::longer_scheme("authorization: BearerX TOKEN\r\n", "", "", 401, true)]
#[case::tab_after_the_scheme("authorization: Bearer\tTOKEN\r\n", "", "", 401, true)]
#[case::in_the_query("", "?access_token=TOKEN", "", 401, true)]
#[case::in_a_cookie("cookie: access_token=TOKEN; token=TOKEN\r\n", "", "", 401, true)]
#[case::in_another_header(
    "x-authorization: Bearer TOKEN\r\nx-access-token: TOKEN\r\n",
    "",
    "",
    401,
    true
)]
#[case::in_a_header_for_proxies("proxy-authorization: Bearer TOKEN\r\n", "", "", 401, true)]
#[case::in_the_body(
    "content-type: application/x-www-form-urlencoded\r\n",
    "",
    "access_token=TOKEN",
    401,
    true
)]
#[case::header_twice(
    "authorization: Bearer TOKEN\r\nauthorization: Bearer TOKEN\r\n",
    "",
    "",
    401,
    false
)]
#[case::a_good_header_after_another(
    "authorization: Basic eDp5\r\nauthorization: Bearer TOKEN\r\n",
    "",
    "",
    401,
    false
)]
#[case::two_tokens_in_one_header("authorization: Bearer TOKEN, Bearer TOKEN\r\n", "", "", 401, false)]
#[case::quoted("authorization: Bearer \"TOKEN\"\r\n", "", "", 401, false)]
#[case::bytes_that_are_no_text("authorization: Bearer \u{e9}TOKEN\r\n", "", "", 401, false)]
#[case::small_scheme("authorization: bearer TOKEN\r\n", "", "", 200, false)]
#[case::large_scheme("authorization: BEARER TOKEN\r\n", "", "", 200, false)]
#[case::several_blanks("authorization: Bearer   TOKEN  \r\n", "", "", 200, false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_in_one_header_alone(
    #[case] headers: &str,
    #[case] query: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] is_absent: bool,
) {
    let test = TestGateway::builder().unready().start().await;
    let token = token(&json!({"sub": "ann"}));
    let fill = |text: &str| text.replace("TOKEN", &token);
    let target = format!("/api/v1/me{}", fill(query));
    let (answered, challenge) = raw(&test, &target, &fill(headers), &fill(body)).await;
    assert_eq!(answered, status);
    if status == 401 && is_absent {
        assert_eq!(challenge.trim_end(), NO_TOKEN);
    } else if status == 401 {
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert!(!challenge.contains(&token), "{challenge}");
    }
    test.stop().await;
}
