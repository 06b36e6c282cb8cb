//! Guest file systems: directories and files that never change, and their bytes.

use jiff::{SignedDuration, Timestamp};

use super::place::Place;
use crate::catalogue::TypeDef;
use crate::sim::dice::Dice;
use crate::sim::exchange::{Answer, Call, Handled, Refusal};
use crate::sim::render::link;
use crate::sim::scene::{Row, Scene, hash, segment};
use crate::sim::times::{Rounding, spell};
use crate::sim::xml::Element;

const DIRECTORIES: [&str; 5] = ["Users", "Program Files", "R&D <2026>", "o'brien #1", "Bücher"];
const FILES: [&str; 6] = [
    "report.docx",
    "notes 100%.txt",
    "backup.log",
    "archive.tar.gz",
    "a+b=c.xlsx",
    "ünïcode.csv",
];
/// Directories nest so deep.
const DEPTH: usize = 4;
/// One file is larger than any client's buffer.
const LARGE: (&str, u64) = ("archive.tar.gz", 3_000_000);

/// A file or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    /// Bytes; directories have none.
    size: Option<u64>,
}

/// The entries of a directory; the empty path has the roots.
fn entries(system: &str, path: &[String]) -> Vec<Entry> {
    let directory = |name: &str| Entry {
        name: name.to_owned(),
        size: None,
    };
    if path.is_empty() {
        return vec![directory("C:"), directory("D:")];
    }
    if path.len() > DEPTH {
        return Vec::new();
    }
    let at = path.join("/");
    let throw = |name: &str| hash(&[system, &at, name]);
    let keep = |name: &&&str| path.len() == 1 || throw(name) % 2 == 0;
    let directories = DIRECTORIES.iter().filter(keep).map(|name| directory(name));
    let files = FILES.iter().filter(keep).map(|name| Entry {
        name: (*name).to_owned(),
        size: Some(if *name == LARGE.0 {
            LARGE.1
        } else {
            throw(name) % 50_000
        }),
    });
    let deepest = path.len() == DEPTH;
    directories.filter(|_| !deepest).chain(files).collect()
}

/// The path as the file system spells it, and what is there.
fn find(system: &str, path: &str) -> Option<(Vec<String>, Entry)> {
    let (mut at, mut found) = (Vec::new(), None);
    for part in path.replace('\\', "/").split('/').filter(|part| !part.is_empty()) {
        if found.as_ref().is_some_and(|entry: &Entry| entry.size.is_some()) {
            return None;
        }
        let entry = entries(system, &at)
            .into_iter()
            .find(|entry| entry.name.to_lowercase() == part.to_lowercase())?;
        at.push(entry.name.clone());
        found = Some(entry);
    }
    Some((at, found?))
}

/// Whether there is anything at that path.
pub fn exists(place: &Place) -> bool {
    let system = system(place);
    place
        .file
        .as_ref()
        .is_none_or(|path| find(&system, path).is_some())
}

/// The seed that distinguishes one file system from another.
fn system(place: &Place) -> String {
    place.last().map(|row| row.path()).unwrap_or_default()
}

/// `GET …/{filepath}?action=…`
pub fn get(call: &Call<'_>, place: &Place, ty: &TypeDef) -> Handled {
    let scene = call.scene();
    let system = system(place);
    let below = base(place);
    let action = call
        .request
        .parameter("action")
        .unwrap_or_default()
        .to_lowercase();
    let Some(path) = &place.file else {
        // The root of a catalog's file system is one entry.
        let root = Entry {
            name: "C:".to_owned(),
            size: None,
        };
        let entry = scene.entry("DirectoryEntry", &below, &[], &root);
        let document = Element::new(ty.roots.first().copied().unwrap_or("FileSystemEntry"))
            .attr("Href", scene.href(&below))
            .attr("Type", "FileSystemItems")
            .child(Element::new("Links").children(listings(&scene.href(&below))))
            .child(entry);
        return Ok(Answer::ok(document));
    };
    let (path, entry) = find(&system, path).ok_or_else(|| Refusal::not_found("File or directory"))?;
    if action == "download" {
        return match entry.size {
            Some(size) => Ok(download(&path.join("/"), &entry.name, size)),
            None => Err(Refusal::bad_request("A directory cannot be downloaded")),
        };
    }
    let (front, inside) = match entry.size {
        None => (path.clone(), entries(&system, &path)),
        Some(_) => {
            let front = path.get(..path.len().saturating_sub(1)).unwrap_or(&[]).to_vec();
            (front, vec![entry.clone()])
        }
    };
    let wanted: Vec<Entry> = inside
        .into_iter()
        .filter(|entry| match action.as_str() {
            "listdirs" => entry.size.is_none(),
            "listfiles" => entry.size.is_some(),
            _ => true,
        })
        .collect();
    let size = call.positive("pageSize", 100)?.min(100);
    let page = call.positive("page", 1)?;
    let pages = wanted.len().div_ceil(size).max(1);
    let shown: Vec<&Entry> = wanted
        .iter()
        .skip((page - 1).saturating_mul(size))
        .take(size)
        .collect();
    let list = |name: &'static str, files: bool| {
        let item = if files { "FileEntry" } else { "DirectoryEntry" };
        Element::new(name).children(
            shown
                .iter()
                .filter(|entry| entry.size.is_some() == files)
                .map(|entry| scene.entry(item, &below, &front, entry)),
        )
    };
    let here = scene.href(&file_path(&below, &path));
    let mut links = Vec::new();
    if path.len() > 1 {
        let parent = file_path(&below, path.get(..path.len() - 1).unwrap_or(&[]));
        links.push(link("Up", scene.href(&parent), None, Some("DirectoryEntryList")));
    }
    let document = Element::new(ty.roots.first().copied().unwrap_or("FileSystemEntries"))
        .attr("Href", here.clone())
        .attr("Type", "FileSystemItems")
        .child(Element::new("Links").children(links))
        .child(list("Files", true))
        .child(list("Directories", false))
        .child(paging(&here, &action, size, page, pages));
    Ok(Answer::ok(document))
}

