//! The console's modules joined into a few scripts, so that a browser asks for three files instead of twenty. `build.rs` does it,
//! and a module that cannot be joined does not build.
//!
//! Each module becomes a function that gives what it exports, after the modules that it imports. What is read are the forms in
//! which our modules are written: imports and exports are lines of their own that begin at the margin. All else is refused. Plain
//! modules stay what is written, and work without this (`on_disk`).

use std::collections::BTreeSet;

/// Where the files of others are, which are left as they are.
const VENDOR: &str = "vendor/";

/// A script: the module that it begins with, and the script that is there before it, whose modules it uses.
struct Script {
    entry: &'static str,
    beside: Option<&'static str>,
}

const SCRIPTS: &[Script] = &[
    Script {
        entry: "main.js",
        beside: None,
    },
    Script {
        entry: "pages.js",
        beside: Some("main.js"),
    },
    Script {
        entry: "live-worker.js",
        beside: None,
    },
];

/// Why modules cannot be joined.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// A line of a form that is not read.
    #[error("{path}: {line:?} is no import or export that can be joined")]
    Form { path: String, line: String },
    /// A module that is not there.
    #[error("there is no module {0}")]
    Missing(String),
    /// A module that needs itself.
    #[error("{0} imports itself, by whatever way")]
    Circle(String),
}

/// The scripts that are made of `modules`, which are paths and texts: the path of each with its text.
///
/// # Errors
/// [`Fault`].
pub(super) fn scripts(modules: &[(&str, &str)]) -> Result<Vec<(&'static str, String)>, Fault> {
    let joined = SCRIPTS.iter().map(|script| {
        let there = match script.beside {
            Some(entry) => in_order(entry, modules, &[])?,
            None => Vec::new(),
        };
        let there: Vec<&str> = there.iter().map(|module| module.path.as_str()).collect();
        let own = in_order(script.entry, modules, &there)?;
        let is_used = SCRIPTS.iter().any(|other| other.beside == Some(script.entry));
        Ok((script.entry, written(script, &there, &own, is_used)))
    });
    joined.collect()
}

/// One script's text.
fn written(script: &Script, there: &[&str], own: &[Module], is_used: bool) -> String {
    let names = |paths: &mut dyn Iterator<Item = &str>| paths.map(variable).collect::<Vec<_>>().join(", ");
    let mut text = String::new();
    if let Some(beside) = script.beside {
        let there = names(&mut there.iter().copied());
        text.push_str(&format!("import {{ {there} }} from \"./{beside}\";\n"));
    }
    for module in own {
        text.push_str(&module.written());
    }
    if is_used {
        let own = names(&mut own.iter().map(|module| module.path.as_str()));
        text.push_str(&format!("export {{ {own} }};\n"));
    }
    if let Some(entry) = own.last().filter(|entry| !entry.exports.is_empty()) {
        let exported: Vec<&str> = entry
            .exports
            .iter()
            .map(|export| export.outside.as_str())
            .collect();
        let exported = exported.join(", ");
        text.push_str(&format!(
            "export const {{ {exported} }} = {};\n",
            variable(&entry.path)
        ));
    }
    text
}

/// The module `entry` after all that it needs, without those that are `there`.
fn in_order(entry: &str, modules: &[(&str, &str)], there: &[&str]) -> Result<Vec<Module>, Fault> {
    let mut order = Vec::new();
    visit(entry, modules, there, &mut order, &mut BTreeSet::new())?;
    Ok(order)
}

fn visit(
    path: &str,
    modules: &[(&str, &str)],
    there: &[&str],
    order: &mut Vec<Module>,
    open: &mut BTreeSet<String>,
) -> Result<(), Fault> {
    if there.contains(&path) || order.iter().any(|done| done.path == path) {
        return Ok(());
    }
    if !open.insert(path.to_owned()) {
        return Err(Fault::Circle(path.to_owned()));
    }
    let found = modules.iter().find(|(name, _)| *name == path);
    let (_, text) = found.ok_or_else(|| Fault::Missing(path.to_owned()))?;
    let module = Module::read(path, text)?;
    for import in &module.imports {
        visit(&import.from, modules, there, order, open)?;
    }
    order.push(module);
    Ok(())
}

/// A name that a module takes or gives: what others call it, and what the module itself does.
#[derive(Debug)]
struct Name {
    outside: String,
    inside: String,
}

struct Import {
    from: String,
    names: Vec<Name>,
}

struct Module {
    path: String,
    imports: Vec<Import>,
    body: String,
    exports: Vec<Name>,
}

