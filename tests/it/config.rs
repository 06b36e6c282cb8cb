//! The configuration as an operator meets it: file, environment, defaults, and all faults at once.

use std::collections::BTreeSet;

use emgate::auth::Key;
use emgate::config::{self, Config};
use rstest::rstest;
use secrecy::ExposeSecret as _;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What must be set, as environment variables.
const REQUIRED: [(&str, &str); 6] = [
    ("EMGATE_UPSTREAM__URL", "https://em.example:9398/api"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", r"LAB\svc-emgate"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "0123456"),
    ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
    ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
];

const MINIMAL: &str = r#"
[upstream]
url = "https://em.example:9398"
[[upstream.accounts]]
name = "operators"
username = 'LAB\svc-emgate'
password = "from the file"
[[auth.keys]]
kind = "hs256"
secret = "0123456789abcdef0123456789abcdef"
"#;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, config::Error> {
    config::parse(text, environment.iter().copied())
}

/// The faults' texts; fails when there are none.
fn faults(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let error = parse(text, environment).expect_err("should have been refused");
    error.faults.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_refused(text: &str, environment: &[(&str, &str)], key: &str, words: &str) {
    let found = faults(text, environment);
    let named = found
        .iter()
        .any(|fault| fault.starts_with(key) && fault.contains(words));
    assert!(named, "no fault on `{key}` with `{words}` in {found:#?}");
}

#[test]
fn the_environment_alone_configures_everything_required() {
    let config = parse("", &REQUIRED).unwrap();
    assert_eq!(config.upstream.url.as_str(), "https://em.example:9398/");
    let account = &config.upstream.accounts[0];
    assert_eq!(
        (account.name.as_str(), account.username.as_str()),
        ("operators", r"LAB\svc-emgate")
    );
    assert_eq!(
        account.password.expose_secret(),
        "0123456",
        "a password of digits stays the text it is"
    );
    let tokens = |keys: &[Key]| -> Vec<String> {
        let signed = keys.iter().map(|key| key.sign(&["claims"]).unwrap().unwrap());
        signed.collect()
    };
    assert_eq!(
        tokens(&config.auth.keys),
        tokens(&[Key::hs256(&SECRET.into()).unwrap()])
    );
}

#[test]
fn limits_are_read_with_their_bounds() {
    let limits = parse("", &REQUIRED).unwrap().server.limits;
    let numbers = [
        limits.requests_per_minute,
        limits.burst,
        limits.anonymous_per_minute,
        limits.actions_per_minute,
    ];
    assert_eq!(numbers.map(std::num::NonZeroU32::get), [600, 60, 120, 30]);
    assert_eq!((limits.streams, limits.endpoints), (20, 50));
    let given = format!("{MINIMAL}\n[limits]\nburst = 7\n");
    let limits = parse(&given, &[("EMGATE_LIMITS__ENDPOINTS", "9")])
        .unwrap()
        .server
        .limits;
    assert_eq!((limits.burst.get(), limits.endpoints), (7, 9));
    let none = format!("{MINIMAL}\n[limits]\nburst = 0\nrequests_per_hour = 1\n");
    assert_refused(&none, &[], "limits.burst", "from 1 to 1000000");
    assert_refused(&none, &[], "limits.requests_per_hour", "unknown");
}

#[test]
fn an_authority_of_clients_must_be_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, "nothing").unwrap();
    let given = format!(
        "{MINIMAL}\n[server.tls]\nclient_ca_file = {:?}\n",
        file.display().to_string()
    );
    assert_refused(&given, &[], "server.tls.client_ca_file", "certificate");
}

#[test]
fn the_documented_defaults_are_the_built_in_ones() {
    let built_in = format!("{:?}", parse("", &REQUIRED).unwrap());
    let documented = format!("{:?}", parse(config::DEFAULTS, &REQUIRED).unwrap());
    assert_eq!(documented, built_in);
}

/// Every key that the file mentions, commented ones included, list items as `[]`; and the file with all of them active.
fn documented() -> (BTreeSet<String>, String) {
    let (mut keys, mut table, mut active) = (BTreeSet::new(), String::new(), String::new());
    let mut list = String::new();
    for line in config::DEFAULTS.lines() {
        let line = line.trim_start_matches("# ");
        if let Some(name) = line.strip_prefix("[[").and_then(|l| l.strip_suffix("]]")) {
            // A list within the items of the list before it.
            let name = match name.strip_prefix(&format!("{list}.")) {
                Some(inner) => format!("{list}[].{inner}"),
                None => name.to_owned(),
            };
            table = format!("{name}[].");
            list.clone_from(&name);
            keys.insert(name);
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            // A table within the items of the list before it.
            let name = match name.strip_prefix(&format!("{list}.")) {
                Some(inner) if !list.is_empty() => format!("{list}[].{inner}"),
                _ => name.to_owned(),
            };
            table = format!("{name}.");
            keys.insert(name);
        } else if let Some((key, _)) = line.split_once(" = ")
            && key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            keys.insert(format!("{table}{key}"));
        } else {
            continue;
        }
        active.push_str(line);
        active.push('\n');
    }
    (keys, active)
}

