//! What the embedded data promises, and that the loader refuses broken data.

use rstest::rstest;

use super::*;

fn one(text: &'static str) -> Result<Catalogue, CatalogueError> {
    load(&[("one.toml", text)])
}

fn only_fault(text: &'static str) -> FaultKind {
    match one(text) {
        Err(CatalogueError(faults)) if faults.len() == 1 => faults[0].what.clone(),
        other => panic!("expected one fault, got {:?}", other.map(|_| "a catalogue")),
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

#[test]
fn every_name_leads_back_to_its_field() {
    let c = catalogue();
    for (id, ty) in c.types() {
        assert_eq!(c.type_named(ty.name), Some(id));
        for (index, field) in ty.fields.iter().enumerate() {
            let found = match field.place {
                Place::Attribute => ty.attribute(field.name.as_bytes()),
                Place::Element => ty.element(field.name.as_bytes()),
                Place::Text => ty.fields.get(index).map(|f| (index, f)),
            };
            assert_eq!(found.map(|(i, _)| i), Some(index), "{}.{}", ty.name, field.name);
            assert_eq!(ty.by_json(&field.json).map(|(i, _)| i), Some(index));
            if field.place == Place::Element {
                for guess in 0..ty.fields.len() {
                    let near = ty.element_near(guess, field.name.as_bytes());
                    assert_eq!(near.map(|(i, _)| i), Some(index));
                }
            }
        }
        assert!(ty.attribute(b"NoSuchThing").is_none() && ty.element(b"").is_none());
    }
}

#[test]
fn enumerations_are_matched_without_case() {
    let c = catalogue();
    let states = c.enums().iter().find(|e| e.name == "TaskState").unwrap();
    assert_eq!(&*states.values, ["Running", "OperationFinished", "Finished"]);
    assert_eq!(states.find("operationfinished"), Some("OperationFinished"));
    assert_eq!(states.find("Done"), None);
    assert!(states.knows(b"Running") && !states.knows(b"running"));
    let result = c.enums().iter().find(|e| e.name == "SessionResult").unwrap();
    assert!(!result.values.contains(&"None") && result.observed.contains(&"None") && result.knows(b"None"));
}

#[rstest]
#[case(
    Method::Post,
    "/cloud/cloudFailoverPlans/3f56fa52/",
    Some("test"),
    "/cloud/cloudFailoverPlans/{ID}"
)]
#[case(
    Method::Post,
    "cloud/cloudfailoverplans/3f56fa52",
    Some("START"),
    "/cloud/cloudFailoverPlans/{ID}"
)]
#[case(Method::Get, "/jobs", None, "/jobs")]
#[case(Method::Get, "/query", Some("CloudFailoverSession"), "/query")]
#[case(Method::Get, "/query", Some("cloudfailoversession"), "/query")]
#[case(Method::Post, "/nas/jobs/1/start", None, "/nas/jobs/{ID}")]
#[case(Method::Get, "/nas/jobs/1/includes/2", None, "/nas/jobs/{ID}/includes/{ID}")]
#[case(Method::Get, "/", None, "/")]
#[case(Method::Post, "/sessionMngr/", None, "/sessionMngr/")]
#[case(
    Method::Get,
    "/replicaSessions/1/repicaTaskSessions",
    None,
    "/replicaSessions/{ID}/replicaTaskSessions"
)]
#[case(
    Method::Get,
    "/vmRestorePoints/1/mounts/2/C:/Users/x",
    Some("listAll"),
    "/vmRestorePoints/{ID}/mounts/{ID}/{filepath}"
)]
fn requests_find_their_operation(
    #[case] method: Method,
    #[case] path: &str,
    #[case] action: Option<&str>,
    #[case] expected: &str,
) {
    let found = catalogue()
        .operation(method, path, action)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found.path.resource.path, expected);
    assert_eq!(found.operation.method, method);
}

#[test]
fn path_parameters_come_in_the_order_of_the_path() {
    let found = catalogue()
        .resource("/catalog/vms/srv%2001/vmRestorePoints/7/guestfs/C:/Documents/a%2Fb.txt")
        .unwrap();
    let expected = [
        ("vmname", "srv%2001"),
        ("ID", "7"),
        ("filepath", "C:/Documents/a%2Fb.txt"),
    ];
    assert_eq!(found.parameters, expected);
}

#[test]
fn what_em_does_not_have_says_which_part() {
    let c = catalogue();
    let refusal = |method, path, action| c.operation(method, path, action).map(|_| ()).unwrap_err();
    assert_eq!(refusal(Method::Get, "/nothing/here", None), Refusal::Path);
    assert_eq!(
        refusal(Method::Put, "/jobs", None),
        Refusal::Method(vec![Method::Get])
    );
    assert_eq!(
        refusal(Method::Post, "/failoverPlans/1", Some("test")),
        Refusal::Action(vec!["start", "undo"])
    );
    assert_eq!(
        refusal(Method::Post, "/failoverPlans/1", None),
        Refusal::Action(vec!["start", "undo"])
    );
    assert_eq!(
        refusal(Method::Get, "/jobs", Some("start")),
        Refusal::Action(vec![])
    );
}