impl Module {
    fn read(path: &str, text: &str) -> Result<Self, Fault> {
        let mut module = Self {
            path: path.to_owned(),
            imports: Vec::new(),
            body: String::new(),
            exports: Vec::new(),
        };
        let bare = if path.starts_with(VENDOR) {
            text.to_owned()
        } else {
            without_comments(text)
        };
        for line in bare.lines() {
            module.line(line).ok_or_else(|| Fault::Form {
                path: path.to_owned(),
                line: line.to_owned(),
            })?;
        }
        Ok(module)
    }

    /// Takes a line; none when it is of a form that is not read.
    fn line(&mut self, line: &str) -> Option<()> {
        let is_import = line.starts_with("import ") || line.starts_with("import{");
        let exported = line
            .strip_prefix("export")
            .filter(|rest| rest.starts_with([' ', '{']));
        if is_import {
            let (names, from) = line.strip_prefix("import")?.rsplit_once("from")?;
            let names = match list(names) {
                Some(names) => names,
                None => vec![Name {
                    outside: "default".to_owned(),
                    inside: whole_identifier(names.trim())?,
                }],
            };
            let from = resolved(&self.path, from)?;
            self.imports.push(Import { from, names });
        } else if let Some(rest) = exported.map(str::trim_start) {
            self.export(rest)?;
        } else {
            self.say(line);
        }
        Some(())
    }

    fn export(&mut self, rest: &str) -> Option<()> {
        if let Some(value) = rest.strip_prefix("default ") {
            self.exports.push(Name {
                outside: "default".to_owned(),
                inside: "$default".to_owned(),
            });
            self.say(&format!("const $default = {value}"));
        } else if rest.starts_with('{') {
            let (names, from) = match rest.rsplit_once('}')? {
                (names, end) if end.trim().trim_end_matches(';').is_empty() => (names, None),
                (names, from) => (names, Some(from.trim_start().strip_prefix("from")?)),
            };
            let names = list(&format!("{names}}}"))?.into_iter();
            let from = from.map(|from| resolved(&self.path, from));
            let whose = match &from {
                Some(from) => format!("{}.", variable(from.as_deref()?)),
                None => String::new(),
            };
            // In a list of exports the module's own name comes first.
            self.exports.extend(names.map(|Name { outside, inside }| Name {
                outside: inside,
                inside: whose.clone() + &outside,
            }));
            self.imports.extend(from.flatten().map(|from| Import {
                from,
                names: Vec::new(),
            }));
        } else {
            const KINDS: &[&str] = &["async function ", "function ", "class ", "const "];
            let name = KINDS.iter().find_map(|kind| rest.strip_prefix(kind))?;
            let name = identifier(name)?;
            self.exports.push(Name {
                outside: name.to_owned(),
                inside: name.to_owned(),
            });
            self.say(rest);
        }
        Some(())
    }

    fn say(&mut self, line: &str) {
        let line = line.trim_start();
        if !line.is_empty() {
            self.body.push_str(line);
            self.body.push('\n');
        }
    }

    fn written(&self) -> String {
        let pairs = |names: &[Name]| {
            let pairs = names
                .iter()
                .map(|Name { outside, inside }| match outside == inside {
                    true => outside.clone(),
                    false => format!("{outside}: {inside}"),
                });
            pairs.collect::<Vec<_>>().join(", ")
        };
        let named = self.imports.iter().filter(|import| !import.names.is_empty());
        let imports = named.map(|import| {
            let names = pairs(&import.names);
            format!("const {{ {names} }} = {};\n", variable(&import.from))
        });
        let (name, imports, body) = (variable(&self.path), imports.collect::<String>(), &self.body);
        let exports = pairs(&self.exports);
        format!("const {name} = (() => {{\n{imports}{body}return {{ {exports} }};\n}})();\n")
    }
}

/// A text without what only its readers need: comments in blocks, lines of comments.
fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut bare = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once("/**") {
        bare.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    let lines = bare.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::with_capacity(bare.len()), |text, line| text + line + "\n")
}

/// The names of `{ a, b as c }`; none for any other text.
fn list(text: &str) -> Option<Vec<Name>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let names = inner.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names = names.map(|name| {
        let (outside, inside) = name.split_once(" as ").unwrap_or((name, name));
        Some(Name {
            outside: whole_identifier(outside.trim())?,
            inside: whole_identifier(inside.trim())?,
        })
    });
    names.collect()
}

