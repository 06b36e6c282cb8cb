//! What the embedded data promises, and that the loader refuses broken data.

use super::*;

fn load_one(text: &'static str) -> Result<Catalogue, CatalogueError> {
    load(&[("one.toml", text)])
}

fn only_fault(text: &'static str) -> FaultKind {
    match load_one(text) {
        Err(CatalogueError(faults)) if faults.len() == 1 => faults[0].what.clone(),
        other => panic!("expected one fault, got {other:?}"),
    }
}

#[test]
fn the_embedded_catalogue_is_whole() {
    let c = load(SOURCES).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(c.types().count(), 365, "types");
    let own: usize = c
        .types()
        .map(|(_, t)| t.fields.iter().filter(|f| f.from.is_none()).count())
        .sum();
    assert_eq!(
        own,
        1178 + 20,
        "own fields and inherited ones that a type narrows"
    );
    let all: usize = c.types().map(|(_, t)| t.fields.len()).sum();
    assert_eq!(all, 1618, "fields with inherited ones");
    assert_eq!(
        c.roots().iter().filter(|r| !r.guessed).count(),
        201,
        "document roots"
    );
    assert_eq!(c.roots().iter().filter(|r| r.guessed).count(), 3, "guessed roots");
    assert_eq!(c.resources().len(), 206, "resources");
    assert_eq!(
        c.resources().iter().map(|r| r.operations.len()).sum::<usize>(),
        362,
        "operations"
    );
    assert_eq!(c.queries().len(), 49, "queries");
    assert_eq!(
        c.queries().iter().map(|q| q.fields.len()).sum::<usize>(),
        402 - 1,
        "query fields, one given twice"
    );
    assert_eq!(
        c.enums().len(),
        74 + 1,
        "enumerations, and one that only a query has"
    );
    assert_eq!(c.link_relations().len(), 29, "link relations");
}

fn a_type(rest: &str) -> String {
    format!("[types.T]\nkind = \"info\"\n{rest}\n")
}

#[test]
fn broken_data_is_refused_with_the_fault_named() {
    let broken = [
        (
            a_type(r#"fields = ["A: Nothing"]"#),
            FaultKind::UnknownType("Nothing".to_owned()),
        ),
        (
            a_type("extends = \"Nothing\"\nfields = []"),
            FaultKind::UnknownBase("Nothing".to_owned()),
        ),
        (
            a_type("extends = \"T\"\nfields = []"),
            FaultKind::Cycle("T".to_owned()),
        ),
        (
            a_type(r#"fields = ["VmId: int", "VMId: int"]"#),
            FaultKind::NameClash("VmId".to_owned(), "VMId".to_owned(), "vmId".to_owned()),
        ),
        (
            a_type("choice = [[\"B\"]]\nfields = [\"A: int\"]"),
            FaultKind::UnknownField("B".to_owned()),
        ),
    ];
    for (text, fault) in broken {
        assert_eq!(only_fault(String::leak(text)), fault);
    }
    assert!(matches!(only_fault("types = 1"), FaultKind::Unreadable(_)));
    let line = a_type(r#"fields = ["no colon"]"#);
    assert!(matches!(only_fault(String::leak(line)), FaultKind::Line(..)));
    assert!(load_one(String::leak(a_type(r#"fields = ["A: int"]"#))).is_ok());
}
