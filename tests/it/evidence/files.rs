//! Reports as files: a changed byte is noticed wherever it is, names of machines do no harm, a thousand machines have room.

use std::process::Stdio;

use emgate::reports::verify::{Fault, Key, Page, verify};
use emgate::reports::{Format, html, render};
use serde_json::{Value, json};

use super::tested;
use crate::support::process::command;
use crate::support::{PLAN, TestGateway, operation, plan};
use crate::waiting::output_of;

/// A report as JSON and as a page, and the key that signed it.
async fn signed() -> (Value, String, String, Vec<Key>) {
    let test = TestGateway::start().await;
    let report = tested(&test).await;
    let path = format!(
        "/api/v1/operations/{}/report",
        report["execution"]["operationId"].as_str().expect("an id")
    );
    let text = test.client.get(&path).send().await.expect(200).text;
    let page = test
        .client
        .get(&format!("{path}?format=html"))
        .send()
        .await
        .expect(200)
        .text;
    let keys = keys_of(&test).await;
    test.stop().await;
    (report, text, page, keys)
}

/// The keys of a gateway.
pub async fn keys_of(test: &TestGateway) -> Vec<Key> {
    let keys = test
        .stranger()
        .get("/.well-known/emgate/report-keys")
        .send()
        .await
        .expect(200);
    let keys = keys.body["keys"].as_array().expect("keys").iter().map(|key| Key {
        id: key["keyId"].as_str().map(ToOwned::to_owned),
        public_key: key["publicKey"].as_str().expect("a key").to_owned(),
    });
    keys.collect()
}

/// Keeps a page for a browser to draw (`scripts/reports.sh`), where `EMGATE_WRITE_REPORTS` names a folder.
pub fn keep(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("EMGATE_WRITE_REPORTS") {
        std::fs::write(std::path::Path::new(&folder).join(name), page).expect("written");
    }
}