/// The identifier that a text begins with.
fn identifier(text: &str) -> Option<&str> {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && !"_$".contains(letter));
    let (name, _) = text.split_at(end.unwrap_or(text.len()));
    (!name.is_empty()).then_some(name)
}

fn whole_identifier(text: &str) -> Option<String> {
    identifier(text)
        .filter(|name| *name == text)
        .map(ToOwned::to_owned)
}

/// The path that `"./name.js";` means in the module at `path`.
fn resolved(path: &str, quoted: &str) -> Option<String> {
    let relative = quoted
        .trim()
        .trim_end_matches(';')
        .strip_prefix('"')?
        .strip_suffix('"')?;
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    relative.starts_with('.').then(|| parts.join("/"))
}

/// The name that a module has in a script.
fn variable(path: &str) -> String {
    let letters = path.chars().map(|letter| match letter.is_ascii_alphanumeric() {
        true => letter,
        false => '_',
    });
    format!("${}", letters.collect::<String>())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn modules_are_joined_after_those_that_they_need() {
        let modules = [
            (
                "main.js",
                "// About it.\nimport { add as plus, NONE } from \"./lib/sum.js\";\nimport make from \"./vendor/make.js\";\n\n\
                 /** @type {number} */\n  const two = plus(1, 1); // kept\nif (two) {\n  import(\"./pages.js\");\n}\n",
            ),
            (
                "lib/sum.js",
                "export { one } from \"../vendor/make.js\";\nexport const NONE = 0;\nexport function add(a, b) {\n  return a + b;\n}\n",
            ),
            (
                "vendor/make.js",
                "// licence\nvar a=1;\nexport{a as one};\nexport default function(b){return b}",
            ),
            ("pages.js", "export { Page } from \"./page.js\";\n"),
            (
                "page.js",
                "import { NONE } from \"./lib/sum.js\";\nexport class Page {}\nconst x = NONE;\nexport { x as extra };\n",
            ),
            ("live-worker.js", "export async function work() {}\n"),
        ];
        let made = scripts(&modules).expect("joined");
        let texts: Vec<String> = made
            .iter()
            .map(|(path, text)| format!("{path}\n{text}"))
            .collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        main.js
        const $vendor_make_js = (() => {
        // licence
        var a=1;
        const $default = function(b){return b}
        return { one: a, default: $default };
        })();
        const $lib_sum_js = (() => {
        const NONE = 0;
        function add(a, b) {
        return a + b;
        }
        return { one: $vendor_make_js.one, NONE, add };
        })();
        const $main_js = (() => {
        const { add: plus, NONE } = $lib_sum_js;
        const { default: make } = $vendor_make_js;
        const two = plus(1, 1); // kept
        if (two) {
        import("./pages.js");
        }
        return {  };
        })();
        export { $vendor_make_js, $lib_sum_js, $main_js };

        pages.js
        import { $vendor_make_js, $lib_sum_js, $main_js } from "./main.js";
        const $page_js = (() => {
        const { NONE } = $lib_sum_js;
        class Page {}
        const x = NONE;
        return { Page, extra: x };
        })();
        const $pages_js = (() => {
        return { Page: $page_js.Page };
        })();
        export const { Page } = $pages_js;

        live-worker.js
        const $live_worker_js = (() => {
        async function work() {}
        return { work };
        })();
        export const { work } = $live_worker_js;
        "#);
    }

    #[rstest]
    #[case::a_variable_that_changes("export let a = 1;", "export let a = 1;")]
    #[case::names_taken_apart("export const [a] = b;", "export const [a] = b;")]
    #[case::everything(
        "import * as all from \"./live-worker.js\";",
        "import * as all from \"./live-worker.js\";"
    )]
    #[case::a_package("import { a } from \"package\";", "import { a } from \"package\";")]
    #[case::above_the_folder("import { a } from \"../a.js\";", "import { a } from \"../a.js\";")]
    fn another_form_is_refused(#[case] text: &str, #[case] line: &str) {
        let modules = [("main.js", text), ("pages.js", ""), ("live-worker.js", "")];
        let expected = Fault::Form {
            path: "main.js".to_owned(),
            line: line.to_owned(),
        };
        assert_eq!(scripts(&modules), Err(expected));
    }

    #[rstest]
    #[case::none("import { a } from \"./b.js\";", Fault::Missing("b.js".to_owned()))]
    #[case::itself("import { a } from \"./main.js\";", Fault::Circle("main.js".to_owned()))]
    fn a_module_needs_others_that_are_there(#[case] text: &str, #[case] expected: Fault) {
        assert_eq!(scripts(&[("main.js", text)]), Err(expected));
    }
}
