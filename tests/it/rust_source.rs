//! The source as the guards see it: modules, and the paths that each names.
//!
//! The source is read as tokens, so a comment or a string is no import, and a path within a group, a macro or an attribute is
//! one. What a type checker alone could know is left out: the home of a method, and a name that a glob brings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path as it is written, such as `super::store::Tx`.
#[derive(Clone, Debug)]
pub struct Import {
    /// Its parts; a glob ends with `*`.
    pub parts: Vec<String>,
    /// By what name a `use` brings it; none for a path within code.
    pub name: Option<String>,
    /// The modules around it, the file's own first.
    pub module: Vec<String>,
    /// Whether only a build for tests has it.
    pub in_tests: bool,
    /// `::serde::Value`, which is a crate's for certain.
    pub is_rooted: bool,
}

impl Import {
    pub fn text(&self) -> String {
        self.parts.join("::")
    }
}

/// One file.
pub struct Source {
    /// Below `src`.
    pub path: PathBuf,
    /// The module that it is; the root of the library has no parts, and `main` is the program's.
    pub module: Vec<String>,
    pub imports: Vec<Import>,
}

impl Source {
    /// `src/http/routes/plans.rs` belongs to `http`.
    pub fn room(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The module in which the item is.
    pub module: Vec<String>,
    /// The item's name and what follows; empty when the path names the module itself.
    pub item: Vec<String>,
}

/// A crate's files.
pub struct Tree {
    pub sources: Vec<Source>,
    /// Each module, also those within a file, and the file it is in.
    modules: BTreeMap<Vec<String>, usize>,
}

impl Tree {
    /// The library and the program of this repository, read once.
    pub fn of_the_program() -> &'static Self {
        static TREE: LazyLock<Tree> = LazyLock::new(Tree::of_the_repository);
        &TREE
    }

