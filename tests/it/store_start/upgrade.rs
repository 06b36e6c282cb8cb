//! The way from the version before to this one and back, on both engines: what an upgrade keeps, and what the older program says
//! of a store that was upgraded.
//!
//! The older program is this one's migrator without its last step.

use std::collections::BTreeMap;
use std::path::PathBuf;

use emgate::store::Config;
use emgate::store::migrations::{VERSION, migrate_as_of};
use serde_json::{Value, json};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::{Run, emgate, gateway};
use crate::support::postgres::database;
use crate::support::{client, token};

const URL: &str = "EMGATE_STORE__URL";
const KEY: &str = "EMGATE_STORE__ENCRYPTION_KEY_FILE";

const OPERATION: &str = "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";

/// What the version before left behind: an operation, an event with its delivery and attempt, and a run with its report.
const ROWS: &[&str] = &[
    "insert into operations (id, kind, action, plan_key, state, requested_at, seen_observation, answer_due, \
     evidence_deadline, tenant_read) values ('0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01', 'failover', 'test', \
     '3f56fa52-c902-4655-9774-2022fde214d2', 'running', <now>, 1, 1, 1, 1)",
    "insert into events (id, type, at, tenant_read, body) values ('evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e', 'webhook.test', <now>, 1, \
     '{\"type\":\"webhook.test\",\"data\":{\"message\":\"日本語\"}}')",
    "insert into webhook_deliveries (id, lane, operation_id, event_id, event_type, place, state, since, created_at, \
     ended_at, attempts) values ('dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d', 'https://portal.example', \
     '0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01', 'evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e', 'webhook.test', 1, \
     'exhausted', <now>, <now>, <now>, 1)",
    "insert into webhook_attempts (delivery_id, number, at, ended, error) values \
     ('dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d', 1, <now>, 1, 'refusedAddress')",
    "insert into recovery_runs (id, upstream_id, operation_id, action, plan_key, started_at, asked, state, revision) values \
     ('run-1', 'main', '0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01', 'start', '3f56fa52-c902-4655-9774-2022fde214d2', <now>, \
     '{\"purpose\":{\"kind\":\"exercise\"}}', 'reported', 1)",
    "insert into recovery_reports (run_id, revision, made_at, digest, body) values ('run-1', 1, <now>, 'x', '{}')",
];

/// A store on one of the engines, with its key.
struct Place {
    url: String,
    key: PathBuf,
    /// Where the file is, as long as this lives.
    folder: tempfile::TempDir,
}