#[test]
fn the_documented_keys_are_exactly_the_existing_ones() {
    let (documented, active) = documented();
    // A key of the other kind, so that the keys of both kinds are asked for.
    let pem = "[[auth.keys]]\nkind = \"pem\"\n";
    let known = config::known_keys(&format!("{active}\n{pem}"));
    assert_eq!(documented, known);
}

#[test]
fn the_environment_overrides_the_file() {
    let text = format!("{MINIMAL}\n[webhooks]\nallow_networks = [\"10.1.0.0/16\", \"10.2.0.0/16\"]\n");
    let config = parse(
        &text,
        &[
            ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "from the environment"),
            ("EMGATE_UPSTREAM__ACCOUNTS__1__NAME", "tenant"),
            ("EMGATE_UPSTREAM__ACCOUNTS__1__USERNAME", "abc"),
            ("EMGATE_UPSTREAM__ACCOUNTS__1__PASSWORD", "p"),
            ("EMGATE_UPSTREAM__ACCOUNTS__1__TENANT", "ABC Company"),
            ("EMGATE_UPSTREAM__ACCOUNTS__1__MAX_SESSIONS", "3"),
            ("EMGATE_UPSTREAM__COALESCE", "false"),
            ("EMGATE_WEBHOOKS__ALLOW_NETWORKS__1", "10.3.0.0/16"),
            ("EMGATE_WEBHOOKS__RETRY_SCHEDULE", r#"["1s", "2s"]"#),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 0);
    assert_eq!(
        config.upstream.accounts[0].password.expose_secret(),
        "from the environment"
    );
    assert_eq!(
        config.upstream.accounts[0].name, "operators",
        "what the environment leaves out stays"
    );
    assert_eq!(
        (
            config.upstream.accounts[1].name.as_str(),
            config.upstream.accounts[1].max_sessions
        ),
        ("tenant", 3)
    );
    assert_eq!(config.upstream.accounts[1].tenant.as_deref(), Some("ABC Company"));
    assert!(!config.upstream.coalesce);
    let networks: Vec<String> = config
        .webhooks
        .allow_networks
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(networks, ["10.1.0.0/16", "10.3.0.0/16"]);
    assert_eq!(config.webhooks.retry_schedule.len(), 2);
}

#[test]
fn eleven_items_from_the_environment_keep_their_order() {
    let names: Vec<String> = (0..11)
        .map(|n| format!("EMGATE_SERVER__CORS_ORIGINS__{n}"))
        .collect();
    let hosts: Vec<String> = (0..11).map(|n| format!("https://h{n}.example")).collect();
    let environment: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(hosts.iter().map(String::as_str))
        .collect();
    assert_eq!(parse(MINIMAL, &environment).unwrap().server.cors_origins, hosts);
}

#[test]
fn variables_that_others_inject_are_no_configuration() {
    let config = parse(
        MINIMAL,
        &[
            ("EMGATE_PORT", "tcp://10.0.0.1:80"),
            ("EMGATE_SERVICE_HOST", "10.0.0.1"),
            ("EMGATE_LOG", "debug"),
            ("EMGATE_CONFIG", "elsewhere.toml"),
            ("OTHER__SERVER__LISTEN", "nonsense"),
        ],
    );
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn all_faults_of_a_configuration_come_together() {
    let found = faults(
        r#"
        [server]
        listen = "everywhere"
        max_bdy = "1MiB"
        [upstream]
        url = "em.example"
        ca_file = "/nowhere/ca.pem"
        request_timeout = 30
        [[upstream.accounts]]
        name = "a"
        username = "u"
        password_file = "/nowhere/password"
        [webhooks]
        allow_networks = ["0.0.0.0/0"]
        "#,
        &[
            ("EMGATE_WATCH__INTERVALL", "2s"),
            ("EMGATE_WATCH__INTERVAL", "soon"),
        ],
    );
    let keys: Vec<&str> = found.iter().filter_map(|fault| fault.split(' ').next()).collect();
    let expected = [
        "auth.keys",
        "server.listen",
        "server.max_bdy",
        "upstream.accounts[0].password_file",
        "upstream.ca_file",
        "upstream.request_timeout",
        "upstream.url",
        "watch.interval",
        "watch.intervall",
        "webhooks.allow_networks[0]",
    ];
    assert_eq!(keys, expected, "{found:#?}");
    assert!(
        found
            .iter()
            .any(|fault| fault.contains("EMGATE_WATCH__INTERVALL")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|fault| fault.contains("/nowhere/password")),
        "{found:#?}"
    );
}

#[test]
fn a_missing_key_says_how_to_set_it() {
    assert_refused("", &[], "upstream.url", "EMGATE_UPSTREAM__URL");
    assert_refused(
        "[[upstream.accounts]]\nname = \"a\"\nusername = \"u\"",
        &[],
        "upstream.accounts[0].password",
        "EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD",
    );
}

#[test]
fn no_secret_shows_in_a_fault_or_in_debug() {
    let marker = "hunter2-hunter2";
    let broken = [
        format!("[[upstream.accounts]]\npassword = \"{marker}"),
        format!("[upstream]\nurl = \"https://u:{marker}@em.example\""),
        format!("[store]\nurl = \"postgres://u:{marker}@db.example/x\""),
        format!("[store]\nurl = \"mysql://u:{marker}@db.example/x\""),
        format!("[[auth.keys]]\nkind = \"hs256\"\nsecret = \"{marker}\""),
        format!("[[upstream.accounts]]\npasswort = \"{marker}\""),
        format!("[[upstream.accounts]]\npassword = [\"{marker}\"]"),
        format!("[upstream]\naccounts = \"{marker}\""),
    ];
    for text in broken {
        let error = parse(&text, &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(marker), "{error:?}");
    }
    let shown = format!("{:?}", parse("", &REQUIRED).unwrap());
    assert!(!shown.contains("0123456"), "{shown}");
}

#[test]
fn a_secret_may_lie_in_a_file_whose_last_line_break_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "pass word\r\n").unwrap();
    let path = file.to_str().unwrap();
    let config = parse(MINIMAL, &[("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD_FILE", path)])
        .expect("the environment's wins");
    assert_eq!(config.upstream.accounts[0].password.expose_secret(), "pass word");

    let both = MINIMAL.replace(
        "[[auth.keys]]",
        &format!("password_file = '{path}'\n[[auth.keys]]"),
    );
    assert_refused(&both, &[], "upstream.accounts[0].password", "given twice");
    std::fs::write(&file, "\n").unwrap();
    let variables = [("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD_FILE", path)];
    assert_refused(MINIMAL, &variables, "upstream.accounts[0].password_file", "empty");
}

/// The texts of a secret as editors on Windows save them.
fn marked(text: &str) -> [(&'static str, Vec<u8>); 3] {
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    [
        ("UTF-8", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("UTF-16 LE", [&b"\xff\xfe"[..], &utf16(u16::to_le_bytes)].concat()),
        ("UTF-16 BE", [&b"\xfe\xff"[..], &utf16(u16::to_be_bytes)].concat()),
    ]
}

#[rstest::rstest]
#[case::password(
    "EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD_FILE",
    "upstream.accounts[0].password_file",
    SECRET
)]
#[case::token_key("EMGATE_AUTH__KEYS__0__SECRET_FILE", "auth.keys[0].secret_file", SECRET)]
#[case::encryption_key(
    "EMGATE_STORE__ENCRYPTION_KEY_FILE",
    "store.encryption_key_file",
    "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
)]
#[case::authority("EMGATE_UPSTREAM__CA_FILE", "upstream.ca_file", "-----BEGIN CERTIFICATE-----")]
#[case::certificate(
    "EMGATE_SERVER__TLS__CERT_FILE",
    "server.tls.cert_file",
    "-----BEGIN CERTIFICATE-----"
)]
#[case::key(
    "EMGATE_SERVER__TLS__KEY_FILE",
    "server.tls.key_file",
    "-----BEGIN PRIVATE KEY-----"
)]
fn a_file_with_a_byte_order_mark_is_refused_by_name(
    #[case] variable: &str,
    #[case] key: &str,
    #[case] text: &str,
) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let path = file.to_str().unwrap();
    for (form, content) in marked(text) {
        std::fs::write(&file, content).unwrap();
        let found = faults(MINIMAL, &[(variable, path)]);
        let of_key: Vec<&String> = found.iter().filter(|fault| fault.starts_with(key)).collect();
        assert_eq!(of_key.len(), 1, "{form}: {found:?}");
        assert!(
            of_key[0].contains(path) && of_key[0].contains("byte order mark"),
            "{form}: {found:?}"
        );
        assert!(!of_key[0].contains("0123456789"), "{form}: a secret in {found:?}");
    }
}

