//! The simulator over TCP: a right client gets what EM's manual promises, a wrong one fails.
//!
//! The client is a socket and text, so that every header that matters is there, or missing, on purpose.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emgate::clock::ManualClock;
use emgate::sim::{ExpiredStatus, Options, Running, Simulator};
use jiff::Timestamp;

const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";
const PLAN_PATH: &str = "/api/cloud/cloudFailoverPlans/3f56fa52-c902-4655-9774-2022fde214d2";
const XML: &str = "Content-Type: application/xml\r\n";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The text of the first element of that name.
    fn text(&self, element: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{element}>"))?;
        rest.split_once("</").map(|(text, _)| text)
    }

    fn count(&self, part: &str) -> usize {
        self.body.matches(part).count()
    }
}

/// One request on a connection of its own; `None` when the server broke it off before a complete answer.
fn exchange(addr: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let answer = Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let length: usize = answer
        .header("content-length")
        .map_or(Some(0), |length| length.parse().ok())?;
    (body.len() == length).then_some(answer)
}

/// A simulator on a clock that the test moves, and one logon session.
struct Bench {
    running: Running,
    clock: std::sync::Arc<ManualClock>,
    token: String,
}

impl Bench {
    async fn with(options: Options) -> Self {
        let clock = ManualClock::at("2026-05-06T20:29:45Z".parse().unwrap());
        let running = Simulator::start_at(options, clock.clone()).await.unwrap();
        let mut bench = Self {
            running,
            clock,
            token: String::new(),
        };
        bench.token = bench.log_on().await;
        bench
    }

    async fn new() -> Self {
        Self::with(plain()).await
    }

    async fn send(&self, request: String) -> Option<Answer> {
        let addr = self.running.addr();
        tokio::task::spawn_blocking(move || exchange(addr, &request))
            .await
            .unwrap()
    }

