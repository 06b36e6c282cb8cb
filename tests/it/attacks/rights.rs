//! Claims of odd types in good tokens: they give no right, and a tenant claim that cannot be read confines to nothing.

use std::collections::BTreeSet;

use emgate::domain::access::{Scope, Tenancy};
use rstest::rstest;
use serde_json::{Value, json};

use super::ask;
use super::forge::{EC, claims, good, header_with, of_a};

#[rstest]
#[case::number(json!(1))]
#[case::truth(json!(true))]
#[case::object(json!({"plans:start": true}))]
#[case::list_of_lists(json!([["plans:start"]]))]
#[case::list_of_numbers(json!([1, null, {}]))]
#[case::other_case(json!("Plans:Start PLANS:START"))]
#[case::other_separators(json!("plans:start,plans:undo\tplans:test"))]
#[case::a_star(json!("* plans:*"))]
#[case::empty(json!(""))]
#[tokio::test]
async fn a_scope_claim_of_another_kind_gives_no_scope(
    #[case] value: Value,
    #[values("scope", "scp")] claim: &str,
) {
    let mut edits = json!({"scope": null});
    edits[claim] = value;
    let caller = ask(&of_a(claims(edits))).await.expect("a good token");
    assert_eq!(caller.scopes, BTreeSet::new());
    assert_eq!(caller.tenancy, Tenancy::Only(BTreeSet::new()));
}

#[rstest]
#[case::number(json!(1), &[])]
#[case::truth(json!(false), &[])]
#[case::object(json!({"ABC Company": true}), &[])]
#[case::empty_text(json!(""), &[""])]
#[case::empty_list(json!([]), &[])]
#[case::list_of_lists(json!([["ABC Company"]]), &[])]
#[case::mixed(json!([1, "ABC Company", null]), &["ABC Company"])]
#[case::a_star(json!("*"), &["*"])]
#[tokio::test]
async fn a_tenant_claim_of_another_kind_confines(#[case] value: Value, #[case] tenants: &[&str]) {
    let caller = ask(&of_a(claims(json!({"tenants": value}))))
        .await
        .expect("a good token");
    let tenants = tenants.iter().map(ToString::to_string).collect();
    assert_eq!(caller.tenancy, Tenancy::Only(tenants));
    assert!(
        caller.may(Scope::TenantsAll),
        "and the scope beside it does not lift that"
    );
}

#[rstest]
#[case::audience_in_a_list(json!({"aud": ["canary", "emgate"]}))]
#[case::fraction_of_a_second(json!({"exp": 4e9 + 0.5}))]
#[case::expiry_beyond_moments(json!({"exp": 1e300}))]
#[case::start_long_ago(json!({"nbf": -1e300}))]
#[case::no_issue_time(json!({"iat": null}))]
#[case::no_subject(json!({"sub": null}))]
#[tokio::test]
async fn claims_that_are_unusual_and_right_are_accepted(#[case] edits: Value) {
    assert!(ask(&of_a(claims(edits))).await.is_ok());
}

#[rstest]
#[case::no_kind(json!({"kid": "e1"}))]
#[case::no_key(json!({}))]
#[case::access_token(json!({"kid": "e1", "typ": "at+jwt"}))]
#[case::long_name(json!({"kid": "e1", "typ": "application/AT+JWT"}))]
#[case::small_letters(json!({"typ": "jwt"}))]
#[case::joined(json!({"typ": "JOSE"}))]
#[case::thumbprint(json!({"kid": "e1", "x5t": "canary"}))]
#[case::places_of_keys_that_nobody_asks(json!({"kid": "e1", "jku": "http://127.0.0.1:9", "x5u": "http://127.0.0.1:9"}))]
#[tokio::test]
async fn headers_that_are_unusual_and_right_are_accepted(#[case] more: Value) {
    assert!(ask(&EC.sign(header_with("ES256", &more), good())).await.is_ok());
}