impl Place {
    async fn of(engine: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        if engine == "postgres" {
            let database = database().await;
            return Self {
                url: database.url.clone(),
                key: database.key_file.clone(),
                folder,
            };
        }
        let key = folder.path().join("key");
        std::fs::write(&key, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").expect("a key");
        let url = format!("sqlite://{}", folder.path().join("emgate.db").display());
        Self { url, key, folder }
    }

    fn config(&self) -> Config {
        Config {
            url: self.url.clone(),
            encryption_key_file: Some(self.key.clone()),
        }
    }

    fn settings(&self) -> [(&'static str, &str); 2] {
        [(URL, &self.url), (KEY, self.key.to_str().expect("text"))]
    }

    fn check(&self) -> Run {
        emgate("check", self.folder.path(), &self.settings())
    }

    async fn connected(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.url).await.expect("connected")
    }

    async fn run(&self, sql: &str) {
        let mut connection = self.connected().await;
        let ran = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        ran.execute(&mut connection).await.expect(sql);
        connection.close().await.expect("closed");
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connected().await;
        let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        let rows = query.fetch_all(&mut connection).await.expect(sql);
        connection.close().await.expect("closed");
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    /// The columns of each table that holds data, those aside that belong to processes and to migrations.
    async fn columns(&self) -> BTreeMap<String, Vec<String>> {
        let sql = if self.url.starts_with("sqlite") {
            "select m.name || '.' || c.name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table'"
        } else {
            "select table_name::text || '.' || column_name::text from information_schema.columns where table_schema = current_schema()"
        };
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in self.texts(sql).await {
            let (table, column) = pair.split_once('.').expect("a dot");
            let not_data = [
                "_sqlx_migrations",
                "sqlite_sequence",
                "meta",
                "replicas",
                "leases",
            ];
            if !not_data.contains(&table) {
                tables
                    .entry(table.to_owned())
                    .or_default()
                    .push(column.to_owned());
            }
        }
        tables
    }

    /// Every row of these columns, as text.
    async fn rows(&self, tables: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
        let mut rows = BTreeMap::new();
        for (table, columns) in tables {
            let texts = columns
                .iter()
                .map(|column| format!("coalesce(cast({column} as text), '-')"));
            let whole = texts.collect::<Vec<_>>().join(" || '|' || ");
            rows.insert(
                table.clone(),
                self.texts(&format!("select {whole} from {table} order by 1"))
                    .await,
            );
        }
        rows
    }
}

async fn answer(url: String) -> Value {
    let bearer = token(&json!({"sub": "portal", "scope": "operations:read webhooks:read tenants:all"}));
    let answer = client::plain().get(url).bearer_auth(bearer).send().await;
    answer.expect("answered").json().await.expect("JSON")
}

#[rstest::rstest]
#[case("sqlite")]
#[case("postgres")]
#[tokio::test]
async fn a_store_of_the_version_before_is_all_there_and_the_way_back_is_refused(#[case] engine: &str) {
    let place = Place::of(engine).await;
    let before = VERSION - 1;
    migrate_as_of(&place.config(), before)
        .await
        .expect("the tables of the version before");
    // What is old is removed soon after the start.
    let now = jiff::Timestamp::now().as_microsecond().to_string();
    for row in ROWS {
        place.run(&row.replace("<now>", &now)).await;
    }
    let columns = place.columns().await;
    let left = place.rows(&columns).await;
    assert_eq!(
        left.values().filter(|rows| !rows.is_empty()).count(),
        ROWS.len() + usize::from(left.contains_key("audit_head")),
        "{left:?}"
    );

    let checked = place.check();
    assert!(
        checked.said.contains("opens and is up to date"),
        "{}",
        checked.said
    );
    assert_eq!(place.rows(&columns).await, left);
    let steps = place
        .texts("select cast(max(version) as text) from _sqlx_migrations")
        .await;
    assert_eq!(steps, [VERSION.to_string()]);

    let mut serving = gateway(&place.settings());
    serving.wait_for_line("the store is open; requests are accepted");
    let operation = answer(serving.url(&format!("/api/v1/operations/{OPERATION}"))).await;
    assert_eq!(operation["action"], "test", "{operation}");
    let delivery = "/api/v1/webhook-deliveries/dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d";
    let delivery = answer(serving.url(delivery)).await;
    assert_eq!(delivery["state"], "exhausted", "{delivery}");
    assert!(serving.terminate().success());

    // The version before does not open it, and changes nothing in it.
    let columns = place.columns().await;
    let left = place.rows(&columns).await;
    let refused = migrate_as_of(&place.config(), before).await.expect_err("refused");
    let sentence = |version: usize| {
        format!(
            "the store was written by a newer emgate (it holds migration {version}); run that version or newer"
        )
    };
    assert!(refused.to_string().contains(&sentence(VERSION)), "{refused}");
    assert_eq!(place.rows(&columns).await, left);

    // Nor does this one open a store of the version to come; both commands say so.
    let next = VERSION + 1;
    place
        .run(&format!(
            "insert into _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
             select {next}, 'to come', installed_on, success, checksum, execution_time from _sqlx_migrations where version = 1"
        ))
        .await;
    for subcommand in ["check", "serve"] {
        let run = emgate(subcommand, place.folder.path(), &place.settings());
        assert_eq!(run.code, Some(1), "{}", run.said);
        assert!(run.said.contains(&sentence(next)), "{}", run.said);
    }
    assert_eq!(place.rows(&columns).await, left);
}
