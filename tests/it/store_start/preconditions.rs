//! The preconditions of a database are checked at every start and by `emgate check`; each fault comes with its remedy.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};

use sqlx::Connection as _;

use super::{Run, emgate};
use crate::support::postgres::{Database, Server, as_owner};
use crate::waiting::holds_blocking;

const URL: &str = "EMGATE_STORE__URL";
const KEY: &str = "EMGATE_STORE__ENCRYPTION_KEY_FILE";

async fn server() -> Server {
    tokio::task::spawn_blocking(Server::start)
        .await
        .expect("a server")
}

fn run(subcommand: &str, url: &str, key_file: &Path) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = key_file.display().to_string();
    emgate(subcommand, folder.path(), &[(URL, url), (KEY, &key_file)])
}

/// Both ways to meet the database end with 1 and say all of this.
fn refuses(url: &str, key_file: &Path, words: &[&str]) {
    for subcommand in ["serve", "check"] {
        let run = run(subcommand, url, key_file);
        assert_eq!(run.code, Some(1), "{subcommand} {url}: {}", run.said);
        for word in words {
            assert!(
                run.said.contains(word),
                "{subcommand} {url}: {word} is missing: {}",
                run.said
            );
        }
    }
}

/// `emgate check` finds nothing wrong with the store.
fn opens(url: &str, key_file: &Path) {
    let run = run("check", url, key_file);
    assert!(
        run.said.contains("opens and is up to date"),
        "{url}: {}",
        run.said
    );
}

