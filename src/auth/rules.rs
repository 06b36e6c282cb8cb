//! From claims to rights: the token's own scopes and tenants, and the rules of its issuer. Pure.
//!
//! All rules that match add up. A confinement to tenants is never lifted, by no scope and no rule.

use std::collections::BTreeSet;

use super::claims::Claims;
use crate::domain::access::{Scope, Tenancy};
use crate::domain::glob::fits;

/// How the claims of an issuer become rights.
#[derive(Clone, Debug)]
pub struct Grants {
    /// Claims that hold scopes: texts separated by spaces, or arrays of them.
    pub scope_claims: Vec<String>,
    /// The claim that confines a caller to tenants.
    pub tenant_claim: String,
    /// The claim that names the caller.
    pub subject_claim: String,
    /// Whether the scopes in `scope_claims` count.
    pub trust_scopes: bool,
    /// In the order of the configuration.
    pub rules: Vec<Rule>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            scope_claims: vec!["scope".to_owned(), "scp".to_owned()],
            tenant_claim: "tenants".to_owned(),
            subject_claim: "sub".to_owned(),
            trust_scopes: true,
            rules: Vec::new(),
        }
    }
}

/// Rights for tokens whose claims match.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name or, without one, its number from 0.
    pub name: String,
    /// Claims and the patterns of which each must hold one; `*` matches any run of characters.
    pub when: Vec<(String, Vec<String>)>,
    /// The scopes it gives.
    pub scopes: BTreeSet<Scope>,
    /// The tenants it confines to.
    pub tenants: RuleTenants,
}

/// Which tenants a rule confines to.
#[derive(Clone, Debug)]
pub enum RuleTenants {
    /// Those of the token's tenant claim, if it has one.
    OfToken,
    /// These.
    These(BTreeSet<String>),
    /// Those in a claim; none when the token does not have it.
    Claim(String),
}

/// What a token's claims give.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub scopes: BTreeSet<Scope>,
    pub tenancy: Tenancy,
    /// The rules that matched.
    pub rules: Vec<String>,
}

impl Grants {
    /// The rights of a token with these claims.
    pub(super) fn of(&self, claims: &Claims) -> Granted {
        let matching: Vec<&Rule> = self.rules.iter().filter(|rule| rule.matches(claims)).collect();
        let mut scopes: BTreeSet<Scope> = matching.iter().flat_map(|rule| rule.scopes.clone()).collect();
        if self.trust_scopes {
            let own = self.scope_claims.iter().flat_map(|claim| claims.words(claim));
            scopes.extend(own.flat_map(|text| text.split(' ')).filter_map(Scope::parse));
        }
        let own = self.tenants_of(claims);
        let confined = if matching.is_empty() {
            own
        } else {
            let each = matching.iter().filter_map(|rule| match &rule.tenants {
                RuleTenants::OfToken => own.clone(),
                RuleTenants::These(tenants) => Some(tenants.clone()),
                RuleTenants::Claim(claim) => Some(claims.words(claim).map(ToOwned::to_owned).collect()),
            });
            each.reduce(|mut all, more| {
                all.extend(more);
                all
            })
        };
        let tenancy = match confined {
            Some(tenants) => Tenancy::Only(tenants),
            None if scopes.contains(&Scope::TenantsAll) => Tenancy::All,
            None => Tenancy::Only(BTreeSet::new()),
        };
        Granted {
            scopes,
            tenancy,
            rules: matching.iter().map(|rule| rule.name.clone()).collect(),
        }
    }

    /// The tenants of the token's own claim. A claim that is there confines, whatever it holds.
    fn tenants_of(&self, claims: &Claims) -> Option<BTreeSet<String>> {
        claims.value(&self.tenant_claim)?;
        Some(claims.words(&self.tenant_claim).map(ToOwned::to_owned).collect())
    }
}

