//! What policies decide, as a table.

use std::collections::BTreeSet;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use rstest::rstest;

use super::window::WeekTime;
use super::*;
use crate::domain::access::Tenancy;
use crate::domain::plan::Reference;

const HOUR: Duration = Duration::from_hours(1);

fn plan(name: &str, tenant: Option<&str>) -> PlanRef {
    PlanRef {
        id: "3f56fa52-c902-4655-9774-2022fde214d2".parse().expect("an id"),
        kind: if tenant.is_some() {
            PlanKind::Cloud
        } else {
            PlanKind::OnPremises
        },
        name: name.to_owned(),
        tenant: tenant.map(|name| Reference {
            id: "8d0e5d4c-7a8b-4a52-9df3-2c1f5ad1ee02".parse().expect("an id"),
            name: (!name.is_empty()).then(|| name.to_owned()),
        }),
        backup_server: None,
    }
}

fn caller(name: &str, scopes: &[Scope]) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        issuer: None,
        scopes: scopes.iter().copied().collect::<BTreeSet<_>>(),
        tenancy: Tenancy::All,
        token_id: None,
        expires_at: Timestamp::MAX,
        rules: Vec::new(),
    }
}

fn policy(name: &str) -> Policy {
    Policy {
        name: name.to_owned(),
        matching: Matching::default(),
        callers: Admitted::default(),
        windows: Vec::new(),
        approvals: 0,
        approval_expires: 4 * HOUR,
        reason_required: false,
    }
}

fn matching(plans: &[&str], tenants: &[&str], kinds: &[PlanKind], actions: &[PlanAction]) -> Matching {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Matching {
        plans: texts(plans),
        tenants: texts(tenants),
        kinds: kinds.to_vec(),
        actions: actions.to_vec(),
    }
}

