//! Names in the mirror's part of the document: paths, operationIds, titles, components.
//!
//! They follow from the catalogue's own names by rules, so that a new resource is named by being there.

use crate::catalogue::{EnumDef, Method, Operation, Query, Resource, Segment, TypeDef};
use crate::text::upper_first;

/// Where the mirror begins.
const ROOT: &str = "/api/v1/em";

/// The schema of a type: `JobEntityType` → `EmJobEntity`. The prefix keeps EM's things apart from the gateway's own.
pub(super) fn of_type(ty: &TypeDef) -> String {
    format!("Em{}", ty.name.strip_suffix("Type").unwrap_or(ty.name))
}

/// The same where a request may say less than an answer does.
pub(super) fn of_input(ty: &TypeDef) -> String {
    of_type(ty) + "Input"
}

/// The schema of an enumeration.
pub(super) fn of_enum(of: &EnumDef) -> String {
    format!("Em{}", of.name)
}

/// The schema of an enumeration in a request, which allows no other words.
pub(super) fn of_closed_enum(of: &EnumDef) -> String {
    of_enum(of) + "Input"
}

/// The schema of what a query may be sorted by.
pub(super) fn of_fields(query: &Query) -> String {
    format!("Em{}QueryField", upper_first(query.name))
}

/// The tag of an area.
pub(super) fn tag(area: &str) -> String {
    format!("em-{area}")
}

/// The path in the document, its parameters named apart, with the name of each.
pub(super) fn path(resource: &Resource, action: Option<&str>) -> (String, Vec<String>) {
    let mut path = ROOT.to_owned();
    let mut parameters = Vec::new();
    let mut before = "";
    for segment in resource.segments() {
        path.push('/');
        match segment {
            Segment::Literal(literal) => {
                path.push_str(literal);
                before = literal;
            }
            Segment::Parameter(name) | Segment::Rest(name) => {
                let name = match *name {
                    "ID" if parameters.is_empty() => "id".to_owned(),
                    "ID" => format!("{}Id", singular(before)),
                    "vmname" => "vmName".to_owned(),
                    "filepath" => "filePath".to_owned(),
                    other => other.to_owned(),
                };
                path.push_str(&format!("{{{name}}}"));
                parameters.push(name);
            }
        }
    }
    if let Some(action) = action {
        path.push('/');
        path.push_str(action);
    }
    (path, parameters)
}

/// A function's name for the operations of one method on one path, and a title that says the same in words.
pub(super) fn of_operations(
    resource: &Resource,
    method: Method,
    operations: &[&Operation],
    is_list: bool,
) -> (String, String) {
    let noun = noun(resource, is_list || is_collection(resource));
    let one = || singular(&noun);
    let actions: Vec<&str> = operations.iter().filter_map(|o| o.action).collect();
    let plain = operations.iter().any(|o| o.action.is_none());
    let (verb, noun, rest) = match (method, actions.as_slice()) {
        (Method::Get, _) if resource.path == "/query" => ("query", String::new(), ""),
        (Method::Get, _) if is_list && noun.ends_with('s') => ("list", noun, ""),
        (Method::Get, _) => ("get", noun, ""),
        (Method::Put, _) => ("update", noun, ""),
        (Method::Delete, _) => ("delete", noun, ""),
        (Method::Post, ["create"]) => ("create", one(), ""),
        (Method::Post, _) if plain && is_collection(resource) => ("create", one(), ""),
        (Method::Post, []) => ("change", noun, ""),
        (Method::Post, [action]) => {
            let (verb, rest) = verb_and_rest(action);
            (verb, noun, rest)
        }
        (Method::Post, _) => ("run", noun, "Action"),
    };
    let id = format!("{verb}Em{noun}{rest}");
    let words = format!("{}{noun}{rest}", upper_first(verb));
    (id, words_of(&words))
}

/// `toggleScheduleEnabled` → `toggle`, `ScheduleEnabled`: the object is between them.
fn verb_and_rest(action: &str) -> (&str, &str) {
    let end = action
        .find(|letter: char| letter.is_ascii_uppercase())
        .unwrap_or(action.len());
    action.split_at_checked(end).unwrap_or((action, ""))
}