#[test]
fn every_operation_of_the_catalogue_is_found_by_its_own_path() {
    let c = catalogue();
    for resource in c.resources() {
        for operation in &resource.operations {
            let mut path: String = resource
                .segments()
                .iter()
                .map(|s| match s {
                    Segment::Literal(text) => format!("/{text}"),
                    Segment::Parameter(_) => "/x1".to_owned(),
                    Segment::Rest(_) => "/C:/x".to_owned(),
                })
                .collect();
            if operation.action_in_path {
                path = format!("{path}/{}", operation.action.unwrap_or_default());
            }
            let action = operation
                .action
                .filter(|_| !operation.action_in_path)
                .or(operation.query);
            let found = c
                .operation(operation.method, &path, action)
                .unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!(found.path.resource.path, resource.path, "{path}");
            assert!(std::ptr::eq(found.operation, operation), "{path} {action:?}");
        }
    }
}

#[test]
fn roots_are_found_by_root_type_and_link_type() {
    let c = catalogue();
    for name in [
        "CloudFailoverPlan",
        "CloudFailoverPlanEntityType",
        "cloudfailoverplan",
    ] {
        assert_eq!(
            c.root_or_type(name).map(|r| r.name),
            Some("CloudFailoverPlan"),
            "{name}"
        );
    }
    assert_eq!(
        c.root_or_type("CloudFailoverPlanList").map(|r| r.name),
        Some("CloudFailoverPlans")
    );
    assert!(c.root_or_type("InfoType").is_none() && c.root_or_type("html").is_none());
}

#[test]
fn every_relation_has_its_method() {
    let c = catalogue();
    assert_eq!(c.relation("quickBackup"), Some("QuickBackup"));
    assert_eq!(c.relation("novel"), None);
    assert!(c.link_relations().contains(&("Undo", Method::Post)));
}

#[rstest]
#[case::not_toml("[types", "is not TOML")]
#[case::unknown_key("[types.A]\nkind = \"info\"\nfields = []\nsurprise = 1", "is not TOML")]
#[case::unknown_type(
    "[types.A]\nkind = \"info\"\nfields = [\"B: Missing\"]",
    "names Missing, which is neither"
)]
#[case::unknown_base(
    "[types.A]\nkind = \"info\"\nextends = \"Missing\"\nfields = []",
    "extends Missing"
)]
#[case::cycle("[types.A]\nkind = \"info\"\nextends = \"A\"\nfields = []", "extends itself")]
#[case::twice(
    "[types.A]\nkind = \"info\"\nfields = [\"B: string\", \"B: int\"]",
    "is defined twice"
)]
#[case::name_clash(
    "[types.A]\nkind = \"info\"\nfields = [\"BId: string\", \"bId: int\"]",
    "has BId and bId, which are both bId"
)]
#[case::id_clash(
    "[types.A]\nkind = \"entity\"\nfields = [\"@UID: urn\", \"Id: int\"]",
    "has UID and Id, which are both id"
)]
#[case::enum_and_type(
    "[types.A]\nkind = \"info\"\nfields = []\n[enums]\nA = [\"x\"]",
    "is defined twice"
)]
#[case::empty_enum("[enums]\nA = []", "has no values")]
#[case::bad_line("[types.A]\nkind = \"info\"\nfields = [\"B string\"]", "does not read")]
#[case::bad_word(
    "[types.A]\nkind = \"info\"\nfields = [\"B: string writable\"]",
    "a word after the type is not known"
)]
#[case::no_item("[types.A]\nkind = \"info\"\nfields = [\"B: string[]\"]", "a wrapper says")]
#[case::list_attribute(
    "[types.A]\nkind = \"info\"\nfields = [\"@B: string*\"]",
    "only elements can be lists"
)]
#[case::complex_attribute(
    "[types.A]\nkind = \"info\"\nfields = []\n[types.B]\nkind = \"info\"\nfields = [\"@C: A\"]",
    "an attribute or text holds a scalar"
)]
#[case::no_list(
    "[types.A]\nkind = \"list\"\nfields = [\"B: string\"]",
    "exactly one repeated child"
)]
#[case::mixed(
    "[types.A]\nkind = \"info\"\nfields = [\"#text: string\", \"B: string\"]",
    "both text and child"
)]
#[case::choice(
    "[types.A]\nkind = \"info\"\nchoice = [[\"B\", \"C\"]]\nfields = [\"B: string\"]",
    "names the field C"
)]
#[case::same_root(
    "[types.A]\nkind = \"info\"\nroot = [\"R\"]\nfields = []\n[types.B]\nkind = \"info\"\nroot = [\"R\"]\nfields = []",
    "is defined twice"
)]
#[case::body(
    "[resources.\"/a\"]\noperations = [\"POST (R) -> 204\"]",
    "names the document element R"
)]
#[case::answer(
    "[resources.\"/a\"]\noperations = [\"GET -> 200 T\"]",
    "names T, which is neither"
)]
#[case::status("[resources.\"/a\"]\noperations = [\"GET\"]", "does not read")]
#[case::method(
    "[resources.\"/a\"]\noperations = [\"PATCH -> 200\"]",
    "the method is not known"
)]
#[case::same_operation(
    "[resources.\"/a\"]\noperations = [\"GET -> 200\", \"GET -> 204\"]",
    "has two operations GET"
)]
#[case::query("[resources.\"/a\"]\nquery = \"Q\"\noperations = []", "names the query Q")]
#[case::no_first_word("[resources.\"/{ID}/a\"]\noperations = []", "begins with a parameter")]
#[case::resource("[queries.Q]\nresource = \"/a\"\nfields = []", "names the resource /a")]
#[case::relation(
    "[resources.\"/a\"]\noperations = []\nlinks = [\"Sideways /b\"]",
    "names the link relation Sideways"
)]
fn broken_catalogue_data_is_refused_by_file_and_name(#[case] text: &'static str, #[case] why: &str) {
    let error = one(text).map(|_| ()).unwrap_err();
    let CatalogueError(faults) = &error;
    assert_eq!(faults.len(), 1, "{error}");
    assert_eq!(faults[0].file, "one.toml");
    assert!(!faults[0].name.is_empty());
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn all_faults_are_reported_together() {
    let error = one("[types.A]\nkind = \"info\"\nfields = [\"B: X\", \"C: Y\"]\n[enums]\nE = []")
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.0.len(), 3, "{error}");
}