/// Monday, from one hour to another, in UTC.
fn monday(from: i16, to: i16) -> Window {
    let time = |hour: i16| WeekTime {
        day: Weekday::Monday,
        minute: hour * 60,
    };
    Window {
        from: time(from),
        to: time(to),
        zone: TimeZone::UTC,
    }
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// A Monday.
const NINE: &str = "2026-01-12T09:00:00Z";

fn ask(policies: Vec<Policy>, action: PlanAction, plan: &PlanRef, reason: Option<&str>) -> Verdict {
    let caller = caller("dr-lead", &[Scope::PlansStart]);
    Policies(policies).decide(&Question {
        action,
        plan,
        caller: &caller,
        reason,
        now: moment(NINE),
    })
}

#[rstest]
#[case::everything(matching(&[], &[], &[], &[]), "ERP", Some("ABC"), PlanAction::Start, true)]
#[case::name_in_another_case(matching(&["erp*"], &[], &[], &[]), "ERP production", Some("ABC"), PlanAction::Start, true)]
#[case::another_name(matching(&["erp*"], &[], &[], &[]), "CRM", Some("ABC"), PlanAction::Start, false)]
#[case::one_of_two_names(matching(&["erp*", "crm"], &[], &[], &[]), "CRM", Some("ABC"), PlanAction::Start, true)]
#[case::the_id(matching(&["3F56FA52*"], &[], &[], &[]), "CRM", Some("ABC"), PlanAction::Start, true)]
#[case::tenant(matching(&[], &["abc*"], &[], &[]), "ERP", Some("ABC Company"), PlanAction::Start, true)]
#[case::tenant_by_id(matching(&[], &["8d0e*"], &[], &[]), "ERP", Some("ABC Company"), PlanAction::Start, true)]
#[case::another_tenant(matching(&[], &["abc*"], &[], &[]), "ERP", Some("Umbrella"), PlanAction::Start, false)]
#[case::tenant_without_a_name(matching(&[], &["abc*"], &[], &[]), "ERP", Some(""), PlanAction::Start, true)]
#[case::no_tenant(matching(&[], &["abc*"], &[], &[]), "ERP", None, PlanAction::Start, false)]
#[case::any_tenant_or_none(matching(&[], &["*"], &[], &[]), "ERP", None, PlanAction::Start, true)]
#[case::kind(matching(&[], &[], &[PlanKind::Cloud], &[]), "ERP", Some("ABC"), PlanAction::Start, true)]
#[case::another_kind(matching(&[], &[], &[PlanKind::Cloud], &[]), "ERP", None, PlanAction::Start, false)]
#[case::action(matching(&[], &[], &[], &[PlanAction::Start, PlanAction::Undo]), "ERP", None, PlanAction::Undo, true)]
#[case::another_action(matching(&[], &[], &[], &[PlanAction::Start]), "ERP", None, PlanAction::Update, false)]
#[case::all_of_it(matching(&["erp"], &["abc"], &[PlanKind::Cloud], &[PlanAction::Test]), "ERP", Some("ABC"), PlanAction::Test, true)]
#[case::all_but_one(matching(&["erp"], &["abc"], &[PlanKind::Cloud], &[PlanAction::Test]), "ERP", Some("ABC"), PlanAction::Start, false)]
fn a_policy_applies_when_all_of_its_match_fits(
    #[case] matching: Matching,
    #[case] name: &str,
    #[case] tenant: Option<&str>,
    #[case] action: PlanAction,
    #[case] applies: bool,
) {
    let policy = Policy {
        matching,
        approvals: 1,
        ..policy("production")
    };
    let verdict = ask(vec![policy], action, &plan(name, tenant), None);
    assert_eq!(verdict.policies == ["production"], applies);
    assert_eq!(verdict.approvals.is_some(), applies);
}

#[rstest]
#[case::all(&[], &[], true)]
#[case::the_subject(&["dr-lead"], &[], true)]
#[case::another_subject(&["other"], &[], false)]
#[case::letter_case_of_a_subject_counts(&["DR-Lead"], &[], false)]
#[case::the_scope(&[], &[Scope::PlansStart], true)]
#[case::one_of_two_scopes(&[], &[Scope::PlansWrite, Scope::PlansStart], true)]
#[case::another_scope(&[], &[Scope::PlansWrite], false)]
#[case::subject_and_scope(&["dr-lead"], &[Scope::PlansStart], true)]
#[case::subject_without_scope(&["dr-lead"], &[Scope::PlansWrite], false)]
fn a_caller_needs_each_of_the_keys(
    #[case] subjects: &[&str],
    #[case] scopes: &[Scope],
    #[case] admitted: bool,
) {
    let policy = Policy {
        callers: Admitted {
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
            scopes: scopes.to_vec(),
        },
        ..policy("production")
    };
    let verdict = ask(vec![policy], PlanAction::Start, &plan("ERP", Some("ABC")), None);
    let denial = Denial::Caller {
        policy: "production".to_owned(),
    };
    assert_eq!(verdict.denials, if admitted { vec![] } else { vec![denial] });
}

#[test]
fn a_closed_window_says_when_it_opens_next() {
    let open = Policy {
        windows: vec![monday(8, 12)],
        ..policy("open")
    };
    let later = Policy {
        windows: vec![monday(10, 11), monday(14, 15)],
        ..policy("later")
    };
    let plan = plan("ERP", None);
    let verdict = ask(vec![open.clone()], PlanAction::Start, &plan, None);
    assert_eq!(verdict.denials, []);
    let verdict = ask(
        vec![open, later, policy("always")],
        PlanAction::Start,
        &plan,
        None,
    );
    let denial = Denial::Window {
        policies: vec!["open".to_owned(), "later".to_owned()],
        next: Some(Opening {
            from: moment("2026-01-12T10:00:00Z"),
            to: moment("2026-01-12T11:00:00Z"),
        }),
    };
    assert_eq!(verdict.denials, [denial]);
    assert_eq!(verdict.policies, ["open", "later", "always"]);
}

#[test]
fn windows_that_never_meet_have_no_next_one() {
    let morning = Policy {
        windows: vec![monday(8, 12)],
        ..policy("morning")
    };
    let evening = Policy {
        windows: vec![monday(18, 20)],
        ..policy("evening")
    };
    let verdict = ask(
        vec![morning, evening],
        PlanAction::Start,
        &plan("ERP", None),
        None,
    );
    let Some(Denial::Window { next, .. }) = verdict.denials.first() else {
        panic!("{verdict:?}");
    };
    assert_eq!(*next, None);
}

#[rstest]
#[case(&[], None)]
#[case(&[(0, 4)], None)]
#[case(&[(1, 4)], Some((1, 4)))]
#[case(&[(1, 4), (3, 8)], Some((3, 4)))]
#[case(&[(2, 4), (0, 1)], Some((2, 4)))]
#[case(&[(5, 2), (1, 1), (0, 0)], Some((5, 1)))]
fn the_most_approvals_in_the_shortest_time_are_needed(
    #[case] rules: &[(usize, u32)],
    #[case] expected: Option<(usize, u32)>,
) {
    let policies = rules
        .iter()
        .enumerate()
        .map(|(number, (approvals, hours))| Policy {
            approvals: *approvals,
            approval_expires: *hours * HOUR,
            ..policy(&number.to_string())
        });
    let verdict = ask(policies.collect(), PlanAction::Start, &plan("ERP", None), None);
    let expected = expected.map(|(required, hours)| ApprovalRule {
        required,
        expires: hours * HOUR,
    });
    assert_eq!(verdict.approvals, expected);
}

#[rstest]
#[case(true, None, true)]
#[case(true, Some("drill"), false)]
#[case(false, None, false)]
fn a_reason_is_missing_only_where_a_policy_requires_one(
    #[case] required: bool,
    #[case] reason: Option<&str>,
    #[case] missing: bool,
) {
    let policy = Policy {
        reason_required: required,
        ..policy("production")
    };
    let verdict = ask(vec![policy], PlanAction::Start, &plan("ERP", None), reason);
    assert_eq!(verdict.reason_missing, missing);
}

#[rstest]
#[case::everything(matching(&[], &[], &[], &[]), false)]
#[case::no_test_on_premises(matching(&[], &[], &[PlanKind::OnPremises], &[PlanAction::Test, PlanAction::Delete]), true)]
#[case::one_of_two_actions(matching(&[], &[], &[PlanKind::OnPremises], &[PlanAction::Test, PlanAction::Undo]), false)]
#[case::no_tenant_on_premises(matching(&[], &["abc"], &[PlanKind::OnPremises], &[]), true)]
#[case::any_tenant(matching(&[], &["*"], &[PlanKind::OnPremises], &[]), false)]
#[case::a_tenant_in_the_cloud(matching(&[], &["abc"], &[], &[PlanAction::Delete]), false)]
fn a_policy_that_can_never_match_says_so(#[case] matching: Matching, #[case] never: bool) {
    assert_eq!(matching.never_fits().is_some(), never);
}