    fn of_the_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let text = fs::read_to_string(&path).unwrap();
                    files.insert(path.strip_prefix(&root).unwrap().to_owned(), text);
                }
            }
        }
        assert!(files.len() > 20, "the guard looks in the wrong place");
        Self::read(files)
    }

    /// A made-up crate: paths below `src`, and what they hold.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
        Self::read(files.collect())
    }

    fn read(mut files: BTreeMap<PathBuf, String>) -> Self {
        let mut tree = Self {
            sources: Vec::new(),
            modules: BTreeMap::new(),
        };
        for (root, module) in [("lib.rs", vec![]), ("main.rs", vec!["main".to_owned()])] {
            if files.contains_key(Path::new(root)) {
                tree.add(&mut files, PathBuf::from(root), module, false);
            }
        }
        assert!(files.is_empty(), "no module declares {:?}", files.keys());
        tree.sources.sort_by(|a, b| a.path.cmp(&b.path));
        for (at, source) in tree.sources.iter().enumerate() {
            tree.modules.insert(source.module.clone(), at);
            for import in &source.imports {
                tree.modules.entry(import.module.clone()).or_insert(at);
            }
        }
        tree
    }

    fn add(
        &mut self,
        files: &mut BTreeMap<PathBuf, String>,
        path: PathBuf,
        module: Vec<String>,
        in_tests: bool,
    ) {
        let text = files
            .remove(&path)
            .unwrap_or_else(|| panic!("{} is missing", path.display()));
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut reader = Reader::default();
        reader.read(tokens, &module, in_tests);
        for child in reader.children {
            let folder = match path.file_name().and_then(|name| name.to_str()) {
                Some("lib.rs" | "main.rs" | "mod.rs") => path.parent().unwrap().to_owned(),
                _ => path.with_extension(""),
            };
            let inline: PathBuf = child.module[module.len()..child.module.len() - 1]
                .iter()
                .collect();
            let name = child.module.last().unwrap();
            let file = match child.path {
                Some(own) => path.parent().unwrap().join(own),
                None => {
                    let beside = folder.join(&inline).join(format!("{name}.rs"));
                    if files.contains_key(&beside) {
                        beside
                    } else {
                        folder.join(&inline).join(name).join("mod.rs")
                    }
                }
            };
            self.add(files, file, child.module, child.in_tests);
        }
        self.sources.push(Source {
            path,
            module,
            imports: reader.imports,
        });
    }

    /// The file in which a module is.
    pub fn file_of(&self, module: &[String]) -> &Source {
        &self.sources[self.modules[module]]
    }

    /// What a path names where it is written; none when it leads out of the crate or to a local name.
    pub fn target(&self, import: &Import) -> Option<Target> {
        self.follow(&import.module, &import.parts, import.is_rooted, false, 0)
    }

    /// The same, behind what modules on the way import from elsewhere.
    pub fn home(&self, import: &Import) -> Option<Target> {
        self.follow(&import.module, &import.parts, import.is_rooted, true, 0)
    }

    fn follow(
        &self,
        module: &[String],
        parts: &[String],
        is_rooted: bool,
        through: bool,
        depth: usize,
    ) -> Option<Target> {
        let (first, mut rest) = parts.split_first()?;
        if depth > 16 {
            return None;
        }
        let mut at = module.to_vec();
        match first.as_str() {
            "emgate" => at.clear(),
            _ if is_rooted => return None,
            "crate" if module.first().is_some_and(|part| part == "main") => at.truncate(1),
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop()?;
            }
            name => {
                at.push(name.to_owned());
                if !self.modules.contains_key(&at) {
                    at.pop();
                    return through.then(|| self.through(&at, name, rest, depth)).flatten();
                }
            }
        }
        while let Some((part, left)) = rest.split_first() {
            match part.as_str() {
                "self" => {}
                "super" => {
                    at.pop()?;
                }
                name => {
                    at.push(name.to_owned());
                    if !self.modules.contains_key(&at) {
                        at.pop();
                        let beyond = through.then(|| self.through(&at, name, left, depth)).flatten();
                        return beyond.or_else(|| {
                            Some(Target {
                                module: at,
                                item: rest.to_vec(),
                            })
                        });
                    }
                }
            }
            rest = left;
        }
        Some(Target {
            module: at,
            item: Vec::new(),
        })
    }

    /// Where a name of `module` comes from, when a `use` there brings it.
    fn through(&self, module: &[String], name: &str, rest: &[String], depth: usize) -> Option<Target> {
        let imports = self.file_of(module).imports.iter();
        let brought = imports.filter(|import| import.module == module && import.name.is_some());
        for import in brought {
            let parts: Vec<String> = match import.name.as_deref() {
                Some("*") => {
                    let whence = &import.parts[..import.parts.len() - 1];
                    let base = self.follow(module, whence, import.is_rooted, true, depth + 1);
                    // A glob brings the name when its module has it from elsewhere, or holds a module of that name.
                    let Some(base) = base.filter(|base| base.item.is_empty() && base.module != module) else {
                        continue;
                    };
                    let named: Vec<String> = [name.to_owned()].iter().chain(rest).cloned().collect();
                    let found = self.follow(&base.module, &named, false, true, depth + 1);
                    if found.is_some() {
                        return found;
                    }
                    continue;
                }
                Some(own) if own == name => import.parts.iter().chain(rest).cloned().collect(),
                _ => continue,
            };
            // `use x::x` in the module `x` would lead around for ever.
            let found = self.follow(module, &parts, import.is_rooted, true, depth + 1);
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// A module that is declared and lies in a file of its own.
struct Child {
    module: Vec<String>,
    path: Option<String>,
    in_tests: bool,
}

#[derive(Default)]
struct Reader {
    imports: Vec<Import>,
    children: Vec<Child>,
}

impl Reader {
    fn read(&mut self, tokens: TokenStream, module: &[String], in_tests: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        // What the attributes before an item say of it.
        let (mut gated, mut own_path) = (false, None);
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    if let Some(TokenTree::Group(attribute)) = tokens.get(at) {
                        gated |= is_for_tests(&attribute.stream());
                        own_path = own_path.or_else(|| path_attribute(&attribute.stream()));
                    }
                }
                TokenTree::Punct(end) if end.as_char() == ';' => (gated, own_path) = (false, None),
                TokenTree::Punct(_) => {}
                TokenTree::Literal(text) => {
                    // serde names functions in strings
                    let text = text.to_string();
                    let text = text.trim_matches('"');
                    if is_path_text(text) {
                        let parts = text.split("::").map(str::to_owned).collect();
                        self.found(parts, None, module, in_tests || gated, false);
                    }
                }
                TokenTree::Group(group) => {
                    self.read(group.stream(), module, in_tests || gated);
                    if group.delimiter() == Delimiter::Brace {
                        (gated, own_path) = (false, None);
                    }
                }
                TokenTree::Ident(word) if word == "use" && !is_punct(tokens.get(at), '<') => {
                    let end = tokens[at..].iter().position(|token| is_punct(Some(token), ';'));
                    let end = at + end.unwrap_or(tokens.len() - at);
                    self.read_use(&tokens[at..end], &[], false, module, in_tests || gated);
                    at = end;
                }
                TokenTree::Ident(word) if word == "mod" => {
                    let Some(TokenTree::Ident(name)) = tokens.get(at) else {
                        continue;
                    };
                    let inner: Vec<String> = module.iter().cloned().chain([plain(name)]).collect();
                    match tokens.get(at + 1) {
                        Some(TokenTree::Group(body)) => {
                            // So that a module without any path is known as well.
                            self.found(vec!["self".to_owned()], None, &inner, in_tests || gated, false);
                            self.read(body.stream(), &inner, in_tests || gated);
                            (gated, own_path) = (false, None);
                            at += 2;
                        }
                        Some(TokenTree::Punct(end)) if end.as_char() == ';' => self.children.push(Child {
                            module: inner,
                            path: own_path.take(),
                            in_tests: in_tests || gated,
                        }),
                        _ => {}
                    }
                }
                TokenTree::Ident(word) => {
                    let before = at.checked_sub(2).and_then(|before| tokens.get(before));
                    let is_rooted = is_punct(before, ':') && at >= 3 && is_punct(tokens.get(at - 3), ':');
                    let mut parts = vec![plain(word)];
                    while is_punct(tokens.get(at), ':')
                        && is_punct(tokens.get(at + 1), ':')
                        && let Some(TokenTree::Ident(part)) = tokens.get(at + 2)
                    {
                        parts.push(plain(part));
                        at += 3;
                    }
                    // After `>` or a macro's variable the beginning is another's.
                    let continues = is_rooted
                        && at >= 4
                        && matches!(tokens.get(at.wrapping_sub(parts.len() * 3 + 1)), Some(TokenTree::Punct(p)) if p.as_char() == '>');
                    if parts.len() > 1 && !continues {
                        self.found(parts, None, module, in_tests || gated, is_rooted);
                    }
                }
            }
        }
    }

    fn read_use(
        &mut self,
        tokens: &[TokenTree],
        before: &[String],
        is_rooted: bool,
        module: &[String],
        in_tests: bool,
    ) {
        let mut parts = before.to_vec();
        let mut rooted = is_rooted;
        let mut name = None;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = tokens.get(at + 1).map(ToString::to_string);
                    break;
                }
                TokenTree::Ident(word) => parts.push(plain(word)),
                TokenTree::Punct(star) if star.as_char() == '*' => parts.push("*".to_owned()),
                TokenTree::Punct(_) => rooted |= parts.is_empty(),
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for one in inner.split(|token| is_punct(Some(token), ',')) {
                        if !one.is_empty() {
                            self.read_use(one, &parts, rooted, module, in_tests);
                        }
                    }
                    return;
                }
                TokenTree::Literal(_) => {}
            }
            at += 1;
        }
        if parts.len() > 1 && parts.last().is_some_and(|last| last == "self") {
            parts.pop();
        }
        let name = name.or_else(|| parts.last().cloned());
        self.found(parts, name, module, in_tests, rooted);
    }

    fn found(
        &mut self,
        parts: Vec<String>,
        name: Option<String>,
        module: &[String],
        in_tests: bool,
        is_rooted: bool,
    ) {
        self.imports.push(Import {
            parts,
            name,
            module: module.to_vec(),
            in_tests,
            is_rooted,
        });
    }
}