#[test]
fn a_public_key_file_with_a_byte_order_mark_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    let path = file.to_str().unwrap();
    for (form, content) in marked("-----BEGIN PUBLIC KEY-----") {
        std::fs::write(&file, content).unwrap();
        let text =
            format!("{MINIMAL}\n[[auth.keys]]\nkind = \"pem\"\nalgorithm = \"RS256\"\nfile = '{path}'");
        let found = faults(&text, &[]);
        assert!(
            found.len() == 1
                && found[0].starts_with("auth.keys[1].file")
                && found[0].contains("byte order mark"),
            "{form}: {found:?}"
        );
    }
}

#[rstest::rstest]
#[case("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "upstream.accounts[0].password")]
#[case("EMGATE_AUTH__KEYS__0__SECRET", "auth.keys[0].secret")]
fn a_secret_with_a_byte_order_mark_is_refused_by_name(#[case] variable: &str, #[case] key: &str) {
    let secret = format!("\u{feff}{SECRET}");
    assert_refused(MINIMAL, &[(variable, &secret)], key, "byte order mark");
}

#[test]
fn a_configuration_file_may_begin_with_a_byte_order_mark() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("emgate.toml");
    std::fs::write(&file, format!("\u{feff}{MINIMAL}")).unwrap();
    let none: [(&str, &str); 0] = [];
    config::load(Some(&file), none).expect("the mark is skipped");
}

