//! Differences that an Enterprise Manager of another version could have, planted into answers on their way.

use axum::body::Bytes;
use axum::response::Response;

use crate::support::scripted_server::{Reply, ScriptedServer, Twist, response_of};

/// In every planted value, so that it is recognised where it is told.
pub const MARK: &str = "zq";

/// One difference, and as what it is to be found.
#[derive(Debug)]
pub struct Plant {
    /// Below `/api/`.
    target: &'static str,
    change: Change,
    pub kind: &'static str,
    pub ty: &'static str,
    pub field: &'static str,
}

/// What is done to the first place that fits.
#[derive(Debug)]
enum Change {
    Replace(&'static str, &'static str),
    /// The text of the element.
    Set(&'static str, &'static str),
    Remove(&'static str),
    Repeat(&'static str),
    /// The element goes to the end of that one.
    ToEndOf(&'static str, &'static str),
}

use Change::{Remove, Repeat, Replace, Set, ToEndOf};

const SERVERS: &str = "query?type=BackupServer&format=Entities&pageSize=100&page=1";
const JOBS: &str = "query?type=Job&format=Entities&pageSize=100&page=1";
const REPOSITORIES: &str = "query?type=Repository&format=Entities&pageSize=100&page=1";
const HARDWARE_PLANS: &str = "query?type=CloudHardwarePlan&format=Entities&pageSize=100&page=1";
const GATEWAYS: &str = "query?type=CloudGateway&format=Entities&pageSize=100&page=1";
const TENANTS: &str = "query?type=CloudTenant&format=Entities&pageSize=100&page=1";
const REFERENCES: &str = "backupServers";
const ROOTS: &str = "hierarchyRoots";

const fn plant(
    target: &'static str,
    change: Change,
    kind: &'static str,
    ty: &'static str,
    field: &'static str,
) -> Plant {
    Plant {
        target,
        change,
        kind,
        ty,
        field,
    }
}

pub const PLANTS: &[Plant] = &[
    plant(
        SERVERS,
        Replace("Type=\"BackupServer\"", "Type=\"zqServer\""),
        "unknownType",
        "BackupServerEntityType",
        "Type",
    ),
    plant(
        SERVERS,
        Replace("<Port>", "<HighAvailability>zq on</HighAvailability><Port>"),
        "unknownElement",
        "BackupServerEntityType",
        "HighAvailability",
    ),
    plant(
        SERVERS,
        ToEndOf("Description", "BackupServer"),
        "wrongOrder",
        "BackupServerEntityType",
        "Description",
    ),
    plant(
        JOBS,
        Replace("Type=\"Job\"", "Type=\"Job\" Sequence=\"zq-17\""),
        "unknownAttribute",
        "JobEntityType",
        "Sequence",
    ),
    plant(
        JOBS,
        Set("RetryTimes", "39 zq"),
        "valueDoesNotFit",
        "JobScheduleRetryOptionsType",
        "RetryTimes",
    ),
    plant(
        JOBS,
        Set("NextRun", "30.11.2026 zq"),
        "valueDoesNotFit",
        "JobEntityType",
        "NextRun",
    ),
    plant(
        JOBS,
        Set("ScheduleEnabled", "zqes"),
        "valueDoesNotFit",
        "JobEntityType",
        "ScheduleEnabled",
    ),
    plant(
        REPOSITORIES,
        Set("Kind", "zqObjectLock"),
        "unknownEnumValue",
        "RepositoryEntityType",
        "Kind",
    ),
    plant(
        HARDWARE_PLANS,
        Remove("MemoryUsageLimitMb"),
        "missing",
        "CloudHardwarePlanEntityType",
        "MemoryUsageLimitMb",
    ),
    plant(
        HARDWARE_PLANS,
        Repeat("ProcessorUsageLimitMhz"),
        "repeated",
        "CloudHardwarePlanEntityType",
        "ProcessorUsageLimitMhz",
    ),
    plant(
        REFERENCES,
        Replace("Rel=\"Alternate\"", "Rel=\"zqMirror\""),
        "unknownLinkRelation",
        "LinkType",
        "Rel",
    ),
    plant(
        REFERENCES,
        Replace("/credentials\"", "/zqVaults\""),
        "unknownAddress",
        "LinkType",
        "Href",
    ),
    plant(
        GATEWAYS,
        Replace("http://www.veeam.com/ent/v1.0", "http://zq.example/ent/v2.0"),
        "otherNamespace",
        "QueryResultType",
        "",
    ),
    plant(
        TENANTS,
        Replace("encoding=\"utf-8\"", "encoding=\"zq-8859\""),
        "otherEncoding",
        "",
        "",
    ),
    plant(
        ROOTS,
        Replace("<EntityReferences ", "<EntityPointers "),
        "unknownDocument",
        "EntityPointers",
        "",
    ),
];

/// Plants all of them.
pub fn plant_all(server: &ScriptedServer) {
    let twists: [(&str, Twist); 8] = [
        (SERVERS, |reply| changed(SERVERS, reply)),
        (JOBS, |reply| changed(JOBS, reply)),
        (REPOSITORIES, |reply| changed(REPOSITORIES, reply)),
        (HARDWARE_PLANS, |reply| changed(HARDWARE_PLANS, reply)),
        (GATEWAYS, |reply| changed(GATEWAYS, reply)),
        (TENANTS, |reply| changed(TENANTS, reply)),
        (REFERENCES, |reply| changed(REFERENCES, reply)),
        (ROOTS, |reply| changed(ROOTS, reply)),
    ];
    for (target, twist) in twists {
        server.twists(&format!("GET /api/{target}"), twist);
    }
}

fn changed(target: &str, reply: Reply) -> Response {
    let mut text = String::from_utf8(reply.body.to_vec()).expect("UTF-8");
    for plant in PLANTS.iter().filter(|plant| plant.target == target) {
        text = plant.change.made(&text).expect("the place is there");
    }
    if target == ROOTS {
        text = text.replace("</EntityReferences>", "</EntityPointers>");
    }
    response_of(Reply {
        body: Bytes::from(text),
        ..reply
    })
}

impl Change {
    fn made(&self, text: &str) -> Option<String> {
        let element = |name: &str| {
            let begin = text.find(&format!("<{name}>"))?;
            let close = format!("</{name}>");
            Some((begin, begin + text[begin..].find(&close)? + close.len()))
        };
        Some(match self {
            Replace(from, to) => text.find(from).map(|_| text.replacen(from, to, 1))?,
            Set(name, value) => {
                let (begin, end) = element(name)?;
                format!("{}<{name}>{value}</{name}>{}", &text[..begin], &text[end..])
            }
            Remove(name) => {
                let (begin, end) = element(name)?;
                format!("{}{}", &text[..begin], &text[end..])
            }
            Repeat(name) => {
                let (begin, end) = element(name)?;
                format!("{}{}{}", &text[..end], &text[begin..end], &text[end..])
            }
            ToEndOf(name, parent) => {
                let (begin, end) = element(name)?;
                let last = end + text[end..].find(&format!("</{parent}>"))?;
                format!(
                    "{}{}{}{}",
                    &text[..begin],
                    &text[end..last],
                    &text[begin..end],
                    &text[last..]
                )
            }
        })
    }
}