impl Rule {
    fn matches(&self, claims: &Claims) -> bool {
        self.when.iter().all(|(claim, patterns)| {
            claims
                .words(claim)
                .any(|word| patterns.iter().any(|pattern| fits(pattern, word)))
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn claims(claims: Value) -> Claims {
        match claims {
            Value::Object(claims) => Claims(claims),
            other => panic!("{other} is no object"),
        }
    }

    /// A rule by claims and their values, which are separated by spaces.
    fn rule(name: &str, when: &[(&str, &str)], scopes: &[Scope], tenants: RuleTenants) -> Rule {
        let values = |text: &str| text.split(' ').map(ToOwned::to_owned).collect();
        Rule {
            name: name.to_owned(),
            when: when
                .iter()
                .map(|(claim, text)| ((*claim).to_owned(), values(text)))
                .collect(),
            scopes: scopes.iter().copied().collect(),
            tenants,
        }
    }

    fn only(tenants: &[&str]) -> Tenancy {
        Tenancy::Only(tenants.iter().map(ToString::to_string).collect())
    }

    #[rstest]
    #[case("dr", "dr", true)]
    #[case("dr", "dr-operators", false)]
    #[case("dr", "DR", false)]
    #[case("*", "", true)]
    #[case("*", "anything", true)]
    #[case("dr-*", "dr-", true)]
    #[case("dr-*", "dr", false)]
    #[case("*-lead", "dr-lead", true)]
    #[case("*-lead", "dr-leader", false)]
    #[case("repo:acme/*:ref:refs/heads/*", "repo:acme/dr:ref:refs/heads/main", true)]
    #[case("repo:acme/*:ref:refs/heads/*", "repo:other/dr:ref:refs/heads/main", false)]
    #[case("repo:acme/*:ref:refs/heads/*", "repo:acme/dr:pull_request", false)]
    #[case("a*b*c", "abc", true)]
    #[case("a*b*c", "axxbyybc", true)]
    #[case("a*b*c", "acb", false)]
    #[case("ab*ba", "aba", false)]
    #[case("a**c", "abc", true)]
    #[case("*é*", "café!", true)]
    #[case("", "", true)]
    #[case("", "a", false)]
    fn a_star_matches_any_run_of_characters(#[case] pattern: &str, #[case] text: &str, #[case] yes: bool) {
        assert_eq!(fits(pattern, text), yes);
    }

    #[rstest]
    #[case::one_of_the_values(&[("groups", "a b")], true)]
    #[case::another_value(&[("groups", "c")], false)]
    #[case::every_claim(&[("groups", "b"), ("realm_access.roles", "dr*")], true)]
    #[case::one_claim_of_two(&[("groups", "b"), ("realm_access.roles", "admin")], false)]
    #[case::an_absent_claim(&[("absent", "*")], false)]
    #[case::a_number(&[("level", "3 *")], false)]
    fn a_rule_matches_when_every_claim_holds_one_of_its_values(
        #[case] when: &[(&str, &str)],
        #[case] yes: bool,
    ) {
        let claims = claims(json!({
            "groups": ["b", "x"], "realm_access": {"roles": "dr-operators"}, "level": 3
        }));
        assert_eq!(rule("r", when, &[], RuleTenants::OfToken).matches(&claims), yes);
    }

    const G: &[(&str, &str)] = &[("g", "x")];
    const OTHER: &[(&str, &str)] = &[("g", "y")];

    fn these(tenants: &[&str]) -> RuleTenants {
        RuleTenants::These(tenants.iter().map(ToString::to_string).collect())
    }

    #[rstest]
    #[case::no_rules(vec![], json!({"scope": "plans:read tenants:all"}),
        &[Scope::PlansRead, Scope::TenantsAll], Tenancy::All, &[])]
    #[case::no_tenant_and_not_all(vec![], json!({"scope": "plans:read"}), &[Scope::PlansRead], only(&[]), &[])]
    #[case::a_tenant_claim_wins_over_all(vec![], json!({"scope": "tenants:all", "tenants": "A"}),
        &[Scope::TenantsAll], only(&["A"]), &[])]
    #[case::an_empty_tenant_claim_confines(vec![], json!({"scope": "tenants:all", "tenants": null}),
        &[Scope::TenantsAll], only(&[]), &[])]
    #[case::a_rule_that_does_not_match(vec![rule("r", OTHER, &[Scope::PlansTest], these(&["B"]))], json!({"tenants": ["A"]}),
        &[], only(&["A"]), &[])]
    #[case::a_rule_and_the_tokens_own(vec![rule("r", G, &[Scope::PlansTest], RuleTenants::OfToken)],
        json!({"scp": ["plans:read"], "tenants": ["A"]}), &[Scope::PlansRead, Scope::PlansTest], only(&["A"]), &["r"])]
    #[case::a_rule_names_tenants(vec![rule("r", G, &[Scope::TenantsAll], these(&["B"]))],
        json!({"tenants": "A"}), &[Scope::TenantsAll], only(&["B"]), &["r"])]
    #[case::rules_add_up(vec![rule("0", G, &[Scope::PlansRead], these(&["B"])), rule("1", OTHER, &[Scope::PlansUndo], these(&["C"])),
        rule("2", G, &[Scope::PlansTest], RuleTenants::OfToken)],
        json!({"tenants": "A"}), &[Scope::PlansRead, Scope::PlansTest], only(&["A", "B"]), &["0", "2"])]
    #[case::a_rule_without_tenants_lifts_nothing(vec![rule("0", G, &[], these(&["B"])), rule("1", G, &[Scope::TenantsAll], RuleTenants::OfToken)],
        json!({}), &[Scope::TenantsAll], only(&["B"]), &["0", "1"])]
    #[case::tenants_from_a_claim(vec![rule("r", G, &[], RuleTenants::Claim("org.name".to_owned()))],
        json!({"org": {"name": ["A", "B"]}}), &[], only(&["A", "B"]), &["r"])]
    #[case::tenants_from_an_absent_claim(vec![rule("r", G, &[Scope::TenantsAll], RuleTenants::Claim("org".to_owned()))],
        json!({}), &[Scope::TenantsAll], only(&[]), &["r"])]
    #[case::all_by_rule(vec![rule("r", G, &[Scope::TenantsAll], RuleTenants::OfToken)],
        json!({}), &[Scope::TenantsAll], Tenancy::All, &["r"])]
    fn claims_and_rules_become_rights(
        #[case] rules: Vec<Rule>,
        #[case] token: Value,
        #[case] scopes: &[Scope],
        #[case] tenancy: Tenancy,
        #[case] matched: &[&str],
    ) {
        let grants = Grants {
            rules,
            ..Grants::default()
        };
        let mut token = claims(token);
        token.0.insert("g".to_owned(), json!(["x"]));
        let granted = grants.of(&token);
        assert_eq!(granted.scopes, scopes.iter().copied().collect());
        assert_eq!(granted.tenancy, tenancy);
        assert_eq!(granted.rules, matched);
    }

    #[test]
    fn scopes_of_a_token_that_are_not_trusted_do_not_count() {
        let grants = Grants {
            trust_scopes: false,
            rules: vec![rule("r", G, &[Scope::PlansRead], RuleTenants::OfToken)],
            ..Grants::default()
        };
        let granted = grants.of(&claims(json!({"g": "x", "scope": "plans:start tenants:all"})));
        assert_eq!(granted.scopes, [Scope::PlansRead].into());
    }

    #[test]
    fn scopes_are_read_from_the_claims_that_hold_them() {
        let grants = Grants {
            scope_claims: vec!["roles".to_owned(), "x.scp".to_owned()],
            ..Grants::default()
        };
        let token = json!({"scope": "plans:start", "roles": ["plans:read"], "x": {"scp": "plans:test"}});
        assert_eq!(
            grants.of(&claims(token)).scopes,
            [Scope::PlansRead, Scope::PlansTest].into()
        );
    }
}
