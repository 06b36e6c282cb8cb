//! Paths of guest files and their bytes: encodings, streams, logons that expired.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{between, plan_path};
use crate::support::scripted_server::Reply;

#[tokio::test(flavor = "multi_thread")]
async fn paths_reach_em_with_the_right_encoding() {
    let (test, em) = between().await;
    let entries = "<FileSystemEntries xmlns=\"http://www.veeam.com/ent/v1.0\"/>";
    em.answers("GET /api/vmRestorePoints/*", Reply::xml(200, entries));
    em.answers(
        "GET /api/catalog/vms/*",
        Reply::xml(
            200,
            "<CatalogVm xmlns=\"http://www.veeam.com/ent/v1.0\" Name=\"a/b\"/>",
        ),
    );
    for path in [
        "C:/Program%20Files/50%25%20%23.txt",
        "C:%2FProgram%20Files%2F50%25%20%23.txt",
        "C:%5CProgram%20Files%5C50%25%20%23.txt",
    ] {
        let answer = test
            .client
            .get(&format!(
                "/api/v1/em/vmRestorePoints/1/mounts/2/{path}?action=listFiles&page=3&pageSize=10"
            ))
            .send()
            .await
            .expect(200);
        assert_eq!(answer.body["files"], json!([]));
        let seen = em.seen("GET /api/vmRestorePoints/").pop().expect("a request");
        assert_eq!(
            seen.target,
            "/api/vmRestorePoints/1/mounts/2/C:/Program%20Files/50%25%20%23.txt?action=listFiles&pageSize=10&page=3"
        );
    }
    test.client
        .get("/api/v1/em/CATALOG/vms/a%2Fb%3F%20%C3%A4")
        .send()
        .await
        .expect(200);
    let seen = em.seen("GET /api/catalog/").pop().expect("a request");
    assert_eq!(seen.target, "/api/catalog/vms/a%2Fb%3F%20%C3%A4?format=Entity");
    assert_eq!(seen.headers["accept"], "application/xml");
    assert!(seen.body.is_empty());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_passes_as_it_comes() {
    let (test, em) = between().await;
    let path = "/api/v1/em/vmRestorePoints/1/mounts/2/C:/disk.bin?action=download";
    // Larger than any answer that is held, so that it can only pass as a stream.
    let file = Bytes::from(vec![7_u8; 70 * 1024 * 1024]);
    let reply = Reply {
        body: file.clone(),
        ..Reply::xml(200, "")
    };
    em.answers(
        "GET /api/vmRestorePoints/1/mounts/2/C:/disk.bin?action=download",
        reply
            .header("content-type", "application/x-disk")
            .header("content-disposition", "attachment; filename=\"disk.bin\""),
    );
    let raw = |path: &'static str| {
        crate::support::client::plain()
            .get(format!("http://{}{path}", test.addr()))
            .bearer_auth(crate::support::token(
                &json!({"sub": "tester", "scope": "em:read tenants:all"}),
            ))
            .header("accept-encoding", "gzip, br")
            .send()
    };
    let answer = raw(path).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().expect("text").to_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some("application/x-disk"));
    assert_eq!(
        header("content-disposition").as_deref(),
        Some("attachment; filename=\"disk.bin\"")
    );
    assert_eq!(header("content-length"), Some(file.len().to_string()));
    assert_eq!(header("content-encoding"), None);
    assert!(answer.bytes().await.expect("the whole file") == file);

    let error = "<Error xmlns=\"http://www.veeam.com/ent/v1.0\" Message=\"no such file\"/>";
    em.answers(
        "GET /api/vmRestorePoints/1/mounts/2/C:/disk.bin?action=download",
        Reply::xml(404, error),
    );
    let answer = test.client.get(path).refused(404, "not-found").await;
    assert!(answer.text.contains("no such file"));

    // A file that ends too early must not seem complete.
    let mut broken = Reply::xml(200, "half").header("content-type", "text/plain");
    broken.cut = true;
    em.answers(
        "GET /api/vmRestorePoints/1/mounts/2/C:/disk.bin?action=download",
        broken,
    );
    let answer = raw(path).await.expect("an answer");
    assert!(answer.bytes().await.is_err());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_logon_session_is_replaced_unnoticed() {
    let (test, em) = between().await;
    em.answers(
        "GET /api/vmRestorePoints/1/mounts/2/C:/x?action=download",
        Reply::xml(200, "bytes").header("content-type", "text/plain"),
    );
    test.sim_control(reqwest::Method::POST, "expire", Value::Null)
        .await;
    test.client.get(&plan_path()).send().await.expect(200);
    test.sim_control(reqwest::Method::POST, "expire", Value::Null)
        .await;
    let file = test
        .client
        .get("/api/v1/em/vmRestorePoints/1/mounts/2/C:/x?action=download")
        .send()
        .await
        .expect(200);
    assert_eq!(file.text, "bytes");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_html_page_is_not_served_as_the_file() {
    let (test, em) = between().await;
    let page = Reply::xml(200, "<html><body>Sign in</body></html>")
        .header("content-type", "text/html; charset=utf-8");
    let target = |name: &str| format!("GET /api/vmRestorePoints/1/mounts/2/C:/{name}?action=download");
    em.answers(&target("report.docx"), page.clone());
    // EM names every file that it sends, also one that is HTML.
    em.answers(
        &target("page.html"),
        page.header("content-disposition", "attachment; filename=\"page.html\""),
    );
    let path = |name: &str| format!("/api/v1/em/vmRestorePoints/1/mounts/2/C:/{name}?action=download");
    let refused = test.client.get(&path("report.docx")).send().await;
    refused.expect_problem(502, "upstream-invalid-response");
    let file = test.client.get(&path("page.html")).send().await.expect(200);
    assert!(file.text.contains("Sign in"));
    test.stop().await;
}
