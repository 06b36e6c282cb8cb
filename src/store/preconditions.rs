//! What a database has to be before the store works on it: asked at every start and by `emgate check`.
//!
//! Each precondition is a row: a question in SQL, what is right, and what to do where it is not. What a database only
//! says when something is tried of it is in `engine_codes`.

use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _, Row as _};

use super::Error;
use super::engine::Engine;
use super::engine_codes::{NO_POOLER, POOLER};
use super::migrations::tables;

/// The oldest PostgreSQL that the store works on.
const OLDEST_POSTGRES: u32 = 13;

/// Something that has to be right.
struct Precondition {
    /// One row with one column of text.
    question: &'static str,
    is_right: fn(&str) -> bool,
    /// What is wrong; `{}` is the answer.
    fault: &'static str,
    remedy: &'static str,
}

const OF_SQLITE: &[Precondition] = &[
    Precondition {
        question: "pragma encoding",
        is_right: |encoding| encoding == "UTF-8",
        fault: "the database's encoding is {}, not UTF-8",
        remedy: "set store.url to a file that does not exist yet, or copy the database: \
                 sqlite3 OLD .dump | sqlite3 NEW",
    },
    Precondition {
        question: "pragma journal_mode",
        is_right: |mode| mode == "wal",
        fault: "the database cannot use a write-ahead log (its journal mode stays {})",
        remedy: "set store.url to a file on a local disk: network file systems lack what a write-ahead log needs",
    },
];

const OF_POSTGRES: &[Precondition] = &[
    Precondition {
        question: "show server_version_num",
        is_right: is_new_enough,
        fault: "the PostgreSQL server is too old (server_version_num is {})",
        remedy: "PostgreSQL 13 or newer is needed; move the database to such a server with pg_dump and pg_restore",
    },
    Precondition {
        question: "show server_encoding",
        is_right: |encoding| encoding == "UTF8",
        fault: "the database's encoding is {}, not UTF8: names of plans and machines can hold any character",
        remedy: "make a database with createdb --encoding=UTF8 --template=template0 NAME, and set store.url to it",
    },
    Precondition {
        question: "show client_encoding",
        is_right: |encoding| encoding == "UTF8",
        fault: "connections to the database use the encoding {}, not UTF8",
        remedy: "remove what sets client_encoding: options in store.url, alter role … reset client_encoding, \
                 or a pooler's setting",
    },
    Precondition {
        question: "select pg_is_in_recovery()::text",
        is_right: |standby| standby == "false",
        fault: "the database is a read-only replica of another server (it is in recovery)",
        remedy: "set store.url to the primary server",
    },
    Precondition {
        question: "show transaction_read_only",
        is_right: |read_only| read_only == "off",
        fault: "transactions on the database are read-only (transaction_read_only is {})",
        remedy: "find out what set default_transaction_read_only, and reset it: alter database … reset, \
                 alter role … reset, or postgresql.conf",
    },
    Precondition {
        question: "show standard_conforming_strings",
        is_right: |standard| standard == "on",
        fault: "the database reads backslashes in strings as escapes (standard_conforming_strings is {})",
        remedy: "alter role … reset standard_conforming_strings, alter database … reset, or remove it from \
                 postgresql.conf",
    },
    Precondition {
        question: "select coalesce(current_schema(), '')::text",
        is_right: |schema| !schema.is_empty(),
        fault: "the search_path of the database user names no schema that exists and may be used",
        remedy: "create schema emgate authorization USER; alter role USER set search_path = emgate",
    },
    Precondition {
        question: "select current_user || ' in ' || current_schema() || case when \
                   has_schema_privilege(current_schema(), 'create') then '' else '!' end",
        is_right: |user_and_schema| !user_and_schema.ends_with('!'),
        fault: "the database user may not create tables ({})",
        remedy: "grant usage, create on schema SCHEMA to USER; or give the user a database of its own: \
                 createdb --owner=USER --encoding=UTF8 --template=template0 NAME",
    },
];

/// Rights on tables that are there; `$tables` is their names.
const RIGHTS: Precondition = Precondition {
    question: "select coalesce(string_agg(wanted || ' on ' || name, ', ' order by name, wanted), '') \
               from unnest(string_to_array('$tables', ' ')) as name \
               cross join unnest(array['select', 'insert', 'update', 'delete']) as wanted \
               where not has_table_privilege(quote_ident(name), wanted)",
    is_right: str::is_empty,
    fault: "the database user lacks rights on its own tables: {}",
    remedy: "grant select, insert, update, delete on all tables in schema SCHEMA to USER",
};

/// A copy of another store that was not finished lacks some of it.
const WHOLE: Precondition = Precondition {
    question: "select cast(count(*) as text) from meta where key = 'copy'",
    is_right: |notes| notes == "0",
    fault: "the store is an unfinished copy of another one",
    remedy: "run `emgate store copy` again, which goes on where it was interrupted",
};

