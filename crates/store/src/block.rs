//! A block: many readings of one resource over a span of time, as bytes.
//!
//! ```text
//! "SBK" | version 1 | CRC-32 of the rest | rows | length of times | columns | directory | times | columns…
//! directory entry: difference of the series id to the entry before | field | length of the column
//! ```
//! Numbers are variable-length. Times are one column of milliseconds since the epoch, shared by
//! all series. Every column stands alone, so one metric is read without decoding the others.
//!
//! What must hold: decoding is a pure function of the bytes, never panics, and needs memory in
//! proportion to the limits below, whatever the bytes claim.

use sickbay_model::Timestamp;

mod bytes;
mod column;
mod frame;
mod integers;

use bytes::{Cursor, put_varint};
pub(crate) use frame::{Form, FrameReader, pack_difference, pack_whole};

/// The most rows of one block.
pub const MAX_BLOCK_ROWS: usize = 16_384;
/// The most columns of one block: all series of a node, four fields each.
pub const MAX_BLOCK_COLUMNS: usize = 65_536;
/// The most values that [`decode_block`] unpacks at once (32 MiB).
pub const MAX_BLOCK_VALUES: usize = 4 << 20;

const MAGIC: [u8; 3] = *b"SBK";
const VERSION: u8 = 1;

/// Bytes that are no block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Something else, or written by a newer version.
    #[error("not a block of a known version")]
    UnknownFormat,
    /// The bytes are not those that were written.
    #[error("the checksum of the block does not match")]
    Checksum,
    /// The bytes end early.
    #[error("the block ends early")]
    Truncated,
    /// A named limit is exceeded.
    #[error("the block claims more than the limit of {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The bytes contradict themselves.
    #[error("the block is malformed: {0}")]
    Malformed(&'static str),
    /// A compressed column is not what pco writes.
    #[error("a compressed column of the block is malformed: {0}")]
    Pco(String),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Readings.
    Value,
    /// Smallest values of a rollup.
    Min,
    /// Means of a rollup.
    Mean,
    /// Largest values of a rollup.
    Max,
    /// How many readings a rollup stands for.
    Count,
}

impl Field {
    const ALL: [Self; 5] = [Self::Value, Self::Min, Self::Mean, Self::Max, Self::Count];

    const fn code(self) -> u8 {
        match self {
            Self::Value => 0,
            Self::Min => 1,
            Self::Mean => 2,
            Self::Max => 3,
            Self::Count => 4,
        }
    }

    fn from_code(code: u8) -> Result<Self, DecodeError> {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .ok_or(DecodeError::Malformed("unknown field of a column"))
    }
}

/// Builds a block column by column, so that only one column is unpacked at a time.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    times: Vec<i64>,
    directory: Vec<u8>,
    columns: Vec<u8>,
    count: usize,
    last_series: u32,
}

impl BlockBuilder {
    /// A block with these times, ascending, in milliseconds since the epoch.
    pub(crate) fn new(times: Vec<i64>) -> Self {
        Self { times, directory: Vec::new(), columns: Vec::new(), count: 0, last_series: 0 }
    }

    /// Adds a column with one value per time; NaN means not measured. Columns come in ascending
    /// order of series. A column without any value is left out.
    pub(crate) fn column(&mut self, series: u32, field: Field, values: &[f64]) {
        debug_assert_eq!(values.len(), self.times.len());
        if values.iter().all(|value| value.is_nan()) {
            return;
        }
        let at = self.columns.len();
        column::encode(&mut self.columns, values);
        put_varint(&mut self.directory, u64::from(series.wrapping_sub(self.last_series)));
        self.directory.push(field.code());
        put_varint(&mut self.directory, (self.columns.len() - at) as u64);
        self.last_series = series;
        self.count += 1;
    }

    /// How many columns have values.
    pub(crate) fn columns(&self) -> usize {
        self.count
    }