/// Whether the path ends with the name of many things.
fn is_collection(resource: &Resource) -> bool {
    matches!(resource.segments().last(), Some(Segment::Literal(_)))
}

/// What a path names: its literals, in the singular where a parameter picks one of them. A word that the next one
/// begins with anyway is left out (`/cloud/cloudReplicas` → `CloudReplicas`).
fn noun(resource: &Resource, plural: bool) -> String {
    let segments = resource.segments();
    let mut noun = String::new();
    for (at, segment) in segments.iter().enumerate() {
        let Segment::Literal(literal) = segment else {
            continue;
        };
        let next = segments.get(at + 1);
        let is_said_again = matches!(next, Some(Segment::Literal(next)) if next.starts_with(literal));
        if !is_said_again {
            let word: String = literal.split('_').map(upper_first).collect();
            noun.push_str(&if next.is_none() && plural {
                word
            } else {
                singular(&word)
            });
        }
    }
    match segments.last() {
        Some(Segment::Rest(_)) => noun + "File",
        None => noun + "Service",
        Some(_) => noun,
    }
}

/// One of many, as English usually has it.
fn singular(word: &str) -> String {
    const ENDS: [(&str, &str); 6] = [
        ("ies", "y"),
        ("sses", "ss"),
        ("ss", "ss"),
        ("Nas", "Nas"),
        ("Guestfs", "GuestFs"),
        ("s", ""),
    ];
    ENDS.iter()
        .find_map(|(many, one)| word.strip_suffix(many).map(|stem| format!("{stem}{one}")))
        .unwrap_or_else(|| word.to_owned())
}

/// `ListCloudReplicas` → `List cloud replicas`.
fn words_of(name: &str) -> String {
    let mut words = String::new();
    let mut previous = ' ';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(char::is_ascii_lowercase);
        let starts = letter.is_ascii_uppercase() && (previous.is_ascii_lowercase() || next_is_small);
        if starts && !words.is_empty() {
            words.push(' ');
        }
        if starts && next_is_small && !words.is_empty() {
            words.push(letter.to_ascii_lowercase());
        } else {
            words.push(letter);
        }
        previous = letter;
    }
    for (plain, usual) in SPELLINGS {
        words = words.replace(plain, usual);
    }
    words
}

/// How some words are usually written.
const SPELLINGS: [(&str, &str); 8] = [
    ("V app", "vApp"),
    ("V cloud", "vCloud"),
    ("V sphere", "vSphere"),
    (" vm", " VM"),
    (" nas", " NAS"),
    (" cdp", " CDP"),
    (" public ip", " public IP"),
    (" wan ", " WAN "),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::catalogue;
    use rstest::rstest;

    #[rstest]
    #[case("/jobs", Method::Get, "listEmJobs", "List jobs")]
    #[case("/jobs/{ID}", Method::Get, "getEmJob", "Get job")]
    #[case("/jobs/{ID}", Method::Post, "runEmJobAction", "Run job action")]
    #[case("/cloud/tenants", Method::Post, "createEmCloudTenant", "Create cloud tenant")]
    #[case(
        "/cloud/publicIpAddresses",
        Method::Post,
        "createEmCloudPublicIpAddress",
        "Create cloud public IP address"
    )]
    #[case(
        "/jobs/{ID}/includes/{ID}",
        Method::Delete,
        "deleteEmJobInclude",
        "Delete job include"
    )]
    #[case(
        "/cloud/cloudFailoverPlans/{ID}",
        Method::Put,
        "updateEmCloudFailoverPlan",
        "Update cloud failover plan"
    )]
    #[case("/query", Method::Get, "queryEm", "Query")]
    #[case("/", Method::Get, "getEmService", "Get service")]
    fn operations_are_named_like_functions(
        #[case] path: &str,
        #[case] method: Method,
        #[case] id: &str,
        #[case] title: &str,
    ) {
        let resource = catalogue()
            .resources()
            .iter()
            .find(|resource| resource.path == path)
            .unwrap();
        let operations: Vec<&Operation> = resource
            .operations
            .iter()
            .filter(|operation| operation.method == method)
            .collect();
        let is_list = method == Method::Get && resource.is_collection(catalogue());
        let named = of_operations(resource, method, &operations, is_list);
        assert_eq!(named, (id.to_owned(), title.to_owned()));
    }
}