/// The path that file paths are appended to.
fn base(place: &Place) -> String {
    let row = place.last().map(|row| row.path()).unwrap_or_default();
    if place.resource.path.contains("/guestfs") {
        format!("{row}/guestfs")
    } else {
        row
    }
}

fn file_path(below: &str, path: &[String]) -> String {
    path.iter().fold(below.to_owned(), |all, part| {
        // A drive's colon is in paths as it is.
        format!("{all}/{}", segment(part).replace("%3A", ":"))
    })
}

/// The links that list a directory, as a whole or in part.
fn listings(href: &str) -> [Element; 3] {
    ["listAll", "listDirs", "listFiles"].map(|action| {
        let href = format!("{href}?action={action}");
        link("Down", href, None, Some("FileSystemItems"))
    })
}

fn paging(here: &str, action: &str, size: usize, page: usize, pages: usize) -> Element {
    let to = |rel: &str, number: usize| {
        let action = if action.is_empty() { "listall" } else { action };
        let href = format!("{here}?action={action}&pageSize={size}&page={number}");
        link(rel, href, None, None)
    };
    let mut links = vec![to("First", 1)];
    if page > 1 {
        links.push(to("Previous", (page - 1).min(pages)));
    }
    if page < pages {
        links.push(to("Next", page + 1));
    }
    links.push(to("Last", pages));
    Element::new("PagingInfo")
        .attr("PageNum", page.to_string())
        .attr("PageSize", size.to_string())
        .attr("PagesCount", pages.to_string())
        .child(Element::new("Links").children(links))
}

/// The file's bytes: always the same, and none like its neighbours.
fn download(path: &str, name: &str, size: u64) -> Answer {
    let mut dice = Dice::from_name(path);
    let size = usize::try_from(size).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    bytes.truncate(size);
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c))
        .collect();
    Answer::bytes("application/octet-stream", bytes).header(
        "Content-Disposition",
        format!(
            "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
            segment(name)
        ),
    )
}

impl Scene<'_> {
    fn entry(self, element: &'static str, below: &str, front: &[String], entry: &Entry) -> Element {
        let mut path = front.to_vec();
        path.push(entry.name.clone());
        let href = self.href(&file_path(below, &path));
        let act = |rel: &str, action: &str| link(rel, format!("{href}?action={action}"), None, None);
        let document = Element::new(element)
            .attr("Href", href.clone())
            .attr("Type", element);
        let Some(size) = entry.size else {
            return document
                .child(Element::new("Links").children(listings(&href)))
                .text_child("Path", path.join("\\"))
                .text_child("Name", entry.name.as_str());
        };
        let owner = Dice::from_name(&path.join("/")).id();
        let hours = i64::try_from(size % 9_000).unwrap_or(0);
        let at: Timestamp = self
            .world
            .born
            .checked_sub(SignedDuration::from_hours(hours))
            .unwrap_or(self.world.born);
        let mut actions = vec![act("Restore", "restore")];
        if below.contains("/mounts/") {
            actions.push(act("Download", "download"));
        }
        document
            .text_child("Path", path.join("\\"))
            .text_child("Name", entry.name.as_str())
            .text_child("Size", size.to_string())
            .text_child("Owner", "LAB\\Administrator")
            .text_child(
                "ModifiedDateUTC",
                spell(at, owner, Rounding::Down, self.world.options.plain),
            )
            .child(Element::new("Actions").children(actions))
    }

    /// The roots of a mounted file system, as its mount point lists them.
    pub fn roots(self, name: &'static str, row: &Row) -> Vec<Element> {
        entries("", &[])
            .iter()
            .map(|entry| self.entry(name, &row.path(), &[], entry))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_what_a_directory_lists_is_found() {
        let mut left = vec![vec!["C:".to_owned()]];
        let mut files = 0;
        while let Some(path) = left.pop() {
            for entry in entries("one", &path) {
                let mut inner = path.clone();
                inner.push(entry.name.clone());
                let found = find("one", &inner.join("/").to_uppercase());
                assert_eq!(found, Some((inner.clone(), entry.clone())), "{inner:?}");
                match entry.size {
                    None => left.push(inner),
                    Some(_) => files += 1,
                }
            }
        }
        assert!(files > 20, "{files} files");
        for path in ["", "E:", "C:/nothing", "C:/report.docx/below"] {
            assert_eq!(find("one", path), None, "{path}");
        }
    }
}
