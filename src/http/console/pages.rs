//! The console's files as answers (docs/behaviour.md#console): the page for every address of the console, its files under a
//! name that changes with them.
//!
//! All files are below one prefix made of the digest of them all, so that modules find each other by relative addresses and a
//! browser never mixes two versions. They are in the program as they are sent, in gzip.

use std::sync::OnceLock;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use flate2::Compression;

use super::files::{FILES, File, PAGE};
use super::media::{INDEX, media_type};
use crate::domain::links::Links;
use crate::http::extract::{Conditions, entity_tag};
use crate::http::layers::{NoCompression, gzipped, inflated};
use crate::http::problem::{Code, Problem};
use crate::http::remembered::takes_gzip;

/// What the page may do: its own scripts and styles, its own connections, nothing from anywhere else, and no text as script.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; \
    require-trusted-types-for 'script'";

/// Where the files are in the page's own text, and what begins the prefix of their addresses.
const PLACEHOLDER: &str = "/console/v-{version}/";
const VERSIONED: &str = "v-";

/// Asked again each time, with the entity tag.
const EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");
/// Never asked again: the address changes with the file.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The console's files, ready to be sent.
pub(in crate::http) struct Pages {
    version: String,
    /// The entity tag of the page; weak, since it names the compressed form too.
    tag: String,
    index: Served,
    files: Vec<(&'static str, Served)>,
    #[cfg(debug_assertions)]
    folder: Option<std::path::PathBuf>,
}

/// A file in both its forms.
struct Served {
    media: HeaderValue,
    gzip: Bytes,
    /// Made when the first caller takes nothing else.
    plain: OnceLock<Bytes>,
}

impl Served {
    fn new(media: &'static str, gzip: Bytes) -> Self {
        Self {
            media: HeaderValue::from_static(media),
            gzip,
            plain: OnceLock::new(),
        }
    }

    fn response(&self, headers: &HeaderMap, cache: HeaderValue) -> Response {
        let mut response = Response::default();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, self.media.clone());
        fields.insert(CACHE_CONTROL, cache);
        fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
        let body = if takes_gzip(headers) {
            fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            self.gzip.clone()
        } else {
            self.plain.get_or_init(|| inflated(&self.gzip).into()).clone()
        };
        response.extensions_mut().insert(NoCompression);
        *response.body_mut() = Body::from(body);
        response
    }
}

impl Pages {
    /// The files that are in the program, with the page's references below the path of the public URL.
    pub(in crate::http) fn new(links: &Links) -> Self {
        let mut digest = Context::new(&SHA256);
        for File { path, gzip } in FILES {
            digest.update(path.as_bytes());
            digest.update(&gzip.len().to_be_bytes());
            digest.update(gzip);
        }
        let digest = digest.finish();
        let version = digest
            .as_ref()
            .iter()
            .take(8)
            .fold(String::new(), |mut text, byte| {
                text.push_str(&format!("{byte:02x}"));
                text
            });
        let files = FILES.iter().filter_map(|File { path, gzip }| {
            Some((*path, Served::new(media_type(path)?, Bytes::from_static(gzip))))
        });
        let text = filled(PAGE, links, &version);
        Self {
            tag: format!("W/{}", entity_tag(text.as_bytes())),
            index: Served::new("text/html; charset=utf-8", compressed(text)),
            files: files.collect(),
            version,
            #[cfg(debug_assertions)]
            folder: on_disk::folder(),
        }
    }

    /// What is at `path` below `/console/`.
    pub(in crate::http) async fn at(
        &self,
        path: &str,
        links: &Links,
        headers: &HeaderMap,
        conditions: &Conditions,
    ) -> Result<Response, Problem> {
        #[cfg(debug_assertions)]
        if let Some(folder) = &self.folder {
            return on_disk::at(folder, path, links, headers).await;
        }
        #[cfg(not(debug_assertions))]
        let _ = links;
        match place(path) {
            Place::Page => {
                let response = self.index.response(headers, EACH_TIME);
                let mut response = conditions.tagged(&self.tag, response);
                // A browser keeps its copy with the headers of the 304, so that these have to be the page's.
                let fields = response.headers_mut();
                fields.insert(CACHE_CONTROL, EACH_TIME);
                fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
                Ok(response)
            }
            Place::File { version, path } => {
                let known = self.files.iter().find(|(name, _)| *name == path);
                let (_, served) = known.filter(|_| version == self.version).ok_or_else(no_file)?;
                Ok(served.response(headers, FOR_EVER))
            }
            Place::Nothing => Err(no_file()),
        }
    }
}

fn no_file() -> Problem {
    Problem::new(
        Code::NotFound,
        "the console of this version has no such file; load its page again",
    )
}

