//! What a database only says when something is tried of it: by the engine's own code, what is wrong and what to do.

/// What the engine's own code means where the database said no: SQLite's primary result code, PostgreSQL's SQLSTATE.
const BY_CODE: &[(&str, &str, &str)] = &[
    (
        "26",
        "the file is not an SQLite database",
        "set store.url to another file, or to one that does not exist yet",
    ),
    (
        "42501",
        "the database user lacks a right",
        "make the user the owner of its tables (alter table … owner to USER), or give it a database of its own: \
         createdb --owner=USER --encoding=UTF8 --template=template0 NAME",
    ),
    (
        "3D000",
        "the database does not exist",
        "createdb --owner=USER --encoding=UTF8 --template=template0 NAME",
    ),
    (
        "5",
        "another program holds the write lock of the database file",
        "stop the program that writes to the file (a sqlite3 shell, a backup, a repair), then start again",
    ),
    ("28P01", REFUSED, CREDENTIALS),
    ("28000", REFUSED, CREDENTIALS),
];

const REFUSED: &str = "the database server refuses the user of store.url";
const CREDENTIALS: &str =
    "are user and password of store.url right, and does pg_hba.conf let them in from here?";

pub(super) const POOLER: &str = "a connection pooler in transaction or statement mode is in front of the database; \
                      notifications, locks and settings of a session get lost in it";
pub(super) const NO_POOLER: &str = "set store.url to PostgreSQL itself, or to a pool in session mode (PgBouncer: \
                         pool_mode = session, ignore_startup_parameters = extra_float_digits)";

/// What a pooler that knows fewer parameters than PostgreSQL says to a new connection.
const POOLERS_WORDS: &str = "unsupported startup parameter";

/// What is wrong where the database says no to what every start needs, and what to do.
pub(super) fn by_code(error: &sqlx::Error) -> Option<(&'static str, &'static str)> {
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    if error.message().contains(POOLERS_WORDS) {
        return Some((POOLER, NO_POOLER));
    }
    let said = error.code()?;
    let found = BY_CODE.iter().find(|(code, _, _)| *code == said);
    found.map(|(_, fault, remedy)| (*fault, *remedy))
}
