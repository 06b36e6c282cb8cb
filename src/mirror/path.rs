//! A path of the mirror as EM is to get it: decoded, checked, matched with the catalogue and encoded anew.
//!
//! What is sent never contains anything that a server in between could read as another path: no dot segments, no
//! encoded slash in an id. The one place where slashes are data is `{filepath}`, where `/` and `%2F` mean the same.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::catalogue::{PathMatch, Resource, Segment, catalogue};

/// What RFC 3986 does not allow in a path segment. EM writes `C:` as it is and spaces as `%20`, and so do we.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A path that EM has.
#[derive(Debug, Clone)]
pub(super) struct MatchedPath {
    pub resource: &'static Resource,
    /// An action at the end of the path.
    pub action: Option<&'static str>,
    /// The values of the path's parameters, decoded, in order.
    pub values: Vec<String>,
    /// Below EM's `/api/`, without a slash at either end, literals in the catalogue's spelling.
    pub path: String,
}

/// The resource that `raw` names, a path below `/api/v1/em` as the caller wrote it. `None` when EM has no such resource,
/// when it is not mirrored, or when an id in it cannot exist.
pub(super) fn match_path(raw: &str) -> Option<MatchedPath> {
    let mut segments = Vec::new();
    for segment in raw.split('/').filter(|segment| !segment.is_empty()) {
        segments.push(encoded(&decoded(segment)?));
    }
    let written = segments.join("/");
    let found = catalogue().resource(&written)?;
    if !is_mirrored(found.resource) {
        return None;
    }
    fill(&found)
}

/// Whether it is mirrored: all of EM but the resources of logon sessions, which the gateway manages itself.
#[must_use]
pub fn is_mirrored(resource: &Resource) -> bool {
    let first = resource.path.trim_start_matches('/').split('/').next();
    !matches!(first, Some("sessionMngr" | "logonSessions"))
}

/// Whether EM has a mirrored resource at `path`, below `/api/v1/em`.
#[must_use]
pub fn is_linked(path: &str) -> bool {
    match_path(path).is_some()
}

/// The path, rewritten from the catalogue's literals and the parameters' values.
fn fill(found: &PathMatch<'static, '_>) -> Option<MatchedPath> {
    let mut given = found.parameters.iter();
    let mut values = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    for segment in found.resource.segments() {
        match segment {
            Segment::Literal(text) => parts.push((*text).to_owned()),
            Segment::Parameter(name) => {
                let (_, raw) = given.next()?;
                let value = decoded(raw)?;
                let value = if *name == "ID" { id(&value)? } else { &value };
                parts.push(encoded(value));
                values.push(value.to_owned());
            }
            Segment::Rest(_) => {
                let (_, raw) = given.next()?;
                let value = decoded(raw)?;
                // `C:\Users` is how people write what EM calls `C:/Users`.
                let pieces: Vec<&str> = value
                    .split(['/', '\\'])
                    .filter(|piece| !piece.is_empty())
                    .collect();
                if pieces.is_empty() || pieces.iter().any(|piece| is_dots(piece)) {
                    return None;
                }
                parts.extend(pieces.iter().map(|piece| encoded(piece)));
                values.push(pieces.join("/"));
            }
        }
    }
    parts.extend(found.action.map(ToOwned::to_owned));
    Some(MatchedPath {
        resource: found.resource,
        action: found.action,
        values,
        path: parts.join("/"),
    })
}

/// An id, also where it is given as a URN.
fn id(value: &str) -> Option<&str> {
    let is_urn = value
        .get(..10)
        .is_some_and(|head| head.eq_ignore_ascii_case("urn:veeam:"));
    let bare = if is_urn { value.rsplit(':').next()? } else { value };
    (!bare.is_empty() && !bare.contains(['/', '\\', '?', '#'])).then_some(bare)
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// A segment's text; none where it is not UTF-8, or could mean another path.
fn decoded(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!is_dots(&text) && !text.chars().any(char::is_control)).then(|| text.into_owned())
}

fn encoded(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Option<String> {
        match_path(raw).map(|matched| matched.path)
    }

    #[test]
    fn a_path_is_spelled_as_em_spells_it() {
        for (raw, expected) in [
            ("/JOBS/AbC-1/includes/7", "jobs/AbC-1/includes/7"),
            ("jobs/", "jobs"),
            ("/%6Aobs", "jobs"),
            ("", ""),
            ("/", ""),
            (
                "/jobs/urn:veeam:Job:3f56fa52-c902-4655-9774-2022fde214d2",
                "jobs/3f56fa52-c902-4655-9774-2022fde214d2",
            ),
            ("/nas/jobs/1/START", "nas/jobs/1/start"),
            ("/catalog/vms/a%2Fb%20c%3F", "catalog/vms/a%2Fb%20c%3F"),
            ("/catalog/vms/srv@1%25", "catalog/vms/srv@1%25"),
            ("/catalog/vms/%C3%A4", "catalog/vms/%C3%A4"),
            ("//jobs//1", "jobs/1"),
        ] {
            assert_eq!(path(raw).as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn guest_files_are_found_whichever_slash_is_used() {
        for raw in [
            "/vmRestorePoints/1/mounts/2/C:/Program%20Files/x%23.txt",
            "/vmRestorePoints/1/mounts/2/C:%2FProgram%20Files%2fx%23.txt",
            "/vmRestorePoints/1/mounts/2/C%3A%5CProgram%20Files%5Cx%23.txt",
            "/vmRestorePoints/1/mounts/2/C:/Program%20Files//x%23.txt/",
        ] {
            let matched = match_path(raw).expect(raw);
            assert_eq!(
                matched.path,
                "vmRestorePoints/1/mounts/2/C:/Program%20Files/x%23.txt"
            );
            assert_eq!(matched.values, ["1", "2", "C:/Program Files/x#.txt"]);
        }
    }

    #[test]
    fn paths_that_are_not_mirrored_or_ambiguous_do_not_match() {
        for raw in [
            "/sessionMngr",
            "/SESSIONMNGR/",
            "/logonSessions",
            "/logonSessions/1",
            "/%6CogonSessions/1",
            "/nothing",
            "/jobs/1/nothing",
            "/jobs/..",
            "/jobs/%2E%2e/logonSessions",
            "/jobs/%2e",
            "/jobs/..%2FlogonSessions",
            "/jobs/a%2Fb",
            "/jobs/a%5Cb",
            "/jobs/a%00b",
            "/jobs/%FF",
            "/vmRestorePoints/1/mounts/2/..%2F..%2Fx",
            "/vmRestorePoints/1/mounts/2/a/%2E%2E/b",
            "/vmRestorePoints/1/mounts/2/%2F",
        ] {
            assert_eq!(path(raw), None, "{raw}");
        }
    }
}
