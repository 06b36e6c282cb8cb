//! The query service over every type.

use std::collections::BTreeSet;

use emgate::catalogue::{Method, catalogue};
use emgate::transcode;
use serde_json::Value;

use super::client::Em;

/// One page of a query.
async fn page_of(em: &Em, parameters: &str, faults: &mut Vec<String>) -> Option<Value> {
    let target = format!("/query?{parameters}");
    let answer = em.get(&target).await;
    if answer.status != 200 {
        faults.push(format!("{target}: {} {}", answer.status, answer.text()));
        return None;
    }
    if let Some(fault) = answer.fault(&["QueryResult"]) {
        faults.push(format!("{target}: {fault}"));
        return None;
    }
    Some(serde_json::from_slice(&transcode::decode(&answer.body).unwrap().json).unwrap())
}

/// All pages of a query.
async fn query(em: &Em, parameters: &str, faults: &mut Vec<String>) -> Vec<Value> {
    let mut items = Vec::new();
    for page in 1..40 {
        let Some(json) = page_of(em, &format!("{parameters}&page={page}"), faults).await else {
            return items;
        };
        items.extend(json["items"].as_array().unwrap().iter().cloned());
        if json["page"]["next"].is_null() {
            return items;
        }
    }
    faults.push(format!("{parameters} has no last page"));
    items
}

#[tokio::test]
async fn every_query_can_be_filtered_sorted_and_paged() {
    let em = Em::start(5, false).await;
    // Tasks are asked for as well, so there must be one.
    let plan = "/cloud/cloudFailoverPlans/3f56fa52-c902-4655-9774-2022fde214d2?action=test";
    assert_eq!(em.send(Method::Post, plan, None).await.status, 202);
    let mut faults = Vec::new();
    let mut many = 0;
    for q in catalogue().queries() {
        let name = q.name;
        let all = query(&em, &format!("type={name}"), &mut faults).await;
        if all.is_empty() {
            faults.push(format!("{name} has no rows"));
        }
        many += usize::from(all.len() > 100);
        let entities = query(
            &em,
            &format!("type={name}&format=Entities&pageSize=7"),
            &mut faults,
        )
        .await;
        if entities.len() != all.len() {
            faults.push(format!(
                "{name}: {} references, {} entities",
                all.len(),
                entities.len()
            ));
        }
        for field in &q.fields {
            let field = field.name;
            // A page for each row: to count them takes no reading of all.
            let parameters = format!("type={name}&sortDesc={field}&pageSize=1");
            let rows = page_of(&em, &parameters, &mut faults)
                .await
                .map(|page| page["page"]["total"].clone());
            if rows.as_ref().is_none_or(|rows| *rows != all.len()) {
                faults.push(format!(
                    "{name} sorted by {field} has {rows:?} rows of {}",
                    all.len()
                ));
            }
        }
        let Some(uid) = all.first().and_then(|row| row["uid"].as_str()) else {
            continue;
        };
        if q.field("UID").is_some() {
            let one = query(&em, &format!("type={name}&filter=UID==\"{uid}\""), &mut faults).await;
            let other = query(&em, &format!("type={name}&filter=UID!=\"{uid}\""), &mut faults).await;
            if (one.len(), other.len()) != (1, all.len() - 1) {
                faults.push(format!(
                    "{name}: {} with {uid}, {} without",
                    one.len(),
                    other.len()
                ));
            }
        }
        if q.field("Name").is_some() {
            let sorted = query(&em, &format!("type={name}&sortAsc=Name"), &mut faults).await;
            let names: Vec<String> = sorted
                .iter()
                .map(|row| row["name"].as_str().unwrap().to_lowercase())
                .collect();
            if !names.is_sorted() {
                faults.push(format!("{name} is not sorted by name"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(many >= 3, "only {many} queries have more than one page");
}

#[tokio::test]
async fn a_filter_finds_what_the_documents_say() {
    let em = Em::start(5, false).await;
    let mut faults = Vec::new();
    let sessions = query(&em, "type=BackupJobSession&format=Entities", &mut faults).await;
    for (filter, holds) in [
        ("State==Stopped;Result==Failed", "failed"),
        ("Result>Success;State==Stopped", "failed warning"),
    ] {
        let found = query(
            &em,
            &format!("type=BackupJobSession&format=Entities&filter={filter}"),
            &mut faults,
        )
        .await;
        let wanted = |row: &&Value| holds.contains(&row["result"].as_str().unwrap().to_lowercase());
        assert_eq!(found.len(), sessions.iter().filter(wanted).count(), "{filter}");
        assert!(!found.is_empty(), "{filter}");
    }
    // A job's sessions are the same by link and by query, and name that job.
    let job = sessions
        .iter()
        .find(|row| row["jobUid"].as_str().unwrap().contains(":Job:"))
        .unwrap();
    let id = job["jobUid"].as_str().unwrap().rsplit(':').next().unwrap();
    let below = em.json(&format!("/jobs/{id}/backupSessions?format=Entity")).await;
    let asked = query(
        &em,
        &format!("type=BackupJobSession&format=Entities&filter=JobUid==\"{id}\""),
        &mut faults,
    )
    .await;
    let ids = |rows: &[Value]| -> BTreeSet<String> { rows.iter().map(|row| row["id"].to_string()).collect() };
    assert_eq!(ids(below["items"].as_array().unwrap()), ids(&asked));
    assert!(asked.iter().all(|row| row["jobName"] == job["jobName"]));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let bad = em.get("/query?type=Job&filter=Nothing==1").await;
    assert_eq!((bad.status, bad.fault(&["Error"])), (500, None));
}
