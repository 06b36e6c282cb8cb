//! The mirror in the document: made from the catalogue, as is everything else that knows EM.
//!
//! Plain JSON, because EM's schemas need what the typed document cannot express. None of this runs in a gateway that
//! serves, which answers with the checked-in file.

mod endpoint;
mod examples;
mod names;
mod parameters;
mod paths;
mod problems;
mod samples;
mod schemas;

use serde_json::{Map, Value, json};

/// The areas of the catalogue, in the order of its data files.
const AREAS: &[(&str, &str)] = &[
    (
        "core",
        "Enterprise Manager itself: its services, its query service, its tasks.",
    ),
    (
        "cloud",
        "Cloud Connect: tenants, their resources and replicas, failover plans, gateways, hardware plans.",
    ),
    (
        "jobs",
        "Backup, replication and copy jobs, and what they include.",
    ),
    (
        "backups",
        "Backups, backup files and restore points, and the catalog of guest files.",
    ),
    (
        "replicas",
        "Replicas, replica points and on-premises failover plans.",
    ),
    ("sessions", "Sessions of jobs, restores and the system."),
    ("restore", "Restore points mounted, and the files in them."),
    (
        "infrastructure",
        "Backup servers, managed servers, repositories, WAN accelerators, hierarchies.",
    ),
    (
        "agents",
        "Agents: their jobs, protection groups, discovered computers and restore points.",
    ),
    ("nas", "File servers and the jobs that back them up."),
    ("cdp", "Continuous data protection: policies, replicas, sessions."),
    (
        "security",
        "Accounts and roles of Enterprise Manager, and what they may see.",
    ),
    ("reports", "Summaries over the whole infrastructure."),
    (
        "selfservice",
        "Self-service: the vSphere portal and organizations of vCloud Director.",
    ),
];

/// Adds the mirror to the document.
pub(super) fn add(document: &mut Value) {
    let mut schemas = schemas::Schemas::default();
    let mut problems = problems::Problems::default();
    let mut items: Map<String, Value> = Map::new();
    for endpoint in endpoint::endpoints() {
        let operation = paths::operation(&endpoint, &mut schemas, &mut problems);
        let item = items.entry(endpoint.path.clone()).or_insert_with(|| json!({}));
        schemas::put(item, &endpoint.method.as_str().to_ascii_lowercase(), operation);
    }
    extend(document, "/paths", items);
    extend(document, "/components/schemas", schemas.write());
    extend(document, "/components/parameters", parameters::components());
    extend(document, "/components/responses", problems.0);
    extend(document, "/components/headers", headers());
    if let Some(Value::Array(tags)) = document.get_mut("tags") {
        tags.extend(AREAS.iter().map(
            |(area, about)| json!({"name": names::tag(area), "description": format!("The mirror. {about}")}),
        ));
    }
}

/// Adds members to the object at `pointer`, which is made where it is missing.
fn extend(document: &mut Value, pointer: &str, members: Map<String, Value>) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(Value::Object(parent)) = document.pointer_mut(parent)
        && let Value::Object(target) = parent.entry(name).or_insert_with(|| json!({}))
    {
        target.extend(members);
    }
}

fn headers() -> Map<String, Value> {
    let header = |about: &str| json!({"description": about, "schema": {"type": "string"}});
    [
        (
            "EmEntityTag",
            header("The entity tag of this state, for `If-None-Match`."),
        ),
        (
            "EmOperation",
            header("The gateway's operation for this request, which follows the task to its end."),
        ),
        (
            "EmOperationLink",
            header("The gateway's operation for this request, with `rel=\"related\"`."),
        ),
        (
            "EmReplayed",
            header("`true` when the key was used before and nothing was sent again."),
        ),
        ("EmWaited", header("What was granted of the preferences.")),
    ]
    .into_iter()
    .map(|(name, header)| (name.to_owned(), header))
    .collect()
}
