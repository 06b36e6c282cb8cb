//! Manual pages and completions: complete, the same twice, and told from the command line alone.

use std::collections::BTreeSet;

use super::{COMMANDS, Run, emgate, run};

/// The pages by file name, as `emgate man` writes them with these variables.
fn pages(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let run: Run = emgate(folder.path(), &["man", "new/pages"])
        .envs(variables.iter().copied())
        .output()
        .unwrap()
        .into();
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(0), "", ""));
    let mut pages: Vec<_> = std::fs::read_dir(folder.path().join("new/pages"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    pages.sort();
    pages
}

/// The words of every command that has help of its own, found by asking for help.
fn commands(above: &[&str], found: &mut BTreeSet<String>) {
    let help = run(&[above, &["--help"]].concat());
    assert_eq!(help.code, Some(0), "{above:?}");
    found.insert([&["emgate"], above].concat().join("-"));
    let Some((_, listed)) = help.stdout.split_once("Commands:\n") else {
        return;
    };
    for line in listed.lines().take_while(|line| line.starts_with("  ")) {
        let Some(name) = line[2..]
            .split_whitespace()
            .next()
            .filter(|_| !line[2..].starts_with(' '))
        else {
            continue;
        };
        if name != "help" {
            commands(&[above, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_command_has_a_page_of_its_own() {
    let mut wanted = BTreeSet::new();
    commands(&[], &mut wanted);
    assert!(wanted.contains("emgate-plan-test") && wanted.len() > COMMANDS.len());
    let pages = pages(&[]);
    let written: BTreeSet<String> = pages
        .iter()
        .map(|(name, _)| name.strip_suffix(".1").unwrap().to_owned())
        .collect();
    assert_eq!(written, wanted);
    for (name, page) in &pages {
        for (at, _) in page.match_indices("(1)") {
            let cited = page[..at].rsplit([' ', '\n']).next().unwrap();
            let cited = cited.replace("\\fB", "").replace("\\fR", "").replace('\\', "");
            assert!(wanted.contains(&cited), "{name} cites {cited}");
        }
    }
    // An example that is filled into a paragraph cannot be copied.
    for command in COMMANDS {
        let name = format!("emgate-{command}.1");
        let (_, page) = pages.iter().find(|(page, _)| *page == name).unwrap();
        let (_, examples) = page.split_once("\n.SH EXAMPLES\n.nf\n").expect(&name);
        let (examples, _) = examples.split_once("\n.fi\n").expect(&name);
        assert!(
            examples.starts_with("emgate ") || examples.contains("\nemgate "),
            "{name}"
        );
    }
    let (_, first) = pages.iter().find(|(name, _)| name == "emgate.1").unwrap();
    for part in ["ENVIRONMENT", "FILES", "SIGNALS", "\"EXIT STATUS\""] {
        assert!(first.contains(&format!("\n.SH {part}\n")), "{part}");
    }
}

#[test]
fn pages_have_the_date_that_is_asked_for_and_else_none() {
    assert_eq!(pages(&[]), pages(&[]));
    for (variables, date) in [
        (&[][..], "\"\""),
        (&[("SOURCE_DATE_EPOCH", "1767225600")], "2026-01-01"),
    ] {
        for (name, page) in pages(variables) {
            let head = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
            assert!(head.contains(&format!(" 1 {date} ")), "{name}: {head}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for date in ["soon", "999999999999999"] {
        let run: Run = emgate(folder.path(), &["man", "--date", date, "."])
            .output()
            .unwrap()
            .into();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
    }
}

#[test]
fn pages_that_cannot_be_written_end_with_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let run: Run = emgate(folder.path(), &["man", "file"]).output().unwrap().into();
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.starts_with("error: cannot write to file: "),
        "{}",
        run.stderr
    );
}

#[test]
fn completions_know_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = run(&["completions", shell]);
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{shell}");
        for command in COMMANDS {
            assert!(run.stdout.contains(command), "{shell}: {command}");
        }
    }
    let unknown = run(&["completions", "tcsh"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("powershell"), "{}", unknown.stderr);
}