#[test]
fn kinds_of_keys_that_are_fetched_lead_to_the_issuers() {
    let with =
        |kind: &str| format!("{MINIMAL}\n[[auth.keys]]\nkind = \"{kind}\"\nurl = \"https://idp.example/\"");
    for kind in ["jwks", "oidc"] {
        assert_refused(&with(kind), &[], "auth.keys[1].kind", "[[auth.issuers]]");
    }
}

/// A configuration that has an issuer and no keys, with more keys of the issuer.
fn with_issuer(more: &str) -> String {
    let without_keys = MINIMAL.split("[[auth.keys]]").next().unwrap();
    format!(
        "{without_keys}\n[[auth.issuers]]\nissuer = \"https://idp.example/dr\"\naudience = [\"emgate\"]\n{more}"
    )
}

#[test]
fn an_issuer_stands_alone_and_is_discovered_below_its_name() {
    let config = parse(&with_issuer(""), &[]).unwrap();
    let issuer = &config.auth.issuers[0];
    assert!(config.auth.keys.is_empty());
    assert_eq!(issuer.audience, ["emgate"]);
    let keys = format!("{:?}", issuer.keys);
    assert!(keys.starts_with("Discovery") && keys.contains("/dr/.well-known/openid-configuration"));
    assert!(issuer.grants.trust_scopes && issuer.grants.scope_claims == ["scope", "scp"]);
}

#[test]
fn rules_are_read_with_their_claims_scopes_and_tenants() {
    let rules = r#"
[[auth.issuers.rules]]
name = "operators"
when = { groups = ["a", "b"], "realm_access.roles" = "dr-*" }
scopes = "plans:read plans:test"
tenants = ["ABC Company"]
[[auth.issuers.rules]]
when.realm_access.roles = "dr"
tenants_from = "org"
"#;
    let config = parse(&with_issuer(rules), &[]).unwrap();
    let rules = &config.auth.issuers[0].grants.rules;
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["operators", "1"]);
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        rules[0].when,
        [
            ("groups".to_owned(), texts(&["a", "b"])),
            ("realm_access.roles".to_owned(), texts(&["dr-*"]))
        ]
    );
    assert_eq!(rules[0].scopes.len(), 2);
    assert_eq!(rules[1].when, [("realm_access.roles".to_owned(), texts(&["dr"]))]);
    assert!(format!("{:?}", rules[1].tenants).contains("org"));
}

#[test]
fn an_issuer_can_come_from_the_environment() {
    let variables = [
        ("EMGATE_AUTH__ISSUERS__0__ISSUER", "https://idp.example"),
        ("EMGATE_AUTH__ISSUERS__0__AUDIENCE", "[\"emgate\"]"),
        ("EMGATE_AUTH__ISSUERS__0__RULES__0__WHEN__GROUPS", "dr"),
        ("EMGATE_AUTH__ISSUERS__0__RULES__0__SCOPES", "plans:read"),
    ];
    let config = parse(MINIMAL, &variables).unwrap();
    assert_eq!(config.auth.issuers[0].grants.rules[0].when[0].0, "groups");
}

#[rstest::rstest]
#[case(
    "jwks_url = \"https://idp.example/k\"\ndiscovery_url = \"https://idp.example/d\"",
    "jwks_url",
    "discovery_url"
)]
#[case("jwks_url = \"http://idp.example/k\"", "jwks_url", "must begin with https://")]
#[case("jwks_url = \"https://u:p@idp.example/k\"", "jwks_url", "credentials")]
#[case(
    "discovery_url = \"ftp://idp.example/k\"",
    "discovery_url",
    "must begin with https://"
)]
#[case("algorithms = [\"HS256\"]", "algorithms[0]", "is not one of RS256")]
#[case("algorithms = [\"none\"]", "algorithms[0]", "is not one of RS256")]
#[case("algorithms = []", "algorithms", "is empty")]
#[case("scope_claims = \"scope\"", "scope_claims", "must be a list")]
#[case("ca_file = \"/nowhere/ca.pem\"", "ca_file", "cannot read")]
#[case(
    "accept_issuers = [\"https://idp.example/dr\"]",
    "accept_issuers[0]",
    "is taken"
)]
#[case("trust_scopes = \"no\"", "trust_scopes", "must be true or false")]
#[case("unknown = 1", "unknown", "is unknown")]
#[case(
    "[[auth.issuers.rules]]\nscopes = \"plans:read\"",
    "rules[0].when",
    "is missing"
)]
#[case(
    "[[auth.issuers.rules]]\nwhen = {}\nscopes = \"plans:read\"",
    "rules[0].when",
    "names no claim"
)]
#[case(
    "[[auth.issuers.rules]]\nwhen = { g = [] }\nscopes = \"plans:read\"",
    "rules[0].when.g",
    "is empty"
)]
#[case(
    "[[auth.issuers.rules]]\nwhen = { g = 1 }\nscopes = \"plans:read\"",
    "rules[0].when.g",
    "must be text"
)]
#[case(
    "[[auth.issuers.rules]]\nwhen = { g = \"x\" }\nscopes = \"plans:fly\"",
    "rules[0].scopes",
    "`plans:fly` is no scope"
)]
#[case("[[auth.issuers.rules]]\nwhen = { g = \"x\" }", "rules[0]", "gives nothing")]
#[case(
    "[[auth.issuers.rules]]\nwhen = { g = \"x\" }\ntenants = [\"A\"]\ntenants_from = \"org\"",
    "rules[0].tenants",
    "tenants_from"
)]
#[case(
    "[[auth.issuers]]\nissuer = \"https://idp.example/dr\"\naudience = [\"x\"]",
    "",
    "is taken"
)]
#[case(
    "[[auth.issuers]]\nissuer = \"idp\"\naudience = [\"x\"]",
    "",
    "discovery_url or jwks_url"
)]
#[case("[[auth.issuers]]\nissuer = \"https://other.example\"", "", "is missing")]
#[case(
    "[[auth.issuers]]\nissuer = \"https://other.example\"\naudience = []",
    "",
    "is empty"
)]
fn a_fault_of_an_issuer_is_refused_by_name(#[case] more: &str, #[case] key: &str, #[case] words: &str) {
    let place = if key.is_empty() {
        "auth.issuers[1]".to_owned()
    } else {
        format!("auth.issuers[0].{key}")
    };
    assert_refused(&with_issuer(more), &[], &place, words);
}

