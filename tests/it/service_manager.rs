//! What a gateway tells the service manager that started it, over its socket.

use std::net::TcpListener;
use std::process::Stdio;

use crate::support::SECRET;
use crate::support::process::command;
use crate::support::service_manager::ServiceManager;
use crate::support::world::World;
use crate::waiting::output_of;

const OPENS: &str = "STATUS=opens the store; migrations may take some time";
const EXTENDS: &str = "EXTEND_TIMEOUT_USEC=30000000";
const STOPS: &str = "STOPPING=1\nSTATUS=finishes the requests and deliveries in progress";

fn world(manager: &ServiceManager, variables: &[&str]) -> World {
    let starter = [&["env", manager.variable()], variables].concat();
    World::begin_by(&starter, &[])
}

#[rstest::rstest]
#[case::path(ServiceManager::at_path())]
#[case::abstract_name(ServiceManager::at_abstract_name())]
#[tokio::test]
async fn start_reload_and_stop_are_told_in_order(#[case] manager: ServiceManager) {
    let world = world(&manager, &[]);
    assert_eq!(manager.next(), OPENS);
    assert_eq!(manager.next(), EXTENDS);
    let ready = format!("READY=1\nSTATUS=accepts requests on {}", world.gateway.addr);
    assert_eq!(manager.until("READY=1"), std::slice::from_ref(&ready));
    let (status, _, body) = world.ask("/api/v1/operations").await;
    assert_eq!(status, 200, "{body}");

    for _ in 0..2 {
        world.gateway.hangup();
        let reloading = manager.next();
        let lines: Vec<&str> = reloading.lines().collect();
        let time = lines[1].strip_prefix("MONOTONIC_USEC=").expect("the time");
        assert!(time.parse::<u64>().expect("a number") > 0, "{reloading}");
        assert_eq!(
            (lines[0], lines[2]),
            ("RELOADING=1", "STATUS=reads the files of server.tls again")
        );
        assert_eq!(manager.next(), ready);
    }

    let (status, _) = world.stop_gateway();
    assert!(status.success());
    assert_eq!(manager.rest(), [STOPS, EXTENDS]);
}

#[test]
fn the_watchdog_gets_signs_of_life() {
    let manager = ServiceManager::at_path();
    let world = world(&manager, &["WATCHDOG_USEC=100000"]);
    manager.until("READY=1");
    for _ in 0..5 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    let (status, _) = world.stop_gateway();
    assert!(status.success());
}

#[rstest::rstest]
#[case::of_another_process(&["WATCHDOG_USEC=100000", "WATCHDOG_PID=1"])]
#[case::without_time(&["WATCHDOG_USEC=0"])]
#[case::no_number(&["WATCHDOG_USEC=soon"])]
fn a_watchdog_that_is_not_meant_gets_nothing(#[case] variables: &[&str]) {
    let manager = ServiceManager::at_path();
    let world = world(&manager, variables);
    let mut said = manager.until("READY=1");
    let (status, _) = world.stop_gateway();
    assert!(status.success());
    said.extend(manager.rest());
    assert!(
        !said.iter().any(|message| message.contains("WATCHDOG")),
        "{said:?}"
    );
}

#[rstest::rstest]
#[case::not_there("/absent/notify", "the service manager cannot be told what the gateway does")]
#[case::other_family(
    "vsock:2:9999",
    "NOTIFY_SOCKET cannot be used; the service manager is told nothing"
)]
#[tokio::test]
async fn a_socket_that_cannot_be_used_is_logged_once(#[case] socket: &str, #[case] warning: &str) {
    let variable = format!("NOTIFY_SOCKET={socket}");
    let mut world = World::start_by(&["env", &variable, "WATCHDOG_USEC=2000"], &[]).await;
    world.gateway.wait_for_line(warning);
    world.gateway.hangup();
    world
        .gateway
        .wait_for_line("SIGHUP: the files of server.tls are read again; other settings need a restart");
    assert!(!world.gateway.log().contains(warning), "{}", world.gateway.log());
    let (status, _) = world.stop_gateway();
    assert!(status.success());
}

#[tokio::test]
async fn without_a_service_manager_nothing_is_said() {
    let mut world = World::start_by(&["env", "-u", "NOTIFY_SOCKET", "WATCHDOG_USEC=2000"], &[]).await;
    assert!(!world.gateway.log().contains("service manager"));
    let (status, _) = world.stop_gateway();
    assert!(status.success());
}

#[test]
fn a_failed_start_is_told_with_its_reason() {
    let manager = ServiceManager::at_path();
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let folder = tempfile::tempdir().expect("a folder");
    let child = command(&["env", manager.variable()], &["serve"])
        .current_dir(folder.path())
        .env(
            "EMGATE_SERVER__LISTEN",
            taken.local_addr().expect("bound").to_string(),
        )
        .env("EMGATE_UPSTREAM__URL", "http://127.0.0.1:9")
        .env("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators")
        .env("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "u")
        .env("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "p")
        .env("EMGATE_AUTH__KEYS__0__KIND", "hs256")
        .env("EMGATE_AUTH__KEYS__0__SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let output = output_of(child);
    assert_eq!(output.status.code(), Some(1));
    let said = manager.rest();
    let [status] = &said[..] else { panic!("{said:?}") };
    let reason = status.strip_prefix("STATUS=").expect("a status");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains(reason), "{status}\n{log}");
}