/// The same with another byte in one place.
fn flipped(text: &str, number: usize) -> (usize, Vec<u8>) {
    let mut bytes = text.as_bytes().to_vec();
    // Places all over the text, and every bit in turn.
    let place = number.wrapping_mul(2_654_435_761) % bytes.len();
    bytes[place] ^= 1 << (number % 8);
    (place, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_is_noticed_wherever_it_is() {
    let (_, text, page, keys) = signed().await;
    for (file, flips) in [(&text, 1500), (&page, 300)] {
        let sound = verify(file.as_bytes(), &keys, false).expect("what was signed");
        assert_eq!(sound.audit_rows, 2);
        for number in 0..flips {
            let (place, bytes) = flipped(file, number);
            assert!(
                verify(&bytes, &keys, false).is_err(),
                "the byte at {place} of {}",
                file.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_named() {
    let (report, text, page, keys) = signed().await;
    let faults = |file: &str, keys: &[Key]| verify(file.as_bytes(), keys, false).expect_err("a fault");
    let changed = |pointer: &str, value: Value| {
        let mut changed = report.clone();
        *changed.pointer_mut(pointer).expect("a member") = value;
        serde_json::to_string(&changed).expect("JSON")
    };
    let has = |faults: &[Fault], word: &str| faults.iter().any(|fault| fault.to_string().starts_with(word));
    let verdict = faults(&changed("/summary/verdict", json!("failed")), &keys);
    assert!(
        has(&verdict, "digest:") && has(&verdict, "signature:"),
        "{verdict:?}"
    );
    let row = faults(&changed("/provenance/audit/0/actor/subject", json!("eve")), &keys);
    assert!(has(&row, "audit:"), "{row:?}");
    let signature = faults(&changed("/integrity/signature", json!("AAAA")), &keys);
    assert!(
        matches!(signature.as_slice(), [Fault::Signature(_)]),
        "{signature:?}"
    );
    let stranger = Key {
        id: Some("rk_0".to_owned()),
        public_key: keys[0].public_key.clone(),
    };
    assert!(matches!(faults(&text, &[stranger]).as_slice(), [Fault::Key(_)]));
    let pretty = serde_json::to_string_pretty(&report).expect("JSON");
    assert!(matches!(faults(&pretty, &keys).as_slice(), [Fault::Form]));
    verify(pretty.as_bytes(), &keys, true).expect("the same content");
    let shown = page.replacen("ABC Company", "XYZ Company", 1);
    assert!(matches!(faults(&shown, &keys).as_slice(), [Fault::Page]));
    assert!(matches!(faults("[]", &keys).as_slice(), [Fault::NoReport]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_compared_although_the_report_in_it_was_formatted_anew() {
    let (report, _, page, keys) = signed().await;
    let (before, data, after) = html::parted(&page).expect("a page");
    let (shown, begin) = before_and(&page, before);
    let pretty = serde_json::to_string_pretty(&report).expect("JSON");
    for anew in [format!(" {data}"), pretty.replace('<', "\\u003c")] {
        let sound = format!("{shown}{begin}{anew}</script>{after}");
        let faults = verify(sound.as_bytes(), &keys, false).expect_err("another text");
        assert!(matches!(faults.as_slice(), [Fault::Form]), "{faults:?}");
        let verified = verify(sound.as_bytes(), &keys, true).expect("the same content");
        assert_eq!(verified.page, Page::Compared);
        for forged in [
            format!(
                "{}{begin}{anew}</script>{after}",
                shown.replacen("ABC Company", "XYZ Company", 1)
            ),
            format!("{shown}{begin}{anew}</script><p>failed</p>{after}"),
        ] {
            let faults = verify(forged.as_bytes(), &keys, true).expect_err("another page");
            assert!(matches!(faults.as_slice(), [Fault::Page]), "{faults:?}");
        }
    }
    // What says that it cannot be compared is told so.
    let foreign =
        format!("<p>failed</p><!-- made by a template of the operator's -->\n{begin}{data}</script>{after}");
    let verified = verify(foreign.as_bytes(), &keys, true).expect("the report in it");
    assert_eq!(verified.page, Page::Template);
}

/// What a page shows before its report, and the beginning of the block of data.
fn before_and<'p>(page: &'p str, before: &'p str) -> (&'p str, &'p str) {
    let (_, rest) = page.split_at(before.len());
    let begin = rest.find('{').expect("a report");
    (before, &rest[..begin])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_with_a_member_twice_is_not_what_was_signed() {
    let (_, text, page, keys) = signed().await;
    let twice = |file: &str| {
        let changed = file.replacen("\"verdict\":", "\"verdict\":\"failed\",\"verdict\":", 1);
        assert_ne!(changed, file);
        changed
    };
    let escaped = text.replacen("\"verdict\":", "\"verdict\":\"failed\",\"\\u0076erdict\":", 1);
    for file in [twice(&text), twice(&page), escaped] {
        for reformatted in [false, true] {
            let faults = verify(file.as_bytes(), &keys, reformatted).expect_err("a fault");
            let [Fault::Ambiguous(places)] = faults.as_slice() else {
                panic!("{faults:?}")
            };
            assert_eq!(places, "/summary/verdict");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_verifies_files_without_a_connection() {
    let (_, text, page, keys) = signed().await;
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    };
    let (json, html) = (file("a.json", &text), file("a.html", &page));
    let bad = file(
        "b.json",
        &text
            .replacen("passed", "failed", 1)
            .replacen("notMeasured", "passed", 1),
    );
    let listed = json!({"keys": [{"keyId": keys[0].id, "publicKey": keys[0].public_key}]});
    let listed = file("keys.json", &listed.to_string());
    let run = async |arguments: Vec<&str>| {
        let mut prepared = command(&[], &[&["report", "verify"][..], &arguments].concat());
        prepared.env_remove("EMGATE_SERVER").stdin(Stdio::null());
        if arguments.contains(&"--key") {
            // A key counts before the server that a shell has set for other commands.
            prepared.env("EMGATE_SERVER", "http://127.0.0.1:9");
        }
        prepared.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = prepared.spawn().expect("the binary starts");
        let output = tokio::task::spawn_blocking(move || output_of(child))
            .await
            .expect("an end");
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).expect("UTF-8"))
    };
    for key in [listed.as_str(), keys[0].public_key.as_str()] {
        let (code, told) = run(vec![&json, &html, "--key", key]).await;
        assert_eq!(
            (code, told.matches(": verified: ").count()),
            (Some(0), 2),
            "{told}"
        );
        assert!(told.contains("page compared"), "{told}");
    }
    let (code, told) = run(vec![&json, &bad, "--key", &listed]).await;
    assert!(code == Some(1) && told.contains("b.json: NOT VERIFIED"), "{told}");
    assert!(told.contains("digest") && told.contains("signature"), "{told}");
    for wrong in [
        vec![json.as_str()],
        vec!["none.json", "--key", &listed],
        vec![&json, "--key", "x"],
    ] {
        let (code, told) = run(wrong).await;
        assert!(code == Some(2) && told.starts_with("error: "), "{told}");
    }
}

/// Reports as people look at them: a good test after others, one that failed, and one that was never sent.
#[tokio::test(flavor = "multi_thread")]
async fn pages_show_what_was_good_bad_or_never_sent() {
    let test = TestGateway::builder()
        .config(|config| {
            config.policies = emgate::domain::policy::Policies(vec![crate::approvals::held_back(1)]);
        })
        .start()
        .await;
    super::set_objectives(&test).await;
    let page = async |operation: &str| {
        let answer = test
            .client
            .get(&format!("{operation}/report?format=html"))
            .send()
            .await;
        answer.expect(200).text
    };
    for result in ["success", "failed", "success", "warning", "success"] {
        let outcome =
            json!({"planId": PLAN, "result": result, "failureMessage": "no free address in the pool DR-Net"});
        test.sim_control(reqwest::Method::POST, "outcomes", outcome).await;
        let purpose = json!({"reason": "yearly test", "scenario": "loss of the site", "ticket": "DR-1042"});
        let operation = super::ended(&test, &plan("/test"), &json!({"purpose": purpose})).await;
        let shown = page(&operation).await;
        match result {
            "failed" => {
                assert!(shown.contains("✗ FAILED") && shown.contains("no free address"));
                keep("failed.html", &shown);
            }
            "success" => {
                assert!(shown.contains("✓ PASSED") && shown.contains("yearly test"));
                keep("good.html", &shown);
            }
            _ => assert!(shown.contains("A machine recovered with a warning.")),
        }
    }
    let waiting = test.client.post(&plan("/start")).send().await.expect(202);
    let path = operation(&waiting);
    test.client
        .post(&format!("{path}/cancel"))
        .send()
        .await
        .expect(202);
    let never = page(&path).await;
    assert!(never.contains("was not sent") && never.contains("There is no failover session."));
    keep("empty.html", &never);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_machines_do_no_harm() {
    let (mut report, _, _, _) = signed().await;
    let long = "x".repeat(4096);
    let names = [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "=HYPERLINK(\"http://x.example\")",
        "a\r\nb",
        "日本語 \u{5d0}\u{5d1} \u{202e}evil",
        "<!-- ]]> {{ 7 * 7 }}",
        &long,
    ];
    let machine = report["machines"][0].clone();
    let machines = names.iter().map(|name| {
        let mut machine = machine.clone();
        machine["name"] = json!(name);
        machine["message"] = json!(name);
        machine
    });
    report["machines"] = machines.collect();
    report["plan"]["name"] = json!(names[0]);
    let page = html::page(&report).expect("a page");
    keep("hostile.html", &page);
    assert!(!page.contains("<img") && !page.contains("<script>"));
    assert_eq!(page.matches("<script").count(), 1, "the block of data alone");
    assert_eq!(page.matches("</script>").count(), 1);
    let (_, data, _) = html::parted(&page).expect("data");
    assert_eq!(serde_json::from_str::<Value>(data).expect("JSON"), report);
    assert!(page.contains("{{ 7 * 7 }}"), "a name is no template");
    let table = render(Format::Csv, &report.to_string()).expect("a table");
    let table = String::from_utf8(table).expect("UTF-8");
    assert!(table.contains("'=HYPERLINK"));
    // One line end for each row, and one within each of the four cells that have one.
    assert_eq!(table.matches("\r\n").count(), names.len() + 1 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_thousand_machines_stays_small() {
    let (mut report, _, _, _) = signed().await;
    let machine = report["machines"][0].clone();
    for (count, most) in [(100, 250 * 1024), (1000, 2 * 1024 * 1024)] {
        let machines = (0..count).map(|number| {
            let mut machine = machine.clone();
            machine["name"] = json!(format!("server-{number:04}.example"));
            machine
        });
        report["machines"] = machines.collect();
        let text = report.to_string();
        assert!(
            text.len() <= 1024 * 1024,
            "{count} machines: {} bytes of JSON",
            text.len()
        );
        let page = render(Format::Html, &text).expect("a page");
        let name = if count == 1000 {
            "thousand.html"
        } else {
            "hundred.html"
        };
        keep(name, std::str::from_utf8(&page).expect("UTF-8"));
        assert!(
            page.len() <= most,
            "{count} machines: {} bytes of HTML",
            page.len()
        );
    }
}

/// Numbers of RFC 8785, appendix B, and the order of names of its section 3.2.3.
const CANONICAL: &[(&str, &str)] = &[
    ("5e-324", "5e-324"),
    ("-5e-324", "-5e-324"),
    ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ("9007199254740992", "9007199254740992"),
    ("295147905179352830000", "295147905179352830000"),
    ("9.999999999999997e22", "9.999999999999997e+22"),
    ("1e23", "1e+23"),
    ("1.0000000000000001e23", "1.0000000000000001e+23"),
    ("999999999999999700000", "999999999999999700000"),
    ("1e21", "1e+21"),
    ("9.999999999999997e-7", "9.999999999999997e-7"),
    ("0.000001", "0.000001"),
    ("333333333.3333332", "333333333.3333332"),
    ("333333333.33333325", "333333333.33333325"),
    ("333333333.3333334", "333333333.3333334"),
    ("-0.0000033333333333333333", "-0.0000033333333333333333"),
    ("1424953923781206.2", "1424953923781206.2"),
    ("-0.0", "0"),
    (
        r#"{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7}"#,
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
    ),
];

/// Beside the built-in ones those that `tests/reports/canonical.py` makes of another library, where `EMGATE_CANONICAL` names the
/// folder.
#[test]
fn the_canonical_form_is_that_of_another_library() {
    let compare = |document: &str, expected: &[u8]| {
        let value: Value = serde_json::from_str(document).expect("JSON");
        let found = emgate::reports::integrity::canonical(&value).expect("a form");
        assert_eq!(
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(expected),
            "{document}"
        );
    };
    for (document, expected) in CANONICAL {
        compare(document, expected.as_bytes());
    }
    let Some(folder) = std::env::var_os("EMGATE_CANONICAL").map(std::path::PathBuf::from) else {
        return;
    };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("read");
    let (documents, expected) = (read("documents.jsonl"), read("expected.jsonl"));
    let mut count = 0;
    for (document, expected) in documents.lines().zip(expected.lines()) {
        compare(document, expected.as_bytes());
        count += 1;
    }
    assert_eq!(count, documents.lines().count());
    println!("reports: {count} documents have the canonical form of another library");
}