/// How a database is made that will not do, and what is said about it.
struct Case {
    name: &'static str,
    user: &'static str,
    /// SQL on the server, and SQL in the database.
    made: &'static str,
    prepared: &'static str,
    words: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "latin",
        user: "postgres",
        made: "create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0",
        prepared: "",
        words: &[
            "encoding is LATIN1, not UTF8",
            "createdb --encoding=UTF8 --template=template0",
        ],
    },
    Case {
        name: "ascii",
        user: "postgres",
        made: "create database ascii encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0",
        prepared: "",
        words: &["encoding is SQL_ASCII, not UTF8", "createdb --encoding=UTF8"],
    },
    Case {
        name: "narrow",
        user: "guest",
        made: "create database narrow",
        prepared: "revoke create on schema public from public",
        words: &[
            "may not create tables (guest in public)",
            "grant usage, create on schema",
        ],
    },
    Case {
        name: "hidden",
        user: "guest",
        made: "create database hidden",
        prepared: "alter role guest in database hidden set search_path = nowhere",
        words: &["search_path", "create schema"],
    },
    Case {
        name: "frozen",
        user: "postgres",
        made: "create database frozen",
        prepared: "alter database frozen set default_transaction_read_only = on",
        words: &["read-only", "default_transaction_read_only", "alter database"],
    },
    Case {
        name: "escapes",
        user: "postgres",
        made: "create database escapes",
        prepared: "alter database escapes set standard_conforming_strings = off",
        words: &["standard_conforming_strings is off", "alter role"],
    },
    Case {
        name: "absent",
        user: "postgres",
        made: "",
        prepared: "",
        words: &["the database does not exist", "createdb"],
    },
    Case {
        name: "postgres",
        user: "stranger",
        made: "",
        prepared: "",
        words: &["refuses the user", "pg_hba.conf"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_database_that_will_not_do_is_refused_with_the_remedy() {
    let mut server = server().await;
    let Database { url, key_file } = server.database().await;
    server.execute("postgres", "create role guest login").await;
    for case in CASES {
        if !case.made.is_empty() {
            server.execute("postgres", case.made).await;
            server.execute(case.name, case.prepared).await;
        }
        let url = server.url_of(case.user, case.name);
        refuses(&url, &key_file, case.words);
    }

    // A database in use, lent to a user who may only read, or not even that.
    opens(&url, &key_file);
    let name = url.rsplit_once('/').expect("a path").1.to_owned();
    let lent = server.url_of("guest", &name);
    server
        .execute(&name, "grant create on schema public to guest")
        .await;
    refuses(
        &lent,
        &key_file,
        &["the database user lacks a right", "permission denied", "owner"],
    );
    server
        .execute(&name, "grant select on all tables in schema public to guest")
        .await;
    refuses(
        &lent,
        &key_file,
        &[
            "lacks rights",
            "insert on events",
            "delete on operations",
            "grant select, insert, update, delete",
        ],
    );
    server
        .execute(
            &name,
            "grant insert, update, delete on all tables in schema public to guest",
        )
        .await;
    opens(&lent, &key_file);

    server.follow_nobody();
    refuses(
        &url,
        &key_file,
        &["read-only replica", "set store.url to the primary server"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_connection_poolers_only_one_by_transactions_is_refused() {
    let server = server().await;
    let Database { url, key_file } = server.database().await;
    for (mode, ignored, order) in [
        ("transaction", "extra_float_digits", "0"),
        ("transaction", "extra_float_digits", "1"),
        ("statement", "extra_float_digits", "0"),
        ("transaction", "none", "0"),
    ] {
        let pooler = Pooler::start(&server, mode, ignored, order);
        let pooled = pooler.url(&url);
        // Also once the pool has many connections to choose from.
        pooler.warm_up(&pooled, mode, ignored).await;
        let words = [
            "a connection pooler in transaction or statement mode",
            "pool_mode = session",
        ];
        refuses(&pooled, &key_file, &words);
    }
    let pooler = Pooler::start(&server, "session", "extra_float_digits", "0");
    opens(&pooler.url(&url), &key_file);
}

/// The real pooler on a free port of loopback; it is killed when dropped.
struct Pooler {
    process: Child,
    port: u16,
    _home: tempfile::TempDir,
}

impl Pooler {
    fn start(server: &Server, mode: &str, ignored: &str, round_robin: &str) -> Self {
        let home = tempfile::Builder::new()
            .prefix("emgate-pool")
            .tempdir_in("/tmp")
            .expect("a directory");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut settings = String::new();
        write!(
            settings,
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nignore_startup_parameters = {ignored}\n\
             server_round_robin = {round_robin}\n",
            server.port()
        )
        .expect("text");
        // An `any` login needs the user that serves all clients.
        let settings = settings.replace("port=", "user=postgres port=");
        let file = home.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("its settings");
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("readable");
        let process = as_owner(Path::new("/usr/sbin/pgbouncer"))
            .arg("-q")
            .arg(&file)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer runs: scripts/tools.sh postgres installs it");
        let pooler = Self {
            process,
            port,
            _home: home,
        };
        holds_blocking("pgbouncer listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        pooler
    }

    /// The same database by way of the pooler.
    fn url(&self, url: &str) -> String {
        let name = url.rsplit_once('/').expect("a path").1;
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    async fn warm_up(&self, url: &str, mode: &str, ignored: &str) {
        if mode != "transaction" || ignored == "none" {
            return;
        }
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut connection = sqlx::PgConnection::connect(url).await.expect("connected");
            sqlx::raw_sql("begin; select 1")
                .execute(&mut connection)
                .await
                .expect("begun");
            open.push(connection);
        }
        for mut connection in open {
            sqlx::raw_sql("rollback")
                .execute(&mut connection)
                .await
                .expect("ended");
            connection.close().await.expect("closed");
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn an_sqlite_database_that_will_not_do_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let of = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    for (name, sql) in [
        (
            "wide.db",
            "pragma encoding = 'UTF-16le'; create table one (a text)",
        ),
        (
            "newer.db",
            "create table _sqlx_migrations (version bigint primary key, description text not null, \
             installed_on timestamp not null default current_timestamp, success boolean not null, \
             checksum blob not null, execution_time bigint not null); \
             insert into _sqlx_migrations values (9000, 'to come', current_timestamp, true, x'00', 1)",
        ),
    ] {
        let mut connection = sqlx::SqliteConnection::connect(&format!("{}?mode=rwc", of(name)))
            .await
            .expect("a file");
        sqlx::raw_sql(sql)
            .execute(&mut connection)
            .await
            .expect("prepared");
        connection.close().await.expect("closed");
    }
    for (name, words) in [
        (
            "wide.db",
            &["wide.db", "encoding is UTF-16le, not UTF-8", ".dump"][..],
        ),
        (
            "newer.db",
            &["newer.db", "written by a newer emgate", "migration 9000"],
        ),
    ] {
        for subcommand in ["serve", "check"] {
            let run = emgate(subcommand, folder.path(), &[(URL, &of(name))]);
            assert_eq!(run.code, Some(1), "{subcommand} {name}: {}", run.said);
            for word in words {
                assert!(
                    run.said.contains(word),
                    "{subcommand} {name}: {word}: {}",
                    run.said
                );
            }
        }
    }
}
