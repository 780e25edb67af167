//! Sequences of integers: the smallest of a few encodings.
//!
//! Short sequences and simple shapes (one value, few changes, steady steps) are better off without
//! pco's header; everything else goes to pco.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::DecodeError;
use super::bytes::{Cursor, pack, packed_len, put_signed, put_varint, unpack, varint_len, zigzag};

const CONSTANT: u8 = 0;
const PACKED: u8 = 1;
const DELTA_PACKED: u8 = 2;
const RUNS: u8 = 3;
const PCO: u8 = 4;

/// pco is tried when the best simple encoding needs at least this many bytes; below, its own
/// header eats the gain.
const WORTH_PCO_BYTES: usize = 40;
/// pco's level; higher ones gain below one percent on such short columns for twice the time.
const PCO_LEVEL: usize = 8;

/// Appends the sequence. Its length is not stored: the reader knows it.
pub(super) fn encode(out: &mut Vec<u8>, values: &[i64]) {
    let Some(shape) = Shape::of(values) else { return };
    let best = shape.best();
    let (kind, size) = best;
    if size >= WORTH_PCO_BYTES {
        let config = ChunkConfig::default().with_compression_level(PCO_LEVEL);
        if let Ok(compressed) = simple_compress(values, &config)
            && compressed.len() + 1 < size
        {
            out.push(PCO);
            out.extend_from_slice(&compressed);
            return;
        }
    }
    out.push(kind);
    match kind {
        CONSTANT => put_signed(out, shape.first),
        PACKED => {
            put_signed(out, shape.min);
            out.push(shape.width as u8);
            pack(out, values.iter().map(|&v| offset(v, shape.min)), shape.width);
        }
        DELTA_PACKED => {
            put_signed(out, shape.first);
            put_signed(out, shape.min_delta);
            out.push(shape.delta_width as u8);
            let deltas = deltas(values).map(|delta| offset(delta, shape.min_delta));
            pack(out, deltas, shape.delta_width);
        }
        _ => put_runs(out, values),
    }
}

/// Reads a sequence of a known length that fills the bytes.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Vec<i64>, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    if count == 0 {
        return if cursor.is_empty() { Ok(Vec::new()) } else { Err(TRAILING) };
    }
    match cursor.byte()? {
        CONSTANT => {
            let value = cursor.signed()?;
            if cursor.is_empty() { Ok(vec![value; count]) } else { Err(TRAILING) }
        }
        PACKED => {
            let min = cursor.signed()?;
            let width = u32::from(cursor.byte()?);
            let numbers = unpack(cursor.rest(), count, width)?;
            Ok(numbers.map(|number| min.wrapping_add(number.cast_signed())).collect())
        }
        DELTA_PACKED => {
            let mut value = cursor.signed()?;
            let min_delta = cursor.signed()?;
            let width = u32::from(cursor.byte()?);
            let numbers = unpack(cursor.rest(), count - 1, width)?;
            let mut values = Vec::with_capacity(count);
            values.push(value);
            values.extend(numbers.map(|number| {
                value = value.wrapping_add(min_delta).wrapping_add(number.cast_signed());
                value
            }));
            Ok(values)
        }
        RUNS => read_runs(cursor, count),
        PCO => {
            let mut values = vec![0_i64; count];
            let progress = simple_decompress_into(cursor.rest(), &mut values)
                .map_err(|source| DecodeError::Pco(source.to_string()))?;
            if progress.n_processed == count && progress.finished {
                Ok(values)
            } else {
                Err(DecodeError::Malformed("a compressed column has another length than its block"))
            }
        }
        _ => Err(DecodeError::Malformed("unknown integer encoding")),
    }
}

const TRAILING: DecodeError = DecodeError::Malformed("bytes after the end of a column");

fn deltas(values: &[i64]) -> impl Iterator<Item = i64> {
    values.iter().zip(values.iter().skip(1)).map(|(before, after)| after.wrapping_sub(*before))
}

fn offset(value: i64, from: i64) -> u64 {
    value.wrapping_sub(from).cast_unsigned()
}

