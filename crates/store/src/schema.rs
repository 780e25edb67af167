//! The tables, and how older ones become the newest.
//!
//! `PRAGMA application_id` says that a file is ours, `PRAGMA user_version` which migrations it has.
//! A migration, once released, is never edited.

use rusqlite::{Connection, TransactionBehavior};

/// "SBAY", so that `file(1)` and we ourselves know our files.
pub(crate) const APPLICATION_ID: i64 = 0x5342_4159;

/// Every step from an empty file to the newest schema, in order; the version is the position.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
];

/// The newest version.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) application_id: i64,
    pub(crate) version: i64,
    pub(crate) tables: i64,
}

impl Identity {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(Self {
            application_id: number("PRAGMA application_id")?,
            version: number("PRAGMA user_version")?,
            tables: number("SELECT count(*) FROM sqlite_schema")?,
        })
    }

    /// Whether the file is ours or empty.
    pub(crate) fn is_ours(self) -> bool {
        self.application_id == APPLICATION_ID || self.tables == 0
    }
}

/// Brings a file up to date; returns the version that it had, if it was older and not empty.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<Option<i64>> {
    migrate_by(connection, MIGRATIONS)
}

fn migrate_by(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<Option<i64>> {
    let before = Identity::read(connection)?;
    let done = usize::try_from(before.version).unwrap_or(0);
    for (at, step) in migrations.iter().enumerate().skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        transaction.commit()?;
    }
    let older = before.version > 0 && done < migrations.len();
    Ok(older.then_some(before.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_older_version_becomes_the_newest_and_keeps_its_rows() {
        // A last step that only tests know shows that rows are kept by whatever comes.
        let mut steps = MIGRATIONS.to_vec();
        steps.push("ALTER TABLE meta ADD COLUMN noted TEXT NOT NULL DEFAULT 'before'");
        for start in 0..=steps.len() {
            let mut connection = Connection::open_in_memory().expect("opens");
            migrate_by(&mut connection, &steps[..start]).expect("older version");
            if start > 0 {
                connection
                    .execute("INSERT INTO meta(key, value) VALUES ('kept', 'yes')", [])
                    .expect("inserts");
            }
            let from = migrate_by(&mut connection, &steps).expect("migrates");
            let expected = (start > 0 && start < steps.len()).then_some(start as i64);
            assert_eq!(from, expected, "from {start}");
            let identity = Identity::read(&connection).expect("reads");
            assert_eq!(
                (identity.application_id, identity.version),
                (APPLICATION_ID, steps.len() as i64)
            );
            if start > 0 {
                let row: (String, String) = connection
                    .query_row("SELECT value, noted FROM meta WHERE key = 'kept'", [], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .expect("row");
                assert_eq!(row, ("yes".to_owned(), "before".to_owned()));
            }
        }
    }

    #[test]
    fn a_failing_step_leaves_the_older_version_as_it_was() {
        let mut connection = Connection::open_in_memory().expect("opens");
        migrate(&mut connection).expect("migrates");
        let mut steps = MIGRATIONS.to_vec();
        steps.push("CREATE TABLE later(a); INSERT INTO nowhere VALUES (1)");
        assert!(migrate_by(&mut connection, &steps).is_err());
        let identity = Identity::read(&connection).expect("reads");
        assert_eq!(identity.version, VERSION);
        let later: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'later'", [], |r| r.get(0))
            .expect("counts");
        assert_eq!(later, 0);
    }

    #[test]
    fn seed_4s_columns_are_there_in_its_order() {
        let mut connection = Connection::open_in_memory().expect("opens");
        migrate(&mut connection).expect("migrates");
        for (table, columns) in [
            (
                "health_metrics",
                "id resource_type resource_id metric_name value threshold_warning \
                 threshold_critical timestamp unit status",
            ),
            (
                "health_alerts",
                "id resource_type resource_id alert_type severity message timestamp metadata \
                 resolved resolved_at",
            ),
        ] {
            let mut statement =
                connection.prepare("SELECT name FROM pragma_table_info(?1)").expect("prepares");
            let names: Vec<String> = statement
                .query_map([table], |row| row.get(0))
                .expect("queries")
                .collect::<Result<_, _>>()
                .expect("rows");
            assert_eq!(names.join(" "), columns, "{table}");
        }
    }
}