#[test]
fn the_issuer_of_configured_keys_is_no_identity_provider_as_well() {
    let own = [("EMGATE_AUTH__ISSUER", "https://idp.example/dr")];
    assert_refused(&with_issuer(""), &own, "auth.issuers[0].issuer", "auth.issuer");
}

#[test]
fn faults_of_issuers_are_reported_together() {
    let text = with_issuer(
        "jwks_url = \"http://idp.example\"\n[[auth.issuers.rules]]\nscopes = \"fly\"\n[[auth.issuers]]\n",
    );
    let found = faults(&text, &[]);
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[rstest]
#[case::the_first_has_one(&["0"], "upstream.accounts[0].tenant", "observes the failovers of all tenants")]
#[case::another_has_none(&[], "upstream.accounts[1].tenant", "is needed for every account but the first")]
#[case::an_empty_one(&["1="], "upstream.accounts[1].tenant", "is empty")]
#[case::one_has_two(&["1", "2"], "upstream.accounts[2].tenant", "has another account already")]
fn accounts_beside_the_first_are_those_of_tenants(
    #[case] tenants: &[&str],
    #[case] key: &str,
    #[case] words: &str,
) {
    let mut text = MINIMAL.to_owned();
    for number in 1..=2.min(tenants.len().max(1)) {
        text +=
            &format!("\n[[upstream.accounts]]\nname = \"t{number}\"\nusername = \"u\"\npassword = \"p\"\n");
    }
    let variables: Vec<(String, &str)> = tenants
        .iter()
        .map(|number| match number.strip_suffix('=') {
            Some(number) => (number, " "),
            None => (*number, "ABC Company"),
        })
        .map(|(number, tenant)| (format!("EMGATE_UPSTREAM__ACCOUNTS__{number}__TENANT"), tenant))
        .collect();
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, tenant)| (name.as_str(), *tenant))
        .collect();
    assert_refused(&text, &variables, key, words);
}

#[test]
fn an_address_without_its_scheme_is_told_what_to_begin_with() {
    let text = MINIMAL.replace("https://em.example:9398", "em.example");
    assert_refused(&text, &[], "upstream.url", "must begin with http:// or https://");
    let issuer = "[[auth.issuers]]\nissuer = \"https://idp.example\"\naudience = [\"emgate\"]\njwks_url = \"idp.example/keys\"";
    let text = format!("{MINIMAL}\n{issuer}");
    assert_refused(&text, &[], "auth.issuers[0].jwks_url", "must begin with https://");
}

#[test]
fn a_time_without_its_unit_is_told_what_is_missing() {
    let text = format!("{MINIMAL}\n[server]\nrequest_timeout = 60");
    let words = "must be text in quotes, with a unit where it is a time or a size, not 60";
    assert_refused(&text, &[], "server.request_timeout", words);
}

#[rstest::rstest]
#[case::given_twice(
    "[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"",
    "line 3, column 1: duplicate key"
)]
#[case::open_table("[server\nlisten = \"127.0.0.1:1\"", "line 1, column 8: unclosed table")]
#[case::bare_secret(
    "[[auth.keys]]\nsecret = hunter2",
    "line 2, column 10: string values must be quoted"
)]
#[case::open_secret(
    "[[auth.keys]]\nsecret = \"hunter2",
    "line 2, column 18: invalid basic string"
)]
#[case::two_secrets("[[auth.keys]]\nsecret = \"hunter2\" hunter2", "line 2, column")]
#[case::number_of_a_secret("[[auth.keys]]\nsecret = 2hunter2", "line 2, column")]
#[case::escape_in_a_secret("[[auth.keys]]\nsecret = \"hunter2\\q\"", "line 2, column")]
fn what_is_not_toml_is_told_by_place_and_reason_without_the_line(#[case] text: &str, #[case] words: &str) {
    let found = faults(text, &[]);
    assert!(found.iter().any(|fault| fault.contains(words)), "{found:#?}");
    assert!(!found.iter().any(|fault| fault.contains("hunter")), "{found:#?}");
}

