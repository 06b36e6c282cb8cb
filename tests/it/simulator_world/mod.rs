//! The simulated world, whole: every operation of the catalogue is reached as a client would reach it, from the
//! logon by links, and answers as its page documents.

pub mod client;
mod queries;
pub mod writes;

use emgate::catalogue::{Method, catalogue};
use serde_json::json;

use self::client::{Em, tour, walk, walked};

#[tokio::test]
async fn every_resource_is_reached_by_links() {
    for (seed, plain) in [(1, true), (77, false)] {
        let em = Em::start(seed, plain).await;
        let mut tour = walk(&em).await;
        for resource in catalogue().resources().iter().filter(|resource| walked(resource)) {
            for operation in resource.operations.iter().filter(|o| o.method == Method::Get) {
                let mut wanted = vec![String::new()];
                if operation.reference.is_some() {
                    wanted.push("entity".to_owned());
                }
                let actions = operation.parameters.iter().filter(|p| p.name == "action");
                wanted.extend(actions.flat_map(|p| p.values.iter().map(|value| value.to_lowercase())));
                if resource.path == "/lookup" || resource.path.ends_with("/{filepath}") {
                    wanted.remove(0);
                }
                for how in wanted {
                    if !tour.seen.contains(&(resource.path, how.clone())) {
                        tour.faults
                            .push(format!("{} was not reached ({how})", resource.path));
                    }
                }
            }
        }
        assert!(tour.faults.is_empty(), "seed {seed}:\n{}", tour.faults.join("\n"));
        assert!(tour.lists.iter().all(|count| *count > 100), "{:?}", tour.lists);
        assert!(tour.largest > 1 << 53, "{}", tour.largest);
        let varying = tour
            .members
            .values()
            .filter(|all| all.iter().any(|one| *one != all[0]));
        assert!(varying.count() > 30, "too few documents leave anything out");
        assert!(tour.documents > 800, "only {} documents", tour.documents);
    }
}

#[tokio::test]
async fn the_simulated_world_is_deterministic() {
    let (one, two) = (Em::start(8, true).await, Em::start(8, true).await);
    for path in tour().await.paths.values().filter_map(|paths| paths.first()) {
        if ["/logonSessions", "/cloud/failoverSessions", "/nas/jobs"]
            .iter()
            .any(|own| path.starts_with(own))
        {
            continue;
        }
        let (first, again) = (one.get(path).await, one.get(path).await);
        assert_eq!(first.text(), again.text(), "{path}");
        // Another simulator began at another moment, and has the same things.
        let other = two.get(path).await;
        assert_eq!(first.status, other.status, "{path}");
        assert_eq!(first.links(), other.links(), "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_refused_with_an_error_document() {
    let em = Em::start(3, false).await;
    let unknown = "00000000-0000-0000-0000-000000000001";
    for (method, path, status) in [
        (Method::Get, "/nothing".to_owned(), 404),
        (Method::Get, format!("/jobs/{unknown}"), 404),
        (Method::Get, "/jobs/not-an-id".to_owned(), 404),
        (Method::Get, format!("/jobs/{unknown}/includes"), 404),
        (Method::Delete, format!("/jobs/{unknown}"), 404),
        (Method::Put, "/jobs".to_owned(), 405),
        (Method::Delete, "/backupServers".to_owned(), 405),
        (Method::Delete, "/failoverPlans/x".to_owned(), 405),
        (Method::Get, "/query?type=Nothing".to_owned(), 400),
        (Method::Get, "/jobs?format=Poem".to_owned(), 400),
    ] {
        let answer = em.send(method, &path, Some(Vec::new())).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.fault(&["Error"]), None, "{path}");
    }
}

#[tokio::test]
async fn a_guest_file_is_found_by_any_spelling_of_its_path() {
    let em = Em::start(6, false).await;
    let point = em.json("/vmRestorePoints").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let root = format!("/vmRestorePoints/{point}/mounts/1");
    let listing = em.json(&format!("{root}/C:?action=listAll")).await;
    let names = |part: &str| -> Vec<String> {
        let items = listing[part].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(
        names("directories").contains(&"R&D <2026>".to_owned()),
        "{listing}"
    );
    let large = "archive.tar.gz";
    let size = listing["files"]
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["name"] == large)
        .unwrap()["size"]
        .clone();
    for path in [
        format!("C:/{large}"),
        format!("C:%2F{large}"),
        format!("c%3A/{}", large.to_uppercase()),
    ] {
        let answer = em.get(&format!("{root}/{path}?action=download")).await;
        assert_eq!(
            (answer.status, json!(answer.body.len())),
            (200, size.clone()),
            "{path}"
        );
        assert!(answer.disposition.unwrap().contains(large));
    }
    let pages = em
        .json(&format!("{root}/C:?action=listFiles&pageSize=2&page=2"))
        .await;
    assert_eq!(pages["files"].as_array().unwrap().len(), 2);
    assert_eq!(pages["directories"], json!([]));
    assert_eq!(
        em.get(&format!("{root}/C:/nowhere?action=listAll")).await.status,
        404
    );
    assert_eq!(em.get(&format!("{root}/C:?action=download")).await.status, 400);
}
