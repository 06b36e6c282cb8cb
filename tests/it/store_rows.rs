//! A row of the store that cannot be read, as callers see it: only that row is missing, until it can be read.

use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::{PLAN, TestGateway};

/// Changes the store behind the gateway's back.
async fn change(test: &TestGateway, sql: String) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", test.directory().join("emgate.db").display());
    let mut other = sqlx::AnyConnection::connect(&url)
        .await
        .expect("a second connection");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(&mut other)
        .await
        .expect("changed");
    other.close().await.expect("closed");
}

fn check(readiness: &Value) -> &Value {
    let checks = readiness["checks"].as_array().into_iter().flatten();
    let mut own = checks.filter(|check| check["name"] == "store-rows");
    own.next().unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_cannot_be_read_keeps_its_plan_busy() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 0.1).start().await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let made = test.client.post(&path).send().await.expect(202);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let own = format!("/api/v1/operations/{id}");
    change(&test, "update operations set metadata = '{'".to_owned()).await;
    let unhealthy = test.until("/readyz", |body| check(body)["status"] != "ok").await;
    assert_eq!(unhealthy["status"], "degraded", "{unhealthy}");
    assert!(check(&unhealthy)["since"].is_string(), "{unhealthy}");
    assert_eq!(
        check(&unhealthy)["reason"],
        "rows cannot be read and are skipped; the log names them"
    );
    assert!(!unhealthy.to_string().contains(&id), "{unhealthy}");
    test.client.get(&own).refused(500, "internal").await;
    let list = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(list.body["items"], json!([]));
    test.client.post(&path).refused(409, "plan-busy").await;
    let metrics = test.client.get("/metrics").send().await;
    let counted = "emgate_store_unreadable_rows_total{table=\"operations\"}";
    assert!(metrics.text.contains(counted), "{}", metrics.text);
    change(&test, "update operations set metadata = '{}'".to_owned()).await;
    test.until("/readyz", |body| body["status"] == "ready").await;
    test.client.get(&own).send().await.expect(200);
    test.stop().await;
}