/// What has to be right before the first table is made.
pub(super) async fn of_database(pool: &AnyPool, engine: Engine) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    let preconditions = match engine {
        Engine::Sqlite => OF_SQLITE,
        Engine::Postgres => {
            no_pooler(pool, &mut connection).await?;
            OF_POSTGRES
        }
    };
    for precondition in preconditions {
        precondition.judge(&ask(&mut connection, precondition.question).await?)?;
    }
    Ok(())
}

/// What has to be right once the tables are there.
pub(super) async fn of_tables(pool: &AnyPool, engine: Engine) -> Result<(), Error> {
    let mut connection = pool.acquire().await?;
    if engine == Engine::Postgres {
        let question = RIGHTS.question.replace("$tables", &tables().join(" "));
        RIGHTS.judge(&ask(&mut connection, &question).await?)?;
    }
    WHOLE.judge(&ask(&mut connection, WHOLE.question).await?)
}

/// A session has to stay the same from one transaction to the next, and be used by this process alone. In a pool by
/// transactions the second of two open connections gets the session that the first just had, or the first changes its own.
async fn no_pooler(pool: &AnyPool, one: &mut AnyConnection) -> Result<(), Error> {
    const WHO: &str = "select pg_backend_pid()::text";
    let before = ask(one, WHO).await?;
    let again = ask(one, WHO).await?;
    let mut other = pool.acquire().await?;
    let others = async {
        let mut tx = other.begin().await?;
        ask(&mut tx, WHO).await
    };
    let others = match others.await {
        Ok(others) => others,
        // A pool by statements has no transactions at all.
        Err(Error::Database(error @ sqlx::Error::Database(_))) => return Err(pooler(Some(error))),
        Err(error) => return Err(error),
    };
    let after = ask(one, WHO).await?;
    if before == again && before == after && before != others {
        Ok(())
    } else {
        Err(pooler(None))
    }
}

fn pooler(source: Option<sqlx::Error>) -> Error {
    Error::Unfit {
        fault: POOLER.to_owned(),
        remedy: NO_POOLER,
        source,
    }
}

impl Precondition {
    fn judge(&self, answer: &str) -> Result<(), Error> {
        if (self.is_right)(answer) {
            return Ok(());
        }
        Err(Error::Unfit {
            fault: self.fault.replace("{}", answer.trim_end_matches('!')),
            remedy: self.remedy,
            source: None,
        })
    }
}

fn is_new_enough(version: &str) -> bool {
    let version = version.parse::<u32>();
    version.is_ok_and(|version| version >= OLDEST_POSTGRES * 10_000)
}

/// Asks without a prepared statement, which a pooler may not know.
async fn ask(connection: &mut AnyConnection, question: &str) -> Result<String, Error> {
    let question = AssertSqlSafe(question.to_owned());
    let row = connection.fetch_one(sqlx::raw_sql(question)).await?;
    Ok(row.try_get(0)?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("120019", false)]
    #[case("90624", false)]
    #[case("130000", true)]
    #[case("150008", true)]
    #[case("unknown", false)]
    fn a_server_must_have_at_least_the_version_that_is_needed(#[case] version: &str, #[case] fits: bool) {
        let precondition = &OF_POSTGRES[0];
        let judged = precondition.judge(version);
        assert_eq!(judged.is_ok(), fits);
        if let Err(error) = judged {
            assert!(error.to_string().contains(version), "{error}");
            let oldest = format!("PostgreSQL {OLDEST_POSTGRES} or newer");
            assert!(
                error.hint().is_some_and(|hint| hint.contains(&oldest)),
                "{error:?}"
            );
        }
    }

    #[rstest]
    #[case("show client_encoding", "LATIN1", "UTF8")]
    #[case("show server_encoding", "SQL_ASCII", "UTF8")]
    #[case("show standard_conforming_strings", "off", "on")]
    #[case("pragma journal_mode", "delete", "wal")]
    #[case("pragma encoding", "UTF-16be", "UTF-8")]
    fn a_wrong_answer_is_named_with_what_to_do(
        #[case] question: &str,
        #[case] wrong: &str,
        #[case] right: &str,
    ) {
        let all = OF_POSTGRES.iter().chain(OF_SQLITE);
        let precondition = all.into_iter().find(|each| each.question == question);
        let precondition = precondition.expect("a precondition");
        precondition.judge(right).expect("right");
        let error = precondition.judge(wrong).expect_err("wrong");
        assert!(error.to_string().contains(wrong), "{error}");
        assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
    }

    #[test]
    fn the_tables_are_those_of_the_migrations() {
        let tables = tables();
        for table in ["meta", "operations", "webhook_deliveries", "replicas", "leases"] {
            assert!(tables.contains(&table), "{table}: {tables:?}");
        }
        assert!(tables.iter().all(|table| !table.is_empty()), "{tables:?}");
    }
}
