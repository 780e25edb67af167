//! Ways in for the fuzz targets to the form in which history is stored.

use crate::block::{
    BlockBuilder, BlockReader, Field, Form, FrameReader, MAX_BLOCK_COLUMNS, MAX_BLOCK_ROWS,
    MAX_BLOCK_VALUES, decode_block, pack_difference, pack_whole, sealed,
};

/// Bytes as a block, and as what stands below a block's checksum: an error or a block within the
/// limits, which is stored and read again as it was.
pub fn stored_block(bytes: &[u8]) {
    open_frames(bytes);
    for bytes in [bytes, &sealed(bytes)] {
        let Ok(block) = decode_block(bytes) else { continue };
        let rows = block.times.len();
        assert!(rows <= MAX_BLOCK_ROWS);
        assert!(rows * block.columns.len() <= MAX_BLOCK_VALUES);
        assert!(block.columns.iter().all(|column| column.values.len() == rows));
        // Packing takes a hundred times as long as unpacking.
        if rows * block.columns.len() > 20_000 {
            continue;
        }

        let mut again = BlockBuilder::new(block.times.iter().map(|at| at.as_unix_ms()).collect());
        for column in &block.columns {
            again.column(column.series, column.field, &column.values);
        }
        let again = decode_block(&again.finish());
        assert!(again.is_ok(), "{again:?}");
        let Ok(again) = again else { continue };
        assert_eq!(again.times, block.times);
        // What holds nothing is not kept.
        let kept = block.columns.iter().filter(|column| !column.values.iter().all(|v| v.is_nan()));
        assert!(
            kept.map(|column| (column.series, column.field, bits(&column.values)))
                .eq(again.columns.iter().map(|c| (c.series, c.field, bits(&c.values))))
        );
    }
}

/// Bytes as rows of frames that are not sealed, cut where a byte says: each is an error or values
/// within the limits, which are packed and read again as they were.
fn open_frames(bytes: &[u8]) {
    let (mut reader, mut again) = (FrameReader::default(), FrameReader::default());
    let mut before: Option<Vec<f64>> = None;
    let mut packed = Vec::new();
    let mut rest = bytes;
    // A short row can claim the most values; so many are enough.
    for _ in 0..16 {
        let Some((&head, after)) = rest.split_first() else { break };
        let (row, after) = after.split_at(after.len().min(usize::from(head >> 2)));
        rest = after;
        // All at the same time, so that a difference can stand on the row before it.
        let Ok(values) = reader.next(1, 0, i64::from(head & 3), row) else {
            before = None;
            continue;
        };
        assert!(values.len() <= MAX_BLOCK_COLUMNS);
        let form = match &before {
            Some(before) if before.len() == values.len() => {
                pack_difference(&mut packed, 0, before, values);
                Form::Difference
            }
            _ => pack_whole(&mut packed, values),
        };
        let read = again.next(1, 0, form.code(), &packed);
        let plain = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(read.map(plain), Ok(plain(values)));
        before = Some(values.to_vec());
    }
}

/// Any times and values: what is stored is read again, bit for bit.
pub fn round_trip(bytes: &[u8]) {
    let Some((&[rows, shape], rest)) = bytes.split_first_chunk::<2>() else { return };
    let numbers: Vec<i64> = match shape / 4 % 4 {
        0 => rest.as_chunks::<8>().0.iter().map(|eight| i64::from_le_bytes(*eight)).collect(),
        1 => rest.as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two).into()).collect(),
        2 => rest.iter().map(|&one| one.into()).collect(),
        // Few changes and many gaps.
        _ => rest.iter().flat_map(|&one| vec![i64::from(one >> 4); 1 << (one & 7)]).collect(),
    };
    #[expect(clippy::cast_precision_loss, reason = "any value will do")]
    let value = |number: i64| match shape % 4 {
        0 => f64::from_bits(number.cast_unsigned()),
        1 => number as f64,
        2 => number as f64 / 100.0,
        _ if number % 3 == 0 => f64::NAN,
        _ => f64::from(number as f32),
    };
    let rows = usize::from(rows) * usize::from(shape / 16) + 1;
    let (times, rest) = numbers.split_at(rows.min(numbers.len()));
    let columns: Vec<Vec<f64>> = rest
        .chunks_exact(times.len().max(1))
        .map(|column| column.iter().copied().map(value).collect())
        .collect();

    let mut block = BlockBuilder::new(times.to_vec());
    for (series, values) in (0..).step_by(3).zip(&columns) {
        block.column(series, Field::Value, values);
    }
    let stored = block.finish();
    let reader = BlockReader::new(&stored);
    assert!(reader.is_ok(), "{reader:?}");
    let Ok(reader) = reader else { return };
    assert_eq!(reader.times().as_deref(), Ok(times));
    for (series, values) in (0..).step_by(3).zip(&columns) {
        let got = reader.column(series, Field::Value).map(|got| got.map(|got| bits(&got)));
        let bits = bits(values);
        assert_eq!(got, Ok(bits.iter().any(Option::is_some).then_some(bits)));
    }
}

/// Bit for bit; all gaps are alike.
fn bits(values: &[f64]) -> Vec<Option<u64>> {
    values.iter().map(|value| (!value.is_nan()).then_some(value.to_bits())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_break_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            super::stored_block(&bytes);
            super::round_trip(&bytes);
        }
    }
}
