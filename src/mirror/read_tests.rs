//! What a request through the mirror becomes.

use super::*;

fn ask(method: Method, path: &str, query: &str) -> Result<MirrorRequest, Error> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    MirrorRequest::parse(method, path, &pairs)
}

fn target(path: &str, query: &str) -> String {
    ask(Method::Get, path, query).expect("an operation").target
}

fn faults(method: Method, path: &str, query: &str) -> Vec<(String, String)> {
    match ask(method, path, query) {
        Err(Error::Invalid(faults)) => faults
            .into_iter()
            .map(|fault| (fault.pointer, fault.detail))
            .collect(),
        other => panic!("{path}?{query}: {other:?}"),
    }
}

#[test]
fn a_resource_defaults_to_its_entity_a_collection_to_references() {
    for (path, query, sent) in [
        ("/jobs/1", "", "jobs/1?format=Entity"),
        ("/jobs/1", "format=Reference", "jobs/1"),
        ("/jobs/1", "Format=entity", "jobs/1?format=Entity"),
        ("/jobs", "", "jobs"),
        ("/jobs", "format=Entity", "jobs?format=Entity"),
        ("/jobs", "format=Reference", "jobs"),
        // Only one form: nothing to say.
        ("/jobs/1/includes", "", "jobs/1/includes"),
        ("/reports/summary", "", "reports/summary"),
        ("", "", ""),
    ] {
        assert_eq!(target(path, query), sent, "{path}?{query}");
    }
}

#[test]
fn what_ems_query_service_can_do_is_asked_of_it() {
    for (path, query, sent) in [
        (
            "/jobs",
            "page=2",
            "query?type=Job&format=References&pageSize=50&page=2",
        ),
        (
            "/jobs",
            "filter=name==%22a%20b%22&sortdesc=NAME&pageSize=7&format=Entity",
            "query?type=Job&format=Entities&pageSize=7&page=1&sortDesc=Name&filter=Name%3D%3D%22a%20b%22",
        ),
        (
            "/jobs/3f56fa52-c902-4655-9774-2022fde214d2/includes",
            "filter=Name==a,Name==b",
            "query?type=ObjectInJob&format=Entities&pageSize=50&page=1&filter=%28Name%3D%3D%22a%22%2CName%3D%3D%22b%22%29%3BJobUid%3D%3D%223f56fa52-c902-4655-9774-2022fde214d2%22",
        ),
        (
            "/jobs/3f56fa52-c902-4655-9774-2022fde214d2/includes",
            "page=1",
            "query?type=ObjectInJob&format=Entities&pageSize=50&page=1&filter=JobUid%3D%3D%223f56fa52-c902-4655-9774-2022fde214d2%22",
        ),
        (
            "/query",
            "type=job",
            "query?type=Job&format=References&pageSize=50&page=1",
        ),
        (
            "/query",
            "type=Job&format=Entities&sortAsc=name&pageSize=100&page=3",
            "query?type=Job&format=Entities&pageSize=100&page=3&sortAsc=Name",
        ),
    ] {
        assert_eq!(target(path, query), sent, "{path}?{query}");
    }
}