fn bits(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// What the choice of encoding depends on.
struct Shape {
    count: usize,
    first: i64,
    min: i64,
    width: u32,
    min_delta: i64,
    delta_width: u32,
    runs_len: usize,
    constant: bool,
}

impl Shape {
    fn of(values: &[i64]) -> Option<Self> {
        let &first = values.first()?;
        let (min, max) = (values.iter().min().copied()?, values.iter().max().copied()?);
        let min_delta = deltas(values).min().unwrap_or(0);
        let max_delta = deltas(values).max().unwrap_or(0);
        let delta_width = bits(offset(max_delta, min_delta));
        let runs_len = runs(values)
            .map(|(delta, len)| varint_len(zigzag(delta)) + varint_len(len))
            .fold(0_usize, usize::saturating_add);
        Some(Self {
            count: values.len(),
            first,
            min,
            width: bits(offset(max, min)),
            min_delta,
            delta_width,
            runs_len,
            constant: min == max,
        })
    }

    /// The smallest simple encoding and its size without the kind byte.
    fn best(&self) -> (u8, usize) {
        if self.constant {
            return (CONSTANT, varint_len(zigzag(self.first)));
        }
        let packed = varint_len(zigzag(self.min)) + 1 + packed_len(self.count, self.width);
        let delta = varint_len(zigzag(self.first))
            + varint_len(zigzag(self.min_delta))
            + 1
            + packed_len(self.count - 1, self.delta_width);
        let mut best = (PACKED, packed);
        for candidate in [(DELTA_PACKED, delta), (RUNS, self.runs_len)] {
            if candidate.1 < best.1 {
                best = candidate;
            }
        }
        best
    }
}

/// Runs of equal values: each value's difference to the run before, and the run's length.
fn runs(values: &[i64]) -> impl Iterator<Item = (i64, u64)> {
    let mut before = 0_i64;
    values.chunk_by(|left, right| left == right).map(move |run| {
        let value = run.first().copied().unwrap_or(0);
        let delta = value.wrapping_sub(before);
        before = value;
        (delta, run.len() as u64)
    })
}

fn put_runs(out: &mut Vec<u8>, values: &[i64]) {
    for (delta, len) in runs(values) {
        put_signed(out, delta);
        put_varint(out, len);
    }
}

fn read_runs(mut cursor: Cursor<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    let mut values = Vec::with_capacity(count);
    let mut value = 0_i64;
    while !cursor.is_empty() {
        value = value.wrapping_add(cursor.signed()?);
        let len = cursor.size()?;
        if len > count - values.len() {
            return Err(DecodeError::Malformed("runs are longer than their block"));
        }
        values.resize(values.len() + len, value);
    }
    if values.len() == count { Ok(values) } else { Err(DecodeError::Truncated) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> usize {
        let mut out = Vec::new();
        encode(&mut out, values);
        assert_eq!(decode(&out, values.len()).expect("decodes"), values);
        out.len()
    }

    #[test]
    fn simple_shapes_are_tiny() {
        for (name, values, limit) in [
            ("nothing", Vec::new(), 0),
            ("one", vec![i64::MIN], 12),
            ("constant", vec![42; 720], 2),
            ("steady steps", (0..720).map(|n| 1_700_000_000_000 + n * 5_000).collect(), 11),
            ("one change", [vec![3; 300], vec![9; 420]].concat(), 8),
            ("extremes", vec![i64::MIN, i64::MAX, 0, -1], 40),
        ] {
            let size = round_trip(&values);
            assert!(size <= limit, "{name}: {size} bytes");
        }
    }

    proptest! {
        #[test]
        fn whatever_goes_in_comes_out(values in prop::collection::vec(any::<i64>(), 0..200)) {
            round_trip(&values);
        }

        #[test]
        fn small_numbers_too(values in prop::collection::vec(-50_i64..50, 0..2_000)) {
            round_trip(&values);
        }

        #[test]
        fn garbage_is_an_error_or_numbers(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..500) {
            if let Ok(values) = decode(&bytes, count) {
                prop_assert_eq!(values.len(), count);
            }
        }

        #[test]
        fn garbage_for_pco_is_an_error_or_numbers(mut bytes in prop::collection::vec(any::<u8>(), 1..300), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
            bytes[0] = PCO;
            let _ = decode(&bytes, 100);
            let values: Vec<i64> = (0..100).map(|n| (n * 7919) % 1000).collect();
            let mut good = vec![PCO];
            good.extend(simple_compress(&values, &ChunkConfig::default()).expect("compresses"));
            for (at, byte) in flips {
                let at = at.index(good.len() - 1) + 1;
                good[at] ^= byte;
            }
            let _ = decode(&good, 100);
        }
    }
}
