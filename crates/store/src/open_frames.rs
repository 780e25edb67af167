//! Reading the frames that are not sealed yet.

use rusqlite::Connection;

use crate::block::FrameReader;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenFrame<'a> {
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) layout: i64,
    /// How it is packed: see [`crate::block::Form`].
    pub(crate) form: i64,
    pub(crate) values: &'a [f64],
}

/// Shows every open frame of a resource, in the order in which they were written: each may stand on
/// the one before. One that cannot be read is told and left out.
pub(crate) fn each_open_frame(
    connection: &Connection,
    resource: i64,
    mut show: impl FnMut(OpenFrame<'_>),
) -> rusqlite::Result<()> {
    // The plus keeps SQLite from walking through the whole table in this order.
    let mut statement = connection.prepare_cached(
        "SELECT id, at, layout, form, readings FROM open_frame WHERE resource = ?1 ORDER BY +id",
    )?;
    let mut rows = statement.query([resource])?;
    let mut reader = FrameReader::default();
    while let Some(row) = rows.next()? {
        let (id, at, layout, form) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        match reader.next(layout, at, form, row.get_ref(4)?.as_blob()?) {
            Ok(values) => show(OpenFrame { id, at, layout, form, values }),
            Err(error) => tracing::warn!(%error, resource, at, "damaged readings were left out"),
        }
    }
    Ok(())
}