#[test]
fn the_public_url_is_scheme_host_and_path_only() {
    let with = |url: &str| format!("{MINIMAL}\n[server]\npublic_url = \"{url}\"");
    for (url, words) in [
        ("ftp://dr.example", "http:// or https://"),
        ("dr.example/emgate", "http:// or https://"),
        ("/emgate", "http:// or https://"),
        ("", "http:// or https://"),
        ("https://dr.example:port", "is not a URL: invalid port number"),
        ("https://dr.example/emgate?x=1", "no ? and no #"),
        ("https://dr.example/emgate?", "no ? and no #"),
        ("https://dr.example/#emgate", "no ? and no #"),
        ("https://user:word@dr.example/", "credentials"),
        ("https://user@dr.example/", "credentials"),
    ] {
        assert_refused(&with(url), &[], "server.public_url", words);
    }
    for url in [
        "https://dr.example",
        "https://dr.example/",
        "http://dr.example:8080/emgate/",
    ] {
        parse(&with(url), &[]).unwrap();
    }
}

#[test]
fn a_shared_database_needs_a_key_that_all_replicas_have() {
    let store = format!("{MINIMAL}\n[store]\nurl = \"postgres://emgate@db.example/emgate\"");
    assert_refused(
        &store,
        &[],
        "store.encryption_key_file",
        "the same for every replica",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    let path = file.to_str().unwrap();
    let config = parse(&store, &[("EMGATE_STORE__ENCRYPTION_KEY_FILE", path)]).expect("complete");
    assert_eq!(config.store.url, "postgres://emgate@db.example/emgate");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let twice =
        format!("{MINIMAL}\n[[upstream.accounts]]\nname = \"Operators\"\nusername = \"u\"\npassword = \"p\"");
    assert_refused(
        &twice,
        &[],
        "upstream.accounts[1].name",
        "is used by another account",
    );
    let pin = ("EMGATE_UPSTREAM__PIN_SHA256__0", &*"ab".repeat(32));
    let any = ("EMGATE_UPSTREAM__ACCEPT_INVALID_CERTS", "true");
    assert_refused(
        MINIMAL,
        &[pin, any],
        "upstream.accept_invalid_certs",
        "contradicts",
    );
    assert_refused(
        MINIMAL,
        &[("EMGATE_SERVER__TLS__CERT_FILE", "/nowhere")],
        "server.tls.key_file",
        "missing",
    );
}

#[test]
fn variables_in_each_others_way_are_refused() {
    let whole = ("EMGATE_SERVER__CORS_ORIGINS", "[]");
    let item = ("EMGATE_SERVER__CORS_ORIGINS__0", "https://a.example");
    assert_refused(
        MINIMAL,
        &[whole, item],
        "server.cors_origins[0]",
        "EMGATE_SERVER__CORS_ORIGINS",
    );
    let gap = ("EMGATE_SERVER__CORS_ORIGINS__1", "https://a.example");
    assert_refused(MINIMAL, &[gap], "server.cors_origins[1]", "gap");
    let upper = ("EMGATE_WATCH__INTERVAL", "1s");
    let lower = ("EMGATE_watch__interval", "2s");
    assert_refused(MINIMAL, &[upper, lower], "watch.interval", "as well");
    assert_refused(MINIMAL, &[("EMGATE_WATCH____INTERVAL", "1s")], "watch", "empty");
}

#[test]
fn bounds_refuse_mistakes() {
    let refused = [
        ("EMGATE_SERVER__REQUEST_TIMEOUT", "0s", "server.request_timeout"),
        ("EMGATE_SERVER__MAX_BODY", "1", "server.max_body"),
        ("EMGATE_SERVER__CORS_ORIGINS__0", "*", "server.cors_origins[0]"),
        (
            "EMGATE_UPSTREAM__ACCOUNTS__0__MAX_SESSIONS",
            "0",
            "upstream.accounts[0].max_sessions",
        ),
        ("EMGATE_UPSTREAM__COALESCE", "yes", "upstream.coalesce"),
        ("EMGATE_UPSTREAM__PIN_SHA256__0", "abcd", "upstream.pin_sha256[0]"),
        ("EMGATE_STORE__URL", "sqlite://:memory:", "store.url"),
        (
            "EMGATE_STORE__ENCRYPTION_KEY_FILE",
            "/nowhere",
            "store.encryption_key_file",
        ),
        ("EMGATE_METRICS__PER_PLAN", "yes", "metrics.per_plan"),
        ("EMGATE_METRICS__LISTEN", "9090", "metrics.listen"),
        ("EMGATE_METRICS__LISTEN", "127.0.0.1:8080", "metrics.listen"),
        ("EMGATE_METRICS__TOKEN", "a-word", "metrics.token"),
        ("EMGATE_RETENTION__EVENTS", "1m", "retention.events"),
        ("EMGATE_WATCH__INTERVAL", "0s", "watch.interval"),
        ("EMGATE_WEBHOOKS__RETRY_SCHEDULE", "[]", "webhooks.retry_schedule"),
        ("EMGATE_WEBHOOKS__RETRY_SCHEDULE", "5s", "webhooks.retry_schedule"),
        ("EMGATE_WEBHOOKS__MAX_TIMEOUT", "61s", "webhooks.max_timeout"),
        (
            "EMGATE_WEBHOOKS__PROXY",
            "https://proxy.example",
            "webhooks.proxy",
        ),
        ("EMGATE_AUTH__KEYS__0__SECRET", "short", "auth.keys[0].secret"),
        ("EMGATE_AUTH__KEYS__0__KIND", "none", "auth.keys[0].kind"),
    ];
    for (name, value, key) in refused {
        assert_refused(MINIMAL, &[(name, value)], key, "");
    }
    let listen = ("EMGATE_METRICS__LISTEN", "127.0.0.1:9090");
    assert_refused(
        MINIMAL,
        &[listen, ("EMGATE_METRICS__TOKEN", "two words")],
        "metrics.token",
        "ASCII",
    );
    let metrics = parse(MINIMAL, &[listen, ("EMGATE_METRICS__TOKEN", "a-word")])
        .unwrap()
        .server
        .metrics;
    assert_eq!(metrics.token.unwrap().expose_secret(), "a-word");
    assert!(
        parse(MINIMAL, &[("EMGATE_UPSTREAM__CACHE_TTL", "0s")])
            .unwrap()
            .upstream
            .cache_ttl
            .is_zero()
    );
}

#[test]
fn a_pem_key_must_be_public() {
    let folder = tempfile::tempdir().unwrap();
    let pair = rcgen::KeyPair::generate().unwrap();
    let (public, private) = (
        folder.path().join("public.pem"),
        folder.path().join("private.pem"),
    );
    std::fs::write(&public, pair.public_key_pem()).unwrap();
    std::fs::write(&private, pair.serialize_pem()).unwrap();
    let text = |file: &std::path::Path, algorithm: &str| {
        let (head, _) = MINIMAL.split_once("[[auth.keys]]").unwrap();
        format!(
            "{head}\n[[auth.keys]]\nkind = \"pem\"\nalgorithm = \"{algorithm}\"\nfile = '{}'",
            file.display()
        )
    };
    let config = parse(&text(&public, "ES256"), &[]).unwrap();
    let algorithms: Vec<_> = config.auth.keys.iter().map(Key::algorithm).collect();
    assert_eq!(algorithms, [jsonwebtoken::Algorithm::ES256]);
    assert_refused(&text(&private, "ES256"), &[], "auth.keys[0].file", "private key");
    assert_refused(
        &text(&public, "HS256"),
        &[],
        "auth.keys[0].algorithm",
        "not one of",
    );
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_one_clear_fault() {
    let missing = config::load(Some("/nowhere/emgate.toml".as_ref()), REQUIRED).unwrap_err();
    assert_eq!(missing.faults.len(), 1);
    assert!(
        missing
            .to_string()
            .contains("/nowhere/emgate.toml cannot be read"),
        "{missing}"
    );
    assert_refused(
        "[server]\nlisten = \"unfinished",
        &[],
        "the configuration file",
        "line 2, column",
    );
}

/// A configuration with one policy of these lines.
fn with_policy(lines: &str) -> String {
    format!("{MINIMAL}\n[[policies]]\nname = \"production\"\n{lines}\n")
}

#[test]
fn a_policy_is_read_with_all_of_its_keys() {
    let text = with_policy(
        "match = { plan = \"ERP*\", tenant = [\"ABC*\", \"X\"], kind = \"cloud\", action = [\"start\", \"undo\"] }\n\
         callers = { subjects = [\"dr-lead\"], scopes = [\"plans:start\"] }\n\
         windows = [\"Sat 20:00 - Sun 06:00 Europe/Berlin\", \"mon 00:00 - TUE 24:00 UTC\"]\n\
         approvals = 2\napproval_expires = \"30m\"\nreason_required = true",
    );
    let config = parse(&text, &[]).unwrap();
    assert_eq!(config.warnings(), [""; 0]);
    let policy = &config.policies.0[0];
    assert_eq!(policy.matching.plans, ["ERP*"]);
    assert_eq!(policy.matching.tenants, ["ABC*", "X"]);
    assert_eq!(policy.matching.actions.len(), 2);
    assert_eq!(policy.callers.subjects, ["dr-lead"]);
    assert_eq!(policy.windows.len(), 2);
    assert_eq!(policy.windows[0].zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(policy.approvals, 2);
    assert_eq!(policy.approval_expires, std::time::Duration::from_mins(30));
    assert!(policy.reason_required);
}

#[test]
fn a_policy_can_be_given_by_the_environment() {
    let config = parse(
        MINIMAL,
        &[
            ("EMGATE_POLICIES__0__NAME", "production"),
            ("EMGATE_POLICIES__0__MATCH__PLAN", "[ERP]*"),
            ("EMGATE_POLICIES__0__MATCH__ACTION", r#"["start", "undo"]"#),
            ("EMGATE_POLICIES__0__CALLERS__SUBJECTS__0", "dr-lead"),
            ("EMGATE_POLICIES__0__APPROVALS", "1"),
        ],
    );
    // What begins with a bracket is a list, or a fault.
    let faults = config.expect_err("a plan's name is no list").faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].key, "policies[0].match.plan");
    let config = parse(
        MINIMAL,
        &[
            ("EMGATE_POLICIES__0__NAME", "production"),
            ("EMGATE_POLICIES__0__MATCH__ACTION", r#"["start", "undo"]"#),
            ("EMGATE_POLICIES__0__CALLERS__SUBJECTS__0", "dr-lead"),
            ("EMGATE_POLICIES__0__APPROVALS", "1"),
        ],
    );
    let policy = config.unwrap().policies.0.remove(0);
    assert_eq!((policy.matching.actions.len(), policy.approvals), (2, 1));
    assert_eq!(policy.callers.subjects, ["dr-lead"]);
}

#[rstest::rstest]
#[case("match = { plan = \"\" }", "policies[0].match.plan", "is empty")]
#[case("match = { plan = [] }", "policies[0].match.plan", "leave it out for all")]
#[case("match = { kind = \"Cloud\" }", "policies[0].match.kind", "cloud, onPremises")]
#[case(
    "match = { action = [\"start\", \"stop\"] }",
    "policies[0].match.action[1]",
    "test, start, undo"
)]
#[case("match = { plans = \"ERP\" }", "policies[0].match.plans", "unknown")]
#[case("callers = {}", "policies[0].callers.subjects", "leave `callers` out")]
#[case(
    "callers = { scopes = [\"fly\"] }",
    "policies[0].callers.scopes[0]",
    "plans:approve"
)]
#[case("windows = []", "policies[0].windows", "is empty")]
#[case(
    "windows = [\"always\"]",
    "policies[0].windows[0]",
    "Sat 20:00 - Sun 06:00 Europe/Berlin"
)]
#[case(
    "windows = [\"Sat 20:00 - Sun 06:00\"]",
    "policies[0].windows[0]",
    "is not a window"
)]
#[case(
    "windows = [\"Sat 20:00 - Sun 06:00 Europe/Atlantis\"]",
    "policies[0].windows[0]",
    "time zone"
)]
#[case(
    "windows = [\"Sam 20:00 - Sun 06:00 UTC\"]",
    "policies[0].windows[0]",
    "`Sam`"
)]
#[case(
    "windows = [\"Sat 24:01 - Sun 06:00 UTC\"]",
    "policies[0].windows[0]",
    "`24:01`"
)]
#[case(
    "windows = [\"Sat 8:00 - Sun 06:00 UTC\"]",
    "policies[0].windows[0]",
    "`8:00`"
)]
#[case(
    "windows = [\"Sat 20:00 - Sat 20:00 UTC\"]",
    "policies[0].windows[0]",
    "begins where it ends"
)]
#[case(
    "windows = [\"Sat 24:00 - Sun 00:00 UTC\"]",
    "policies[0].windows[0]",
    "begins where it ends"
)]
#[case("approvals = 6", "policies[0].approvals", "from 0 to 5")]
#[case("approvals = -1", "policies[0].approvals", "from 0 to 5")]
#[case("approval_expires = \"31d\"", "policies[0].approval_expires", "must be from")]
#[case("reason_required = 1", "policies[0].reason_required", "true or false")]
#[case("approval = 1", "policies[0].approval", "unknown")]
#[case("[[policies]]\napprovals = 1", "policies[1].name", "missing")]
#[case("[[policies]]\nname = \"PRODUCTION\"", "policies[1].name", "another policy")]
fn a_fault_of_a_policy_names_its_key(#[case] lines: &str, #[case] key: &str, #[case] words: &str) {
    assert_refused(&with_policy(lines), &[], key, words);
}

#[test]
fn faults_of_policies_are_reported_together() {
    let text = with_policy(
        "match = { kind = \"x\", action = \"y\" }\ncallers = { scopes = \"z\" }\nwindows = [\"a\", \"b\"]\n\
         approvals = 9\n[[policies]]",
    );
    let found = faults(&text, &[]);
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[test]
fn a_policy_that_can_never_match_is_a_warning_and_no_fault() {
    let text = with_policy("match = { kind = \"onPremises\", action = [\"test\", \"delete\"] }");
    let config = parse(&text, &[]).unwrap();
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("`production` can never match"),
        "{warnings:?}"
    );
}