#[test]
fn every_mistake_in_a_query_names_its_parameter() {
    for (path, query, parameter, says) in [
        (
            "/jobs",
            "color=red",
            "color",
            "known here: format, filter, sortAsc",
        ),
        (
            "/reports/summary",
            "format=Entity",
            "format",
            "none are known here",
        ),
        ("/jobs", "page=0", "page", "from 1"),
        ("/jobs", "page=x", "page", "from 1"),
        ("/jobs", "pageSize=101", "pageSize", "from 1 to 100"),
        ("/jobs", "pageSize=1&pagesize=2", "pageSize", "more than once"),
        ("/jobs", "format=Xml", "format", "Reference or Entity"),
        ("/jobs", "sortAsc=Size", "sortAsc", "one of"),
        ("/jobs", "sortAsc=Name&sortDesc=Name", "sortDesc", "combined"),
        ("/jobs", "filter=Name", "filter", "at position 5"),
        (
            "/jobs/1",
            "action=start",
            "action",
            "does not support action here",
        ),
        ("/lookup", "name=", "name", "must not be empty"),
        ("/query", "", "type", "is required"),
        ("/query", "type=Nothing", "type", "must be one of"),
        (
            "/query",
            "type=Job&format=Entity2",
            "format",
            "References or Entities",
        ),
        ("/tasks/task-1", "", "operation", "is required"),
        ("/tasks/task-1", "operation=x", "operation", "not the id"),
        (
            "/vmRestorePoints/1/mounts/2/C:/x",
            "action=erase",
            "action",
            "listAll",
        ),
    ] {
        let faults = faults(Method::Get, path, query);
        assert!(
            faults
                .iter()
                .any(|(name, detail)| name == parameter && detail.contains(says)),
            "{path}?{query}: {faults:?}"
        );
    }
    let faults = faults(Method::Get, "/jobs", "page=0&pageSize=0&color=red");
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn actions_are_chosen_by_the_query_or_by_the_path() {
    let asked = |method, path: &str, query: &str| {
        let ask = ask(method, path, query).expect("an operation");
        (ask.target.clone(), ask.action(), ask.path)
    };
    assert_eq!(
        asked(Method::Post, "/jobs/1", "action=START"),
        ("jobs/1?action=start".into(), "start", "/jobs/1".into())
    );
    assert_eq!(
        asked(Method::Post, "/nas/jobs/1/Start", ""),
        ("nas/jobs/1/start".into(), "start", "/nas/jobs/1/start".into())
    );
    assert_eq!(
        asked(Method::Put, "/jobs/1", "action=edit"),
        ("jobs/1?action=edit".into(), "edit", "/jobs/1".into())
    );
    assert_eq!(
        asked(Method::Delete, "/cloud/tenants/1", "includeBackups=TRUE"),
        (
            "cloud/tenants/1?includeBackups=true".into(),
            "delete",
            "/cloud/tenants/1".into()
        )
    );
    assert_eq!(
        asked(Method::Post, "/security/accounts", ""),
        ("security/accounts".into(), "create", "/security/accounts".into())
    );
    for (method, path, query, says) in [
        (Method::Post, "/jobs/1", "", "is required: one of clone"),
        (Method::Post, "/jobs/1", "action=fly", "must be one of clone"),
        (Method::Put, "/jobs/1", "", "is required: one of edit"),
        (
            Method::Delete,
            "/jobs/1",
            "action=x",
            "does not support action here",
        ),
    ] {
        let faults = faults(method, path, query);
        assert!(
            faults[0].0 == "action" && faults[0].1.contains(says),
            "{faults:?}"
        );
    }
    let listing = ask(
        Method::Get,
        "/vmRestorePoints/1/mounts/2/C:/x",
        "action=listfiles&page=2&pageSize=9",
    );
    let listing = listing.expect("a listing");
    assert_eq!(listing.kind, Kind::Document);
    assert_eq!(
        listing.target,
        "vmRestorePoints/1/mounts/2/C:/x?action=listFiles&pageSize=9&page=2"
    );
    let download = ask(Method::Get, "/vmRestorePoints/1/mounts/2/C:/x", "action=download");
    assert_eq!(download.expect("a download").kind, Kind::Download);
}

#[test]
fn a_missing_method_is_distinguished_from_a_missing_path() {
    assert!(matches!(
        ask(Method::Delete, "/jobs", ""),
        Err(Error::NoSuchMethod(methods)) if methods == [Method::Get]
    ));
    assert!(matches!(
        ask(Method::Delete, "/failoverPlans/1", ""),
        Err(Error::NoSuchMethod(methods)) if methods == [Method::Get, Method::Post, Method::Put]
    ));
    assert!(matches!(
        ask(Method::Get, "/nothing", ""),
        Err(Error::NoSuchResource)
    ));
}

#[test]
fn every_mirrored_operation_is_reached_by_its_own_path_and_query() {
    let mut reached = 0;
    for resource in catalogue().resources() {
        for operation in &resource.operations {
            let mut path: String = resource
                .path
                .replace("{ID}", "7")
                .replace("{vmname}", "vm")
                .replace("{filepath}", "C:/x");
            let mut query = String::new();
            if let Some(action) = operation.action {
                if operation.action_in_path {
                    path = format!("{path}/{action}");
                } else {
                    query = format!("action={action}");
                }
            }
            if let Some(kind) = operation.query {
                query = format!("type={kind}");
            }
            if is_task(resource) {
                query = "operation=0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01".to_owned();
            }
            let found = ask(operation.method, &path, &query);
            if path::is_mirrored(resource) {
                let found =
                    found.unwrap_or_else(|e| panic!("{} {path}?{query}: {e:?}", operation.method.as_str()));
                assert!(std::ptr::eq(found.operation, operation), "{path}?{query}");
                reached += 1;
            } else {
                assert!(matches!(found, Err(Error::NoSuchResource)), "{path}");
            }
        }
    }
    assert_eq!(reached, 358);
}

#[test]
fn a_search_is_within_a_parent_that_can_exist() {
    let missing = ask(Method::Get, "/jobs/zzz/includes", "page=1");
    assert!(matches!(missing, Err(Error::NoSuchResource)), "{missing:?}");
    let id = "3F56FA52-C902-4655-9774-2022FDE214D2";
    let within = ask(Method::Get, &format!("/jobs/{id}/includes"), "page=1").expect("an operation");
    assert_eq!(within.parent, Some(format!("jobs/{id}")));
    for (path, query) in [("/jobs", "page=1"), ("/jobs/1/includes", "")] {
        assert_eq!(
            ask(Method::Get, path, query).expect("an operation").parent,
            None,
            "{path}"
        );
    }
}

#[test]
fn an_idempotency_key_ignores_the_case_of_ids() {
    let key = |path: &str| {
        ask(Method::Post, path, "action=start")
            .expect("an operation")
            .key_target()
    };
    let id = "3f56fa52-c902-4655-9774-2022fde214d2";
    assert_eq!(
        key(&format!("/jobs/{}", id.to_uppercase())),
        key(&format!("/jobs/{id}"))
    );
    assert_eq!(
        key(&format!("/jobs/urn:veeam:Job:{id}")),
        key(&format!("/jobs/{id}"))
    );
}