    /// The bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut times = Vec::new();
        integers::encode(&mut times, &self.times);
        let mut body =
            Vec::with_capacity(self.columns.len() + self.directory.len() + times.len() + 16);
        put_varint(&mut body, self.times.len() as u64);
        put_varint(&mut body, times.len() as u64);
        put_varint(&mut body, self.count as u64);
        body.extend_from_slice(&self.directory);
        body.extend_from_slice(&times);
        body.extend_from_slice(&self.columns);
        sealed(&body)
    }
}

/// A body below its header with the checksum.
pub(crate) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 8);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// Where a column lies.
#[derive(Clone, Copy, Debug)]
struct Entry {
    series: u32,
    field: Field,
    start: usize,
    len: usize,
}

/// A block whose checksum and directory were read, but no column yet.
#[derive(Debug)]
pub(crate) struct BlockReader<'a> {
    rows: usize,
    times: &'a [u8],
    entries: Vec<Entry>,
    columns: &'a [u8],
}

impl<'a> BlockReader<'a> {
    /// Checks the bytes and reads the directory.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        if cursor.array::<3>()? != MAGIC || cursor.byte()? != VERSION {
            return Err(DecodeError::UnknownFormat);
        }
        let checksum = u32::from_le_bytes(cursor.array::<4>()?);
        if crc32fast::hash(cursor.rest()) != checksum {
            return Err(DecodeError::Checksum);
        }
        let rows = limited(cursor.size()?, MAX_BLOCK_ROWS, "rows")?;
        let times_len = cursor.size()?;
        let count = limited(cursor.size()?, MAX_BLOCK_COLUMNS, "columns")?;
        // Every entry needs three bytes, so the claim cannot make us reserve more than there is.
        let mut entries = Vec::with_capacity(count.min(cursor.rest().len() / 3));
        let (mut series, mut start) = (0_u32, 0_usize);
        for _ in 0..count {
            let step = u32::try_from(cursor.varint()?)
                .map_err(|_| DecodeError::Malformed("a series id has more than 32 bits"))?;
            series = series.wrapping_add(step);
            let field = Field::from_code(cursor.byte()?)?;
            let len = cursor.size()?;
            entries.push(Entry { series, field, start, len });
            start = start.checked_add(len).ok_or(DecodeError::Truncated)?;
        }
        let times = cursor.take(times_len)?;
        let columns = cursor.rest();
        if columns.len() != start {
            return Err(DecodeError::Truncated);
        }
        Ok(Self { rows, times, entries, columns })
    }

    /// The times, in milliseconds since the epoch.
    pub(crate) fn times(&self) -> Result<Vec<i64>, DecodeError> {
        integers::decode(self.times, self.rows)
    }

    /// The values of one column; `None` if the block has none of it.
    pub(crate) fn column(
        &self,
        series: u32,
        field: Field,
    ) -> Result<Option<Vec<f64>>, DecodeError> {
        match self.entries.iter().find(|entry| entry.series == series && entry.field == field) {
            None => Ok(None),
            Some(entry) => self.decode(entry).map(Some),
        }
    }

    /// The series that have columns, ascending.
    pub(crate) fn series(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.entries.iter().map(|entry| entry.series).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn decode(&self, entry: &Entry) -> Result<Vec<f64>, DecodeError> {
        let end = entry.start.saturating_add(entry.len);
        let bytes = self.columns.get(entry.start..end).ok_or(DecodeError::Truncated)?;
        column::decode(bytes, self.rows)
    }
}

fn limited(value: usize, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
    if value <= limit { Ok(value) } else { Err(DecodeError::TooLarge { what, limit }) }
}

/// One unpacked column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The series, by the number it has in the database.
    pub series: u32,
    /// What the column holds.
    pub field: Field,
    /// One value per time; NaN where nothing was measured.
    pub values: Vec<f64>,
}

/// A block, unpacked.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The times.
    pub times: Vec<Timestamp>,
    /// The columns.
    pub columns: Vec<Column>,
}

