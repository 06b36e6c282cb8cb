//! What the embedded data promises, and that the loader refuses broken data.

use super::*;

#[allow(dead_code)]
fn load_one(text: &'static str) -> Result<Catalogue, CatalogueError> {
    load(&[("one.toml", text)])
}

#[allow(dead_code)]
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