#[test]
fn an_attribute_that_shares_its_name_with_a_child_gets_the_suffix() {
    let c = one("[types.A]\nkind = \"info\"\nfields = [\"@Name: string\", \"Name: int\"]")
        .unwrap_or_else(|e| panic!("{e}"));
    let ty = c.ty(c.type_named("A").unwrap());
    let names: Vec<&str> = ty.fields.iter().map(|f| &*f.json).collect();
    assert_eq!(names, ["nameAttribute", "name"]);
}

#[test]
fn an_heir_narrows_a_field_where_the_base_has_it() {
    let c = one(
        "[types.Base]\nkind = \"abstract\"\nfields = [\"@Id: int\", \"A: string\", \"B: string\"]\n\
         [types.Heir]\nkind = \"info\"\nextends = \"Base\"\nfields = [\"A: int ro\", \"C: string\"]",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let base = c.type_named("Base");
    let heir = c.ty(c.type_named("Heir").unwrap());
    let fields: Vec<_> = heir
        .fields
        .iter()
        .map(|f| (f.name, f.value, f.writable, f.from))
        .collect();
    let string = Value::Scalar(Scalar::String);
    let int = Value::Scalar(Scalar::Int);
    assert_eq!(
        fields,
        [
            ("Id", int, None, base),
            ("A", int, Some(false), None),
            ("B", string, None, base),
            ("C", string, None, None)
        ]
    );
}

#[test]
fn only_fault_of_a_list_field_that_holds_lists() {
    // A wrapper is written "Type[] of Item"; a list type as a plain field would have two shapes.
    let text = "[types.L]\nkind = \"list\"\nfields = [\"I: string*\"]\n\
                [types.A]\nkind = \"info\"\nfields = [\"B: L\"]";
    assert!(matches!(only_fault(text), FaultKind::Line(..)));
}

#[test]
fn every_description_is_one_short_clause() {
    let c = catalogue();
    let types = c.types().filter_map(|(_, t)| t.about.map(|a| (t.name, a)));
    let fields = c
        .types()
        .flat_map(|(_, t)| t.fields.iter().filter_map(|f| f.about.map(|a| (f.name, a))));
    let words = c.enums().iter().flat_map(|e| e.meanings.iter().copied());
    let queried = c.queries().iter().flat_map(|q| &q.fields);
    let queried = queried.filter_map(|f| f.about.map(|a| (f.name, a)));
    let all: Vec<_> = types.chain(fields).chain(words).chain(queried).collect();
    assert!(all.len() >= 450, "only {} descriptions", all.len());
    for (name, about) in all {
        assert!(!about.is_empty() && about.trim() == about, "{name}: {about:?}");
        assert!(about.chars().count() <= 90, "{name} says too much: {about}");
        // The OpenAPI writer makes a sentence of it.
        assert!(
            !about.contains('\n') && !about.ends_with('.'),
            "{name}: {about:?}"
        );
    }
}