/// Unpacks a whole block: for tools and for fuzzing. Never panics, whatever the bytes.
///
/// # Errors
/// When the bytes are no block, damaged, or exceed a limit.
pub fn decode_block(bytes: &[u8]) -> Result<Block, DecodeError> {
    let reader = BlockReader::new(bytes)?;
    limited(reader.rows.saturating_mul(reader.entries.len()), MAX_BLOCK_VALUES, "values")?;
    let times = reader.times()?.into_iter().map(Timestamp::from_unix_ms).collect();
    let columns = reader
        .entries
        .iter()
        .map(|entry| {
            let values = reader.decode(entry)?;
            Ok(Column { series: entry.series, field: entry.field, values })
        })
        .collect::<Result<_, DecodeError>>()?;
    Ok(Block { times, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn build(times: &[i64], columns: &[(u32, Field, Vec<f64>)]) -> Vec<u8> {
        let mut builder = BlockBuilder::new(times.to_vec());
        for (series, field, values) in columns {
            builder.column(*series, *field, values);
        }
        builder.finish()
    }

    #[test]
    fn one_column_is_read_without_the_others() {
        let times: Vec<i64> = (0..10).map(|n| n * 5_000).collect();
        let bytes = build(
            &times,
            &[
                (3, Field::Value, vec![1.5; 10]),
                (7, Field::Value, vec![f64::NAN; 10]),
                (900, Field::Value, (0..10).map(f64::from).collect()),
            ],
        );
        let reader = BlockReader::new(&bytes).expect("a block");
        assert_eq!(reader.times().expect("times"), times);
        assert_eq!(reader.series(), [3, 900]);
        assert_eq!(reader.column(3, Field::Value), Ok(Some(vec![1.5; 10])));
        assert_eq!(reader.column(7, Field::Value), Ok(None));
        assert_eq!(reader.column(900, Field::Min), Ok(None));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = build(&[0, 5_000, 10_000], &[(1, Field::Value, vec![1.0, 2.5, f64::NAN])]);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(decode_block(&damaged).is_err(), "byte {at} bit {bit}");
            }
        }
        for len in 0..bytes.len() {
            assert!(decode_block(&bytes[..len]).is_err(), "first {len} bytes");
        }
    }

    #[test]
    fn claims_do_not_make_us_reserve_memory() {
        for claim in [
            vec![0xff, 0xff, 0x7f, 0, 0],
            vec![1, 0, 0xff, 0xff, 0xff, 0x7f],
            vec![1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0],
        ] {
            assert!(decode_block(&sealed(&claim)).is_err(), "{claim:?}");
        }
    }

    proptest! {
        #[test]
        fn blocks_come_back(rows in 0_usize..80, seeds in prop::collection::vec((1_u32..50, any::<u64>()), 0..12)) {
            let times: Vec<i64> = (0..rows as i64).map(|n| n * 5_000).collect();
            let mut series = 0;
            let columns: Vec<_> = seeds.iter().map(|(step, seed)| {
                series += step;
                let values = (0..rows as u64).map(|n| {
                    let mixed = (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                    if mixed % 7 == 0 { f64::NAN } else { mixed as f64 / 100.0 }
                }).collect::<Vec<f64>>();
                (series, Field::Value, values)
            }).collect();
            let block = decode_block(&build(&times, &columns)).expect("decodes");
            prop_assert_eq!(block.times.len(), rows);
            let kept: Vec<_> = columns.iter().filter(|(_, _, v)| v.iter().any(|x| !x.is_nan())).collect();
            prop_assert_eq!(block.columns.len(), kept.len());
            for (got, (series, _, values)) in block.columns.iter().zip(kept) {
                prop_assert_eq!(got.series, *series);
                for (a, b) in got.values.iter().zip(values) {
                    prop_assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
                }
            }
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode_block(&bytes);
            let _ = decode_block(&sealed(&bytes));
        }

        #[test]
        fn damage_under_a_valid_checksum_never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
            let times: Vec<i64> = (0..60).map(|n| n * 5_000 + n % 3).collect();
            let columns: Vec<_> = (0..6).map(|s| {
                (s, Field::Value, (0..60).map(|n| f64::from((n * 37 * (s + 1)) % 101) / 10.0).collect())
            }).collect();
            let mut body = build(&times, &columns).split_off(8);
            for (at, byte) in flips {
                let at = at.index(body.len());
                body[at] ^= byte;
            }
            let _ = decode_block(&sealed(&body));
        }
    }
}
