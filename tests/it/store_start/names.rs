//! One SQLite file is one lock, whatever name, link or spelling led to it.

use std::os::unix::fs::symlink;

use serde_json::json;

use super::{emgate, gateway};
use crate::support::{client, token};
use crate::waiting::eventually;

const URL: &str = "EMGATE_STORE__URL";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gateway_is_refused_whatever_name_of_the_database_it_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().canonicalize().expect("its path");
    let file = folder.join("emgate.db");
    symlink(&folder, folder.join("same")).expect("a link to the folder");
    symlink("emgate.db", folder.join("other.db")).expect("a link that dangles for now");
    let first = gateway(&[(URL, &format!("sqlite://{}", file.display()))]);
    let ready = || async {
        let bearer = token(&json!({"sub": "portal", "scope": "operations:read tenants:all"}));
        let request = client::plain()
            .get(first.url("/api/v1/operations"))
            .bearer_auth(bearer);
        request.send().await.expect("an answer").status().as_u16()
    };
    until(&ready, 200).await;
    std::fs::hard_link(&file, folder.join("hard.db")).expect("a hard link");
    std::fs::create_dir(folder.join("below")).expect("a folder");
    std::fs::hard_link(&file, folder.join("below/deep.db")).expect("a hard link elsewhere");

    let absolute = folder.display();
    for name in [
        "sqlite://emgate.db".to_owned(),
        "sqlite://./emgate.db".to_owned(),
        "sqlite://below/../emgate.db".to_owned(),
        "sqlite://emgate%2Edb".to_owned(),
        "sqlite://%65mgate.db".to_owned(),
        "SQLite://emgate.db".to_owned(),
        "sqlite:emgate.db".to_owned(),
        "sqlite://other.db".to_owned(),
        "sqlite://same/emgate.db".to_owned(),
        format!("sqlite://{absolute}//emgate.db"),
        format!("sqlite:{absolute}/same/./same/other.db"),
        "sqlite://hard.db".to_owned(),
        "sqlite://below/deep.db".to_owned(),
    ] {
        for subcommand in ["serve", "check"] {
            let run = emgate(subcommand, &folder, &[(URL, &name)]);
            assert_eq!(run.code, Some(1), "{subcommand} {name}: {}", run.said);
            assert!(
                run.said.contains("is in use by another process"),
                "{subcommand} {name}: {}",
                run.said
            );
            // The file itself and the name that led to it.
            let hard = name.contains("hard") || name.contains("deep");
            assert!(
                hard || run.said.contains(&file.display().to_string()),
                "{name}: {}",
                run.said
            );
            assert!(
                !hard || run.said.contains("under another name"),
                "{name}: {}",
                run.said
            );
        }
    }
    assert_eq!(ready().await, 200, "the first goes on");
    assert!(first.terminate().success());

    // Key, lock and what SQLite keeps beside the database have one place.
    let run = emgate("check", &folder, &[(URL, "sqlite://same/other.db")]);
    assert!(run.said.contains("opens and is up to date"), "{}", run.said);
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    let expected = [
        "below",
        "emgate.db",
        "emgate.db.key",
        "emgate.db.lock",
        "hard.db",
        "hard.db.lock",
        "other.db",
        "same",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_name_that_leads_to_no_database_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    symlink("nowhere.db", folder.join("dangling.db")).expect("a link");
    std::fs::create_dir(folder.join("data")).expect("a folder");
    std::fs::write(
        folder.join("text.db"),
        "this is no database, and it is long enough to be seen as none\n".repeat(20),
    )
    .expect("a text");
    for (url, words) in [
        (
            "sqlite://dangling.db",
            &["dangling.db", "a symbolic link to a file that does not exist"][..],
        ),
        ("sqlite://data", &["data", "a folder", "name a file in it"]),
        ("sqlite://data/", &["store.url", "names a folder"]),
        ("sqlite:///dev/null", &["/dev/null", "no regular file"]),
        (
            "sqlite://nowhere/emgate.db",
            &["nowhere", "does the folder exist"],
        ),
        (
            "sqlite://text.db",
            &[
                "text.db",
                "is not an SQLite database",
                "set store.url to another file",
            ],
        ),
        ("sqlite://:memory:", &["store.url", "must be a file"]),
        ("sqlite://%3Amemory%3A", &["store.url", "must be a file"]),
        ("sqlite://", &["store.url", "names no file"]),
        ("sqlite://emgate.db?mode=memory", &["store.url", "no ? and no #"]),
        ("sqlite://emgate%00.db", &["store.url", "U+0000"]),
        ("sqlite://emgate%FF.db", &["store.url", "UTF-8"]),
    ] {
        for subcommand in ["serve", "check"] {
            let run = emgate(subcommand, folder, &[(URL, url)]);
            assert_eq!(run.code, Some(1), "{subcommand} {url}: {}", run.said);
            for word in words {
                assert!(
                    run.said.contains(word),
                    "{subcommand} {url}: {word}: {}",
                    run.said
                );
            }
        }
    }
    let text = std::fs::read_to_string(folder.join("text.db")).expect("as it was");
    assert!(text.starts_with("this is no database"));
    assert!(!folder.join("nowhere.db").exists());
}

async fn until<F: Future<Output = u16>>(ask: &impl Fn() -> F, status: u16) {
    eventually("the status", async || ask().await, |answered| *answered == status).await;
}