/// What a path below `/console/` is.
#[derive(Debug, PartialEq, Eq)]
enum Place<'p> {
    /// A view, which the page shows.
    Page,
    /// A file of a version.
    File { version: &'p str, path: &'p str },
    /// A file's name without a version. Never the page, which a browser would take for a script.
    Nothing,
}

fn place(path: &str) -> Place<'_> {
    match path.strip_prefix(VERSIONED) {
        Some(rest) => match rest.split_once('/') {
            Some((version, path)) => Place::File { version, path },
            None => Place::Nothing,
        },
        None if media_type(path).is_some() => Place::Nothing,
        None => Place::Page,
    }
}

fn compressed(text: impl Into<Bytes>) -> Bytes {
    gzipped(&text.into(), Compression::best())
}

/// The page's text with the addresses of its files.
fn filled(text: &str, links: &Links, version: &str) -> String {
    let path = links.base().and_then(|base| url::Url::parse(base).ok());
    let path = path.as_ref().map_or("", |url| url.path().trim_end_matches('/'));
    text.replace(PLACEHOLDER, &format!("{path}/console/{VERSIONED}{version}/"))
}

/// Files from a folder instead of the program, so that pages are written without a build; in debug builds alone.
#[cfg(debug_assertions)]
mod on_disk {
    use std::path::{Component, Path, PathBuf};

    use super::{EACH_TIME, INDEX, Links, Place, Served, compressed, filled, media_type, no_file, place};
    use crate::http::problem::Problem;
    use axum::http::HeaderMap;
    use axum::response::Response;

    const VARIABLE: &str = "EMGATE_CONSOLE_FILES";
    const VERSION: &str = "dev";

    #[expect(
        clippy::disallowed_methods,
        reason = "no key of the configuration: for whoever writes the pages"
    )]
    pub(super) fn folder() -> Option<PathBuf> {
        std::env::var_os(VARIABLE)
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
    }

    pub(super) async fn at(
        folder: &Path,
        path: &str,
        links: &Links,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let name = match place(path) {
            Place::Page => INDEX,
            Place::File {
                version: VERSION,
                path,
            } if path != INDEX => path,
            Place::File { .. } | Place::Nothing => return Err(no_file()),
        };
        let media = media_type(name).ok_or_else(no_file)?;
        let mut parts = Path::new(name).components();
        if !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(no_file());
        }
        let bytes = tokio::fs::read(folder.join(name)).await.map_err(|_| no_file())?;
        let bytes = match name {
            INDEX => filled(&String::from_utf8_lossy(&bytes), links, VERSION).into(),
            _ => bytes,
        };
        Ok(Served::new(media, compressed(bytes)).response(headers, EACH_TIME))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Place::Page)]
    #[case("failovers/3f56fa52-c902-4655-9774-2022fde214d2", Place::Page)]
    #[case("plans", Place::Page)]
    #[case("v-12/main.js", Place::File { version: "12", path: "main.js" })]
    #[case("v-12/vendor/htm.js", Place::File { version: "12", path: "vendor/htm.js" })]
    #[case("v-12", Place::Nothing)]
    #[case("main.js", Place::Nothing)]
    #[case("plans/style.css", Place::Nothing)]
    #[case("index.html", Place::Nothing)]
    fn an_address_is_a_view_or_a_file(#[case] path: &str, #[case] expected: Place<'_>) {
        assert_eq!(place(path), expected);
    }

    #[rstest]
    #[case(None, "<script src=\"/console/v-1/main.js\">")]
    #[case(Some("https://dr.example"), "<script src=\"/console/v-1/main.js\">")]
    #[case(
        Some("https://dr.example/emgate/"),
        "<script src=\"/emgate/console/v-1/main.js\">"
    )]
    fn the_page_names_its_files_below_the_public_path(#[case] public: Option<&str>, #[case] expected: &str) {
        let url = public.map(|url| url.parse().expect("a URL"));
        let text = "<script src=\"/console/v-{version}/main.js\">";
        assert_eq!(filled(text, &Links::below(url.as_ref()), "1"), expected);
    }

    #[test]
    fn the_console_is_three_scripts_a_style_and_the_licences() {
        let paths: Vec<&str> = FILES.iter().map(|file| file.path).collect();
        let expected = [
            "main.js",
            "pages.js",
            "live-worker.js",
            "style.css",
            "vendor/LICENSES",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn the_page_refers_to_its_files_by_the_placeholder() {
        let pages = Pages::new(&Links::default());
        let text = String::from_utf8(inflated(&pages.index.gzip)).expect("text");
        assert!(
            text.contains(&format!("/console/v-{}/main.js", pages.version)),
            "{text}"
        );
        assert!(!text.contains("{version}"), "{text}");
    }
}