    /// A request with this bench's token, these header lines and that body.
    async fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        self.try_ask(method, target, headers, body)
            .await
            .expect("an answer")
    }

    async fn try_ask(&self, method: &str, target: &str, headers: &str, body: &str) -> Option<Answer> {
        let token = &self.token;
        let length = if method == "GET" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        self.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: em\r\nConnection: close\r\nX-RestSvcSessionId: {token}\r\n\
             {length}{headers}\r\n{body}"
        ))
        .await
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "", "").await
    }

    async fn raw_log_on(&self, target: &str, headers: &str, user: &str, password: &str) -> Answer {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        self.send(format!(
            "POST {target} HTTP/1.1\r\nHost: em\r\nConnection: close\r\nAuthorization: Basic {basic}\r\n{headers}\r\n"
        ))
        .await
        .expect("an answer")
    }

    async fn log_on(&self) -> String {
        let options = Options::default();
        let answer = self
            .raw_log_on(
                "/api/sessionMngr/?v=v1_7",
                "Content-Length: 0\r\n",
                &options.user,
                &options.password,
            )
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.header("X-RestSvcSessionId").expect("a token").to_owned()
    }

    async fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(format!(
            "{method} /_sim/{path} HTTP/1.1\r\nHost: em\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
        .expect("an answer")
    }

    async fn stats(&self) -> serde_json::Value {
        serde_json::from_str(&self.control("GET", "stats", "").await.body).unwrap()
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// One spelling for all answers, so that text can be searched.
fn plain() -> Options {
    Options {
        plain: true,
        seed: Some(7),
        ..Options::on_any_port()
    }
}

#[tokio::test]
async fn the_base_document_names_the_versions_to_anybody() {
    let bench = Bench::new().await;
    let answer = bench
        .send("GET /api/ HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned())
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    for version in ["v1_5", "v1_6", "v1_7"] {
        assert!(
            answer
                .body
                .contains(&format!("<SupportedVersion Name=\"{version}\">")),
            "{}",
            answer.body
        );
    }
    assert_eq!(
        answer.header("content-type"),
        Some("application/xml; charset=utf-8")
    );
}

#[tokio::test]
async fn a_logon_is_refused_for_each_mistake_that_em_refuses() {
    let bench = Bench::new().await;
    let options = Options::default();
    let good = (
        "/api/sessionMngr/?v=latest",
        "Content-Length: 0\r\n",
        options.password.as_str(),
    );
    for (status, target, headers, password) in [
        (411, good.0, "", good.2),
        (
            415,
            good.0,
            "Content-Length: 0\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            good.2,
        ),
        (400, "/api/sessionMngr/?v=v2_0", good.1, good.2),
        (400, "/api/sessionMngr/", good.1, good.2),
        (401, good.0, good.1, "wrong"),
        (201, good.0, good.1, good.2),
    ] {
        let answer = bench.raw_log_on(target, headers, &options.user, password).await;
        assert_eq!(answer.status, status, "{target} {headers}");
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), Some("Basic Realm=RestSvc"));
        }
        if status != 201 {
            assert!(
                answer.body.contains(&format!("StatusCode=\"{status}\"")),
                "{}",
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn a_cookie_beats_the_header() {
    let bench = Bench::new().await;
    let answer = bench
        .ask(
            "GET",
            "/api/backupServers",
            "Cookie: X-RestSvcSessionId=stale\r\n",
            "",
        )
        .await;
    assert_eq!(answer.status, 401);
    let other = bench.log_on().await;
    let cookie = format!("Cookie: a=b; X-RestSvcSessionId={other}\r\n");
    assert_eq!(
        bench.ask("GET", "/api/backupServers", &cookie, "").await.status,
        200
    );
}

#[tokio::test]
async fn a_logon_session_can_end_only_itself_once() {
    let bench = Bench::new().await;
    let other = String::from_utf8(STANDARD.decode(bench.log_on().await).unwrap()).unwrap();
    assert_eq!(
        bench
            .ask("DELETE", &format!("/api/logonSessions/{other}"), "", "")
            .await
            .status,
        403
    );
    let own = String::from_utf8(STANDARD.decode(&bench.token).unwrap()).unwrap();
    assert_eq!(bench.get("/api/logonSessions").await.count("<LogonSession "), 2);
    assert_eq!(
        bench
            .ask("DELETE", &format!("/api/logonSessions/{own}"), "", "")
            .await
            .status,
        204
    );
    assert_eq!(
        bench
            .ask("DELETE", &format!("/api/logonSessions/{own}"), "", "")
            .await
            .status,
        401
    );
    let stats = bench.stats().await;
    assert_eq!((&stats["logons"], &stats["logoffs"]), (&2.into(), &1.into()));
    assert_eq!(
        (&stats["activeSessions"], &stats["maxConcurrent"]),
        (&1.into(), &2.into())
    );
}

#[tokio::test]
async fn one_logon_session_too_many_is_refused() {
    let bench = Bench::with(Options {
        max_sessions: Some(1),
        ..plain()
    })
    .await;
    let options = Options::default();
    let length = "Content-Length: 0\r\n";
    let answer = bench
        .raw_log_on(
            "/api/sessionMngr/?v=latest",
            length,
            &options.user,
            &options.password,
        )
        .await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn only_an_idle_logon_session_expires() {
    for (expired_status, status) in [
        (ExpiredStatus::Unauthorized, 401),
        (ExpiredStatus::Forbidden, 403),
    ] {
        let mut bench = Bench::with(Options {
            expired_status,
            ..plain()
        })
        .await;
        let accepted = bench
            .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
            .await;
        assert_eq!(accepted.status, 202);
        for _ in 0..3 {
            bench.advance(600);
            assert_eq!(bench.get("/api/tasks/task-1").await.status, 200);
        }
        bench.advance(901);
        assert_eq!(bench.get("/api/tasks/task-1").await.status, status);
        assert_eq!(bench.stats().await["activeSessions"], 0);
        bench.token = bench.log_on().await;
        assert_eq!(bench.get("/api/tasks/task-1").await.status, 404);
        assert_eq!(bench.control("POST", "expire", "").await.status, 204);
        assert_eq!(bench.get("/api/tasks").await.status, status);
    }
}

#[tokio::test]
async fn plans_come_as_references_or_entities() {
    let bench = Bench::with(Options {
        plans: 4,
        vms: 3,
        ..plain()
    })
    .await;
    let references = bench.get("/api/cloud/cloudFailoverPlans").await;
    assert!(references.body.contains("<EntityReferences xmlns="));
    assert_eq!(references.count("Type=\"CloudFailoverPlanReference\""), 4);
    let entities = bench.get("/api/cloud/cloudFailoverPlans?Format=entity").await;
    assert!(entities.body.contains("<CloudFailoverPlans xmlns="));
    assert_eq!(entities.count("<CloudFailoverPlanVm "), 12);
    let plan = bench
        .get(&format!(
            "{}/?format=Entity",
            PLAN_PATH.to_uppercase().replace("/API", "/api")
        ))
        .await;
    assert_eq!(plan.text("TenantName"), Some("ABC Company"));
    assert!(plan.body.contains("Name=\"ABC Company Failover Plan\""));
    assert_eq!(plan.count("?action=test"), 1);
    assert_eq!(
        bench
            .get(&format!("{PLAN_PATH}/includes"))
            .await
            .count("<CloudFailoveredVm "),
        3
    );
    assert_eq!(
        bench
            .get("/api/failoverPlans?format=Entity")
            .await
            .count("<FailoveredVm "),
        12
    );
    assert_eq!(bench.get(PLAN_PATH).await.count("<EntityRef "), 1);
    assert_eq!(
        bench
            .get("/api/cloud/cloudFailoverPlans?format=Entities")
            .await
            .status,
        400
    );
    assert_eq!(bench.get(&PLAN_PATH.replace("3f5", "3f6")).await.status, 404);
}

#[tokio::test]
async fn a_test_runs_from_task_to_finished_session() {
    let bench = Bench::new().await;
    let accepted = bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    assert_eq!((accepted.status, accepted.text("TaskId")), (202, Some("task-1")));
    assert_eq!(
        (accepted.text("State"), accepted.text("Operation")),
        (Some("Running"), Some("StartCloudFailoverPlan"))
    );
    assert_eq!(bench.get("/api/cloud/failoverSessions").await.count("<Ref "), 0);

    bench.advance(1);
    let task = bench.get("/api/tasks/task-1").await;
    assert_eq!(task.text("State"), Some("OperationFinished"));
    assert!(
        !task.body.contains("failoverSessions"),
        "the link comes with Finished only"
    );
    bench.advance(1);
    let task = bench.get("/api/tasks/task-1").await;
    assert_eq!(
        (task.text("State"), task.text("Message")),
        (Some("Finished"), Some("Ok"))
    );
    let (_, link) = task
        .body
        .split_once("https://localhost:9398")
        .expect("a foreign host in the links");
    let path = task
        .body
        .split('"')
        .find(|part| part.contains("/cloud/failoverSessions/"))
        .unwrap();
    assert!(link.starts_with("/api/tasks/task-1"));
    let path = path.strip_prefix("https://localhost:9398").unwrap();

    bench.advance(8);
    let session = bench.get(path).await;
    assert_eq!(
        (session.text("State"), session.text("Result")),
        (Some("Working"), Some("None"))
    );
    assert!(session.text("EndTimeUTC").is_none());
    assert_eq!(session.count("<CloudFailoverTasks VmName=\"filesrv0"), 2);
    assert_eq!(session.text("CreationTimeUTC"), Some("2026-05-06T20:29:46Z"));

    let point = session
        .body
        .split('"')
        .find(|part| part.contains("/cloud/vmReplicaPoints/"))
        .unwrap();
    let point = point.strip_prefix("https://localhost:9398").unwrap();
    let point = bench.get(&format!("{point}?format=Entity")).await;
    assert_eq!((point.status, point.text("VmName")), (200, Some("filesrv03")));

    bench.advance(30);
    let session = bench.get(path).await;
    assert_eq!(
        (session.text("State"), session.text("Result")),
        (Some("Stopped"), Some("Success"))
    );
    assert_eq!(
        (session.text("Progress"), session.text("EndTimeUTC")),
        (Some("100"), Some("2026-05-06T20:30:16Z"))
    );
    assert_eq!(session.count("<Result>Success</Result>"), 3);

    let stats = bench.stats().await;
    assert_eq!(stats["requests"][format!("POST {PLAN_PATH}")], 1);
}

#[tokio::test]
async fn speed_shortens_failovers() {
    let bench = Bench::with(Options {
        speed: 15.0,
        progress_zero: true,
        ..plain()
    })
    .await;
    bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    bench.advance(1);
    let entities = "/api/cloud/failoverSessions?format=Entity";
    let session = bench.get(entities).await;
    assert_eq!(
        (session.text("State"), session.text("Progress")),
        (Some("Working"), Some("0"))
    );
    bench.advance(2);
    let session = bench.get(entities).await;
    assert_eq!(
        (session.text("State"), session.text("Progress")),
        (Some("Stopped"), Some("0"))
    );
    assert_eq!(session.text("Result"), Some("Success"));
}

#[tokio::test]
async fn an_action_is_refused_for_each_mistake_that_em_refuses() {
    let bench = Bench::new().await;
    let spec = |inner: &str| {
        format!(
            "<CloudFailoverPlanManagementSpec xmlns=\"http://www.veeam.com/ent/v1.0\">{inner}</CloudFailoverPlanManagementSpec>"
        )
    };
    let now = spec("<StartNow>true</StartNow>");
    for (status, action, headers, body) in [
        (415, "test", "", ""),
        (415, "test", "Content-Type: application/json\r\n", ""),
        (400, "test", XML, now.as_str()),
        (400, "dance", XML, ""),
        (400, "", XML, ""),
        (400, "start", XML, ""),
        (400, "start", XML, "<StartNow>true</StartNow>"),
        (400, "start", XML, &now.replace("ent/v1.0", "ent/v2.0")),
        (400, "start", XML, &now.replace("CloudFailover", "Failover")),
        (400, "start", XML, &spec("<StartNow>yes</StartNow>")),
        (
            400,
            "start",
            XML,
            &spec("<StartNow>true</StartNow><StartDate>2026-01-01T00:00:00Z</StartDate>"),
        ),
        (400, "start", XML, &spec("<StartDate>soon</StartDate>")),
    ] {
        let answer = bench
            .ask("POST", &format!("{PLAN_PATH}?action={action}"), headers, body)
            .await;
        assert_eq!(
            answer.status, status,
            "{action} {headers} {body}: {}",
            answer.body
        );
    }
    let (token, target) = (&bench.token, format!("{PLAN_PATH}?action=test"));
    let answer = bench
        .send(format!(
            "POST {target} HTTP/1.1\r\nConnection: close\r\nX-RestSvcSessionId: {token}\r\n{XML}\r\n"
        ))
        .await;
    assert_eq!(answer.unwrap().status, 411);
    assert_eq!(
        bench.ask("DELETE", "/api/failoverPlans/x", "", "").await.status,
        405
    );
    assert_eq!(bench.get("/api/nowhere").await.status, 404);
    assert_eq!(
        bench
            .ask("GET", "/api/tasks", "Accept: application/json\r\n", "")
            .await
            .status,
        501
    );
    assert_eq!(
        bench.get("/api/tasks").await.count("<Task "),
        0,
        "nothing was accepted"
    );
    assert_eq!(
        bench
            .ask("POST", &format!("{PLAN_PATH}?action=start"), XML, &now)
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn a_plan_at_work_refuses_every_action_until_it_is_done() {
    let bench = Bench::new().await;
    let test = format!("{PLAN_PATH}?action=test");
    let undo = format!("{PLAN_PATH}?action=undo");
    assert_eq!(bench.ask("POST", &undo, XML, "").await.status, 202);
    let busy = bench.ask("POST", &test, XML, "").await;
    assert_eq!(busy.status, 400);
    assert!(busy.body.contains("already running"), "{}", busy.body);
    bench.advance(11);
    let undone = bench.get("/api/tasks/task-1").await;
    assert_eq!(
        (undone.text("State"), undone.count("<Link ")),
        (Some("Finished"), 1),
        "no session to link"
    );
    assert_eq!(bench.ask("POST", &test, XML, "").await.status, 202);
    assert_eq!(bench.ask("POST", &undo, XML, "").await.status, 400);
    assert_eq!(bench.ask("DELETE", PLAN_PATH, "", "").await.status, 400);
    bench.advance(40);
    assert_eq!(bench.ask("POST", &undo, XML, "").await.status, 202);
}

#[tokio::test]
async fn a_start_before_the_oldest_replica_point_fails_by_its_task() {
    let bench = Bench::new().await;
    let body = "<CloudFailoverPlanManagementSpec xmlns=\"http://www.veeam.com/ent/v1.0\">\
                <StartDate>2020-02-13T06:00:00</StartDate></CloudFailoverPlanManagementSpec>";
    assert_eq!(
        bench
            .ask("POST", &format!("{PLAN_PATH}?action=start"), XML, body)
            .await
            .status,
        202
    );
    bench.advance(5);
    let task = bench.get("/api/tasks/task-1").await;
    assert!(task.body.contains("<Result Success=\"false\">"), "{}", task.body);
    assert_eq!(bench.get("/api/cloud/failoverSessions").await.count("<Ref "), 0);
}

#[tokio::test]
async fn tasks_are_seen_by_their_own_logon_session_only() {
    let mut bench = Bench::new().await;
    bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    assert_eq!(bench.get("/api/tasks").await.count("<Task "), 1);
    bench.token = bench.log_on().await;
    assert_eq!(bench.get("/api/tasks/task-1").await.status, 404);
    assert_eq!(bench.get("/api/tasks").await.count("<Task "), 0);
    assert_eq!(bench.ask("DELETE", "/api/tasks/task-1", "", "").await.status, 404);
    let second = bench
        .ask("POST", &format!("{PLAN_PATH}?action=undo"), XML, "")
        .await;
    assert_eq!(second.status, 400, "the plan is at work for everybody");
}

#[tokio::test]
async fn deleting_a_task_stops_its_work() {
    let bench = Bench::new().await;
    bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    assert_eq!(bench.ask("DELETE", "/api/tasks/task-1", "", "").await.status, 204);
    assert_eq!(bench.get("/api/tasks/task-1").await.status, 404);
    bench.advance(60);
    assert_eq!(
        bench.get("/api/cloud/failoverSessions").await.count("<Ref "),
        0,
        "it never came to a session"
    );

    let accepted = bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    assert_eq!(
        accepted.text("TaskId"),
        Some("task-2"),
        "numbers are not used twice"
    );
    bench.advance(10);
    assert_eq!(bench.ask("DELETE", "/api/tasks/task-2", "", "").await.status, 204);
    let entities = "/api/cloud/failoverSessions?format=Entity";
    assert_eq!(bench.get(entities).await.text("State"), Some("Stopping"));
    bench.advance(2);
    assert_eq!(bench.get(entities).await.text("Result"), Some("Failed"));
}

#[tokio::test]
async fn a_plan_is_changed_only_by_elements_in_the_order_of_the_schema() {
    let bench = Bench::new().await;
    let body = |inner: &str| {
        format!("<CloudFailoverPlan xmlns=\"http://www.veeam.com/ent/v1.0\">{inner}</CloudFailoverPlan>")
    };
    let options = "<CloudFailoverPlanOptions><PreFailoverPlanCommandEnabled>true</PreFailoverPlanCommandEnabled>\
                   <PreFailoverPlanCommand>C:\\before.cmd</PreFailoverPlanCommand></CloudFailoverPlanOptions>";
    let swapped = options.replace(
        "<PreFailoverPlanCommandEnabled>true</PreFailoverPlanCommandEnabled><PreFailoverPlanCommand>C:\\before.cmd</PreFailoverPlanCommand>",
        "<PreFailoverPlanCommand>C:\\before.cmd</PreFailoverPlanCommand><PreFailoverPlanCommandEnabled>true</PreFailoverPlanCommandEnabled>",
    );
    for (status, headers, inner) in [
        (415, "", options.to_owned()),
        (400, XML, swapped),
        (400, XML, format!("{options}<Description>x</Description>")),
        (400, XML, "<Nonsense/>".to_owned()),
        (400, XML, options.replace("true", "perhaps")),
        (202, XML, format!("<Description>x</Description>{options}")),
    ] {
        let answer = bench.ask("PUT", PLAN_PATH, headers, &body(&inner)).await;
        assert_eq!(answer.status, status, "{inner}: {}", answer.body);
    }
    let plan = bench.get(&format!("{PLAN_PATH}?format=Entity")).await;
    assert_eq!(plan.text("PreFailoverPlanCommand"), Some("C:\\before.cmd"));
    assert_eq!(plan.text("PreFailoverPlanCommandEnabled"), Some("true"));
    assert_eq!(
        plan.text("Description"),
        Some("Failover of 2 machines"),
        "read-only for cloud plans"
    );

    let reference = bench.get("/api/failoverPlans").await;
    let href = reference
        .body
        .split('"')
        .find(|part| part.contains("/api/failoverPlans/"))
        .unwrap();
    let path = href.strip_prefix("https://localhost:9398").unwrap();
    let body =
        "<FailoverPlan xmlns=\"http://www.veeam.com/ent/v1.0\"><Description>new</Description></FailoverPlan>";
    assert_eq!(bench.ask("PUT", path, XML, body).await.status, 202);
    assert_eq!(
        bench
            .get(&format!("{path}?format=Entity"))
            .await
            .text("Description"),
        Some("new")
    );
    assert_eq!(
        bench
            .ask("POST", &format!("{path}?action=test"), XML, "")
            .await
            .status,
        400
    );
    assert_eq!(
        bench
            .ask("POST", &format!("{path}?action=undo"), XML, "")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn a_deleted_plan_is_gone_when_its_task_is_done() {
    let bench = Bench::new().await;
    let accepted = bench.ask("DELETE", PLAN_PATH, "", "").await;
    assert_eq!(
        (accepted.status, accepted.text("Operation")),
        (202, Some("DeleteCloudFailoverPlan"))
    );
    bench.advance(2);
    assert_eq!(bench.get(PLAN_PATH).await.status, 404);
    assert_eq!(bench.get("/api/cloud/cloudFailoverPlans").await.count("<Ref "), 2);
}

#[tokio::test]
async fn a_page_of_a_query_has_a_hundred_rows_at_most() {
    let bench = Bench::with(Options {
        plans: 250,
        vms: 1,
        ..plain()
    })
    .await;
    let query = "/api/query?type=cloudfailoverplan&format=Entities";
    for (page, rows, links) in [
        ("", 100, "First,Next,Last"),
        ("&page=2", 100, "First,Previous,Next,Last"),
        ("&pageSize=500&page=3", 50, "First,Previous,Last"),
        ("&page=9", 0, "First,Previous,Last"),
    ] {
        let answer = bench.get(&format!("{query}{page}")).await;
        assert_eq!(answer.count("<CloudFailoverPlan "), rows, "{page}");
        assert!(answer.body.contains("PagesCount=\"3\""), "{page}");
        let (_, paging) = answer.body.split_once("<PagingInfo").unwrap();
        let rels: Vec<_> = paging
            .split("Rel=\"")
            .skip(1)
            .filter_map(|part| part.split('"').next())
            .collect();
        assert_eq!(rels.join(","), links, "{page}");
    }
    let small = bench
        .get("/api/query?type=CloudFailoverPlan&pageSize=3&sortDesc=name")
        .await;
    assert_eq!(small.count("<Ref "), 3);
    assert_eq!(
        bench.get("/api/query?type=CloudFailoverPlan&page=0").await.status,
        400
    );
}

#[tokio::test]
async fn paging_links_keep_the_filter_readable_for_the_next_request() {
    let bench = Bench::with(Options { plans: 9, ..plain() }).await;
    let first = bench
        .get("/api/query?type=CloudFailoverPlan&filter=CloudTenantName%3D%3D%22ABC+Company%22&pageSize=2")
        .await;
    assert_eq!(first.count("<Ref "), 2);
    let (_, next) = first
        .body
        .split_once("Rel=\"Next\" Href=\"https://localhost:9398")
        .unwrap();
    let next = next.split('"').next().unwrap().replace("&amp;", "&");
    assert!(next.contains("%3d%3d%22ABC%20Company%22"), "{next}");
    assert_eq!(bench.get(&next).await.count("<Ref "), 1);
}

#[tokio::test]
async fn a_filter_that_em_cannot_read_is_answered_500_with_a_stack_trace() {
    let bench = Bench::new().await;
    for filter in [
        "State=Working",
        "Nothing==1",
        "CreationTime%3E2026-01-01",
        "(State==Working",
    ] {
        let answer = bench
            .get(&format!("/api/query?type=CloudFailoverSession&filter={filter}"))
            .await;
        assert_eq!(answer.status, 500, "{filter}");
        assert!(answer.body.contains("<StackTrace>"), "{}", answer.body);
    }
    assert_eq!(
        bench
            .get("/api/query?type=CloudFailoverSession&sortAsc=Size")
            .await
            .status,
        500
    );
    assert_eq!(bench.get("/api/query?type=Unicorn").await.status, 400);
    assert_eq!(bench.get("/api/query").await.status, 400);
}

#[tokio::test]
async fn failovers_from_the_console_are_seen_by_every_query() {
    let bench = Bench::new().await;
    let body = format!(
        r#"{{"planId":"{PLAN}","action":"test","result":"Failed","failureMessage":"Host is not available","seconds":100}}"#
    );
    let created = bench.control("POST", "failovers", &body).await;
    assert_eq!(created.status, 201);
    let id = serde_json::from_str::<serde_json::Value>(&created.body).unwrap()["sessionId"].clone();
    let id = id.as_str().unwrap();
    let act = bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    assert_eq!(act.status, 400, "the plan is at work for API clients as well");
    bench.advance(101);
    for filter in [
        "State==Stopped",
        "result==failed;name==%22abc company failover plan%22",
        "Result>Warning,State==Starting",
        "CreationTime%3E=%222026-05-06T20:29:45Z%22;CreationTime<%222026-05-06T20:29:46%22",
        &format!("UID==%22urn:veeam:CloudFailoverSession:{id}%22"),
        "BackupServerName!=%22other%22",
    ] {
        let filter = filter.replace(' ', "%20");
        let answer = bench
            .get(&format!(
                "/api/query?type=CloudFailoverSession&format=Entities&filter={filter}"
            ))
            .await;
        assert_eq!(
            answer.count("<CloudFailoverSession "),
            1,
            "{filter}: {}",
            answer.body
        );
        assert_eq!(answer.text("FailureMessage"), Some("Host is not available"));
        assert_eq!(answer.count("Rel=\"Up\""), 0, "rows of a query carry no links");
    }
    let reference = bench.get(&format!("/api/cloud/failoverSessions/{id}")).await;
    assert_eq!(reference.count("Type=\"CloudFailoverSessionReference\""), 1);
    assert_eq!(
        bench
            .control("POST", "failovers", r#"{"planId":"x"}"#)
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn sessions_of_one_name_can_run_side_by_side() {
    let bench = Bench::new().await;
    let body = format!(r#"{{"planId":"{PLAN}","seconds":100}}"#);
    for _ in 0..3 {
        assert_eq!(bench.control("POST", "failovers", &body).await.status, 201);
    }
    let created: serde_json::Value =
        serde_json::from_str(&bench.control("POST", "failovers", &body).await.body).unwrap();
    let path = format!("failovers?id={}", created["sessionId"].as_str().unwrap());
    let all = "/api/query?type=CloudFailoverSession";
    assert_eq!(bench.get(all).await.count("<Ref "), 4);
    assert_eq!(bench.control("DELETE", &path, "").await.status, 204);
    assert_eq!(bench.control("DELETE", &path, "").await.status, 404);
    assert_eq!(bench.get(all).await.count("<Ref "), 3);
    assert_eq!(bench.control("DELETE", "failovers", "").await.status, 204);
    assert_eq!(bench.get(all).await.count("<Ref "), 0);
}

#[tokio::test]
async fn an_ordered_outcome_holds_for_failovers_through_the_api() {
    let bench = Bench::new().await;
    let body = format!(r#"{{"planId":"{PLAN}","result":"warning","seconds":4}}"#);
    assert_eq!(bench.control("POST", "outcomes", &body).await.status, 204);
    bench
        .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
        .await;
    bench.advance(6);
    let session = bench.get("/api/cloud/failoverSessions?format=Entity").await;
    assert_eq!(
        (session.text("State"), session.text("Result")),
        (Some("Stopped"), Some("Warning"))
    );
}

#[tokio::test]
async fn session_collections_reach_back_thirty_days() {
    let bench = Bench::with(Options {
        history: 120,
        ..plain()
    })
    .await;
    let shown = bench.get("/api/cloud/failoverSessions").await.count("<Ref ");
    assert_eq!(shown, 30 * 24 / 7);
    bench.advance(100);
    let page = bench.get("/api/query?type=CloudFailoverSession").await;
    assert!(page.body.contains("PagesCount=\"2\""));
}

#[tokio::test]
async fn each_fault_breaks_an_answer_as_documented() {
    let bench = Bench::new().await;
    let order = |kind: &str| format!(r#"{{"kind":"{kind}","path":"/api/tasks"}}"#);
    for kind in ["close", "truncate", "executeThenClose"] {
        assert_eq!(bench.control("POST", "faults", &order(kind)).await.status, 204);
        assert!(
            bench.try_ask("GET", "/api/tasks", "", "").await.is_none(),
            "{kind}"
        );
    }
    for (kind, part) in [
        ("garbage", "\u{fffd}"),
        ("html", "<form"),
        ("entityBomb", "<!ENTITY e9"),
        ("deepNesting", "<Links><Links><Links>"),
    ] {
        bench.control("POST", "faults", &order(kind)).await;
        let answer = bench
            .send("GET /api/tasks HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned())
            .await;
        // Garbage is not UTF-8, so its length cannot be compared as text.
        if let Some(answer) = answer {
            assert!(answer.body.contains(part), "{kind}");
        } else {
            assert_eq!(kind, "garbage");
        }
    }
    let order = r#"{"kind":"status","status":429,"retryAfter":7,"count":2,"method":"GET"}"#;
    bench.control("POST", "faults", order).await;
    assert_eq!(
        bench
            .ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
            .await
            .status,
        202
    );
    let limited = bench.get("/api/tasks").await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    assert_eq!(bench.get("/api/tasks").await.status, 429);
    assert_eq!(bench.get("/api/tasks").await.status, 200);
    assert_eq!(
        bench.control("POST", "faults", r#"{"kind":"sulk"}"#).await.status,
        400
    );
}

#[tokio::test]
async fn a_hanging_answer_ends_only_when_its_fault_is_removed() {
    let bench = Bench::new().await;
    bench
        .control("POST", "faults", r#"{"kind":"hang","count":100}"#)
        .await;
    let addr = bench.running.addr();
    let request = format!(
        "GET /api/tasks HTTP/1.1\r\nX-RestSvcSessionId: {}\r\n\r\n",
        bench.token
    );
    let silent = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read(&mut [0; 16]).map_err(|error| error.kind())
    });
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    assert!(matches!(silent.await.unwrap(), Err(TimedOut | WouldBlock)));
    assert_eq!(bench.control("DELETE", "faults", "").await.status, 204);
    assert_eq!(bench.get("/api/tasks").await.status, 200);
    let begun = Instant::now();
    bench.running.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "a hanging connection holds nobody up"
    );
}

#[tokio::test]
async fn an_action_can_be_carried_out_without_an_answer() {
    let bench = Bench::new().await;
    bench
        .control("POST", "faults", r#"{"kind":"executeThenClose","method":"POST"}"#)
        .await;
    assert!(
        bench
            .try_ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
            .await
            .is_none()
    );
    bench
        .control("POST", "faults", r#"{"kind":"close","method":"POST"}"#)
        .await;
    assert!(
        bench
            .try_ask("POST", &format!("{PLAN_PATH}?action=test"), XML, "")
            .await
            .is_none()
    );
    bench.advance(1);
    assert_eq!(bench.get("/api/cloud/failoverSessions").await.count("<Ref "), 1);
}

#[tokio::test]
async fn answers_vary_in_spelling_but_not_in_meaning() {
    let options = Options {
        plans: 3,
        seed: Some(11),
        unknown_elements: true,
        ..Options::on_any_port()
    };
    let bench = Bench::with(options).await;
    let (mut with_mark, mut with_reference, mut type_first) = (0, 0, 0);
    for _ in 0..40 {
        let answer = bench.get("/api/cloud/cloudFailoverPlans?format=Entity").await;
        with_mark += answer.count("\u{feff}");
        with_reference += usize::from(answer.body.contains("&#x2F;"));
        type_first += usize::from(answer.body.contains("<CloudFailoverPlan Type="));
        assert_eq!(answer.count("<AddedInALaterVersion "), 1);
        assert!(
            answer.body.contains("R&amp;D / site &lt;B&gt;") || answer.body.contains("R&amp;D &#x2F; site")
        );
    }
    for seen in [with_mark, with_reference, type_first] {
        assert!(
            (1..40).contains(&seen),
            "{with_mark} {with_reference} {type_first}"
        );
    }
}

#[tokio::test]
async fn timestamps_keep_their_order_in_any_precision() {
    let options = Options {
        history: 60,
        seed: Some(3),
        ..Options::on_any_port()
    };
    let bench = Bench::with(options).await;
    bench.clock.advance(Duration::from_nanos(123_456_789));
    for _ in 0..20 {
        let body = format!(r#"{{"planId":"{PLAN}","seconds":0.25}}"#);
        assert_eq!(bench.control("POST", "failovers", &body).await.status, 201);
        bench.clock.advance(Duration::from_nanos(777_777_777));
    }
    let answer = bench
        .get("/api/query?type=CloudFailoverSession&format=Entities")
        .await;
    let mut digits = std::collections::BTreeSet::new();
    for session in answer.body.split("<CloudFailoverSession ").skip(1) {
        let text = |name: &str| {
            let (_, rest) = session.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let (begin, end) = (text("CreationTimeUTC"), text("EndTimeUTC"));
        digits.insert(
            begin
                .split_once('.')
                .map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count()),
        );
        let instant = |text: &str| {
            text.parse::<Timestamp>()
                .or_else(|_| format!("{text}Z").parse::<Timestamp>())
                .unwrap()
        };
        assert!(instant(&begin) <= instant(&end), "{begin} {end}");
    }
    assert!(
        digits.contains(&0) && digits.contains(&7) && digits.len() > 3,
        "{digits:?}"
    );
}

#[tokio::test]
async fn tls_is_served_with_the_certificate_that_was_announced() {
    let options = Options { tls: true, ..plain() };
    let running = Simulator::start(options).await.unwrap();
    let pem = running.certificate_pem().unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("{}/api/", running.base_url());
    assert!(url.starts_with("https://127.0.0.1:"));
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(running.pin().unwrap().len(), 64);
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(
        stranger.get(&url).send().await.is_err(),
        "nobody trusts it by chance"
    );
    running.stop().await;
}

#[tokio::test]
async fn wrong_options_and_a_used_port_are_clear_errors() {
    let slow = Options {
        speed: f64::NAN,
        ..plain()
    };
    assert_eq!(
        Simulator::start(slow).await.unwrap_err().to_string(),
        "--speed must be above 0"
    );
    let bench = Bench::new().await;
    let taken = Options {
        listen: bench.running.addr(),
        ..plain()
    };
    let message = Simulator::start(taken).await.unwrap_err().to_string();
    assert_eq!(message, format!("cannot listen on {}", bench.running.addr()));
}