/// A word without the `r#` of one that is also a keyword.
fn plain(word: &proc_macro2::Ident) -> String {
    word.to_string().trim_start_matches("r#").to_owned()
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// `"crate::words::is_default"`.
fn is_path_text(text: &str) -> bool {
    ["crate::", "super::", "self::"]
        .iter()
        .any(|start| text.starts_with(start))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// `cfg(test)`, also within `all(…)`.
fn is_for_tests(attribute: &TokenStream) -> bool {
    let text: String = attribute
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .concat();
    let condition = text.strip_prefix("cfg(").unwrap_or_default();
    let words: BTreeSet<&str> = condition.split([',', '(', ')']).collect();
    words.contains("test") && !words.contains("any") && !words.contains("not")
}

/// `path = "shares_tests.rs"`.
fn path_attribute(attribute: &TokenStream) -> Option<String> {
    let text = attribute.to_string();
    let (name, value) = text.split_once('=')?;
    (name.trim() == "path").then(|| value.trim().trim_matches('"').to_owned())
}

#[test]
fn paths_in_groups_macros_attributes_and_strings_are_found() {
    let tree = Tree::of(&[(
        "lib.rs",
        r#"
        use crate::{a::{b, c::d}, e as f};
        pub(crate) use super::super::x::*;
        // use crate::in_a_comment;
        #[derive(sqlx::FromRow)]
        struct S {
            #[serde(default = "crate::words::is_default")]
            url: [u8; 3],
        }
        const URL: &str = "http://crate::in_a_string"; const T: crate::t::T = crate::behind::a_url();
        macro_rules! m { () => { $crate::y::z() } }
        fn g() -> impl Sized + use<> { tokio::select! { one = crate::w::wait() => {} } <X as crate::p::P>::go(); ::serde::Value }
        "#,
    )]);
    let found: BTreeSet<String> = tree.sources[0].imports.iter().map(Import::text).collect();
    for path in [
        "crate::a::b",
        "crate::a::c::d",
        "crate::e",
        "super::super::x::*",
        "sqlx::FromRow",
        "crate::words::is_default",
        "crate::t::T",
        "crate::behind::a_url",
        "crate::y::z",
        "crate::w::wait",
        "crate::p::P",
        "serde::Value",
    ] {
        assert!(found.contains(path), "{path} is not among {found:?}");
    }
    assert!(!found.iter().any(|path| path.contains("in_a_")), "{found:?}");
    assert!(!found.contains("go"), "{found:?}");
}

#[test]
fn items_for_tests_are_distinguished_from_others() {
    let tree = Tree::of(&[
        (
            "lib.rs",
            "#[cfg(test)] use crate::a; #[cfg(test)] mod t { use crate::b; } #[cfg(all(test, unix))] mod own; \
             #[cfg(feature = \"test\")] use crate::c; #[cfg(not(test))] use crate::d; use crate::e;",
        ),
        ("own.rs", "use crate::f;"),
    ]);
    let imports = || tree.sources.iter().flat_map(|source| &source.imports);
    let texts = |in_tests| -> Vec<String> {
        let some = imports().filter(|import| import.in_tests == in_tests && import.parts.len() > 1);
        some.map(Import::text).collect()
    };
    assert_eq!(texts(true), ["crate::a", "crate::b", "crate::f"]);
    assert_eq!(texts(false), ["crate::c", "crate::d", "crate::e"]);
}

#[test]
fn a_path_leads_to_the_module_that_holds_its_item() {
    let tree = Tree::of(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a/mod.rs",
            "mod c; pub use self::c::Deep; pub use crate::b as other;",
        ),
        (
            "a/c.rs",
            "use super::super::b::Thing; use super::other::Thing as T;",
        ),
        (
            "b.rs",
            "use crate::a::Deep; use crate::a::{self, c::inner::Last}; mod inner { use super::x::Y; }",
        ),
        ("main.rs", "use emgate::a::Deep;"),
    ]);
    let lead = |path: &str, at: usize, home: bool| {
        let source = tree
            .sources
            .iter()
            .find(|source| source.path == Path::new(path))
            .unwrap();
        let import = &source
            .imports
            .iter()
            .filter(|import| import.parts.len() > 1)
            .nth(at);
        let import = import.unwrap();
        let target = if home {
            tree.home(import)
        } else {
            tree.target(import)
        };
        let target = target.unwrap();
        format!("{} {}", target.module.join("/"), target.item.join("::"))
    };
    assert_eq!(lead("a/c.rs", 0, false), "b Thing");
    assert_eq!(lead("a/c.rs", 1, false), "a other::Thing");
    assert_eq!(lead("a/c.rs", 1, true), "b Thing");
    assert_eq!(lead("b.rs", 0, false), "a Deep");
    assert_eq!(lead("b.rs", 0, true), "a/c Deep");
    assert_eq!(lead("b.rs", 1, true), "a ");
    assert_eq!(lead("b.rs", 2, true), "a/c inner::Last");
    assert_eq!(lead("b.rs", 3, true), "b x::Y");
    assert_eq!(lead("main.rs", 0, true), "a/c Deep");
}
