//! One series' values in a block: which were measured, and how they become integers.
//!
//! Values that came through [`crate::precision`] are decimals or floats with few bits; both are
//! integers in disguise. A transformation is used only if it gives every value back bit for bit.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

use super::DecodeError;
use super::bytes::{Cursor, pack, packed_len, unpack};
use super::integers;
use crate::precision::POWERS_OF_TEN;

/// No value was measured.
const EMPTY: u8 = 0;
/// Integers divided by a power of ten; the exponent follows.
const DECIMAL: u8 = 1;
/// Float bit patterns shifted right; the shift follows.
const SHIFTED: u8 = 2;
/// Floats by pco.
const PCO_FLOAT: u8 = 3;
/// Floats as they are.
const PLAIN: u8 = 4;
/// Set when a bitmap says which values were measured; otherwise all were.
const HAS_GAPS: u8 = 0x80;

/// Decimal places that are tried.
const MOST_DECIMALS: usize = 6;
/// Integers up to here are exact in a float.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;
/// Fewer free low bits than this are not worth a shift.
const WORTH_SHIFT_BITS: u32 = 12;

/// Appends a column; NaN means not measured.
pub(super) fn encode(out: &mut Vec<u8>, values: &[f64]) {
    let present: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    if present.is_empty() {
        out.push(EMPTY);
        return;
    }
    let at = out.len();
    out.push(0);
    let gaps = present.len() < values.len();
    if gaps {
        pack(out, values.iter().map(|value| u64::from(!value.is_nan())), 1);
    }
    let kind = encode_present(out, &present);
    if let Some(first) = out.get_mut(at) {
        *first = kind | if gaps { HAS_GAPS } else { 0 };
    }
}

/// Reads a column of a known length that fills the bytes.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Vec<f64>, DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let head = cursor.byte()?;
    if head == EMPTY {
        return if cursor.is_empty() {
            Ok(vec![f64::NAN; count])
        } else {
            Err(DecodeError::Malformed("bytes after the end of an empty column"))
        };
    }
    if head & HAS_GAPS == 0 {
        return decode_present(head, cursor, count);
    }
    let bitmap = cursor.take(packed_len(count, 1))?;
    let ones: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
    let present = decode_present(head & !HAS_GAPS, cursor, ones as usize)?;
    let mut source = present.into_iter();
    let values: Vec<f64> = unpack(bitmap, count, 1)?
        .map(|bit| if bit == 1 { source.next().unwrap_or(f64::NAN) } else { f64::NAN })
        .collect();
    match source.next() {
        None => Ok(values),
        Some(_) => Err(DecodeError::Malformed("more values than the bitmap has room for")),
    }
}

fn encode_present(out: &mut Vec<u8>, values: &[f64]) -> u8 {
    let at = out.len();
    let decimal = as_decimals(values);
    let shift =
        values.iter().map(|value| value.to_bits().trailing_zeros()).min().unwrap_or(0).min(63);
    if let Some((exponent, numbers)) = &decimal {
        out.push(*exponent);
        integers::encode(out, numbers);
    }
    let decimal_len = out.len() - at;
    // A constant, a counter: the decimal form is as small as it gets.
    let good_enough = decimal.is_some() && decimal_len <= 2 + values.len() / 2;
    if shift >= WORTH_SHIFT_BITS && !good_enough {
        let numbers: Vec<i64> =
            values.iter().map(|value| value.to_bits().cast_signed() >> shift).collect();
        let mut shifted = vec![shift as u8];
        integers::encode(&mut shifted, &numbers);
        if decimal.is_none() || shifted.len() < decimal_len {
            out.truncate(at);
            out.extend_from_slice(&shifted);
            return SHIFTED;
        }
    }
    if decimal.is_some() {
        return DECIMAL;
    }
    match simple_compress(values, &ChunkConfig::default()) {
        Ok(compressed) if compressed.len() < values.len() * 8 => {
            out.extend_from_slice(&compressed);
            PCO_FLOAT
        }
        _ => {
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            PLAIN
        }
    }
}

fn decode_present(kind: u8, mut cursor: Cursor<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    match kind {
        DECIMAL => {
            let power = *POWERS_OF_TEN
                .get(usize::from(cursor.byte()?))
                .ok_or(DecodeError::Malformed("too many decimal places"))?;
            let numbers = integers::decode(cursor.rest(), count)?;
            #[expect(clippy::cast_precision_loss, reason = "the encoder takes exact ones only")]
            Ok(numbers.into_iter().map(|number| number as f64 / power).collect())
        }
        SHIFTED => {
            let shift = u32::from(cursor.byte()?);
            if shift > 63 {
                return Err(DecodeError::Malformed("a shift of more than 63 bits"));
            }
            let numbers = integers::decode(cursor.rest(), count)?;
            Ok(numbers
                .into_iter()
                .map(|number| f64::from_bits((number << shift).cast_unsigned()))
                .collect())
        }
        PCO_FLOAT => {
            let mut values = vec![0.0; count];
            let progress = simple_decompress_into(cursor.rest(), &mut values)
                .map_err(|source| DecodeError::Pco(source.to_string()))?;
            if progress.n_processed == count && progress.finished {
                Ok(values)
            } else {
                Err(DecodeError::Malformed("a compressed column has another length than its block"))
            }
        }
        PLAIN => {
            let (chunks, rest) = cursor.rest().as_chunks::<8>();
            if chunks.len() != count || !rest.is_empty() {
                return Err(DecodeError::Truncated);
            }
            Ok(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect())
        }
        _ => Err(DecodeError::Malformed("unknown column encoding")),
    }
}

/// The values as integers over the smallest power of ten that gives all of them back bit for bit.
fn as_decimals(values: &[f64]) -> Option<(u8, Vec<i64>)> {
    let mut numbers = Vec::with_capacity(values.len());
    'exponents: for (exponent, power) in POWERS_OF_TEN.iter().enumerate().take(MOST_DECIMALS + 1) {
        numbers.clear();
        for value in values {
            let scaled = (value * power).round();
            let exact = scaled.abs() < EXACT_INTEGERS
                && (scaled / power + 0.0).to_bits() == value.to_bits();
            if !exact {
                continue 'exponents;
            }
            #[expect(clippy::cast_possible_truncation, reason = "below 2^53, and whole")]
            numbers.push(scaled as i64);
        }
        return Some((exponent as u8, numbers));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::Precision;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> usize {
        let mut out = Vec::new();
        encode(&mut out, values);
        let back = decode(&out, values.len()).expect("decodes");
        let bits = |values: &[f64]| -> Vec<Option<u64>> {
            values.iter().map(|v| (!v.is_nan()).then_some(v.to_bits())).collect()
        };
        assert_eq!(bits(&back), bits(values));
        out.len()
    }

    #[test]
    fn typical_columns_are_small() {
        let noisy = |n: u32| {
            40.0 + f64::from(n.wrapping_mul(2_654_435_761_u32).wrapping_mul(n | 1) % 1_000) / 97.0
        };
        let percent = Precision::Decimals(2);
        let rate = Precision::MantissaBits(10);
        for (name, values, limit) in [
            ("nothing", vec![], 1),
            ("all gaps", vec![f64::NAN; 720], 1),
            ("constant", vec![0.1; 720], 5),
            ("minus zero", vec![-0.0; 720], 12),
            ("one gap", [vec![5.0; 719], vec![f64::NAN]].concat(), 96),
            ("percent", (0..720).map(|n| percent.round(noisy(n))).collect(), 1_000),
            ("rate", (0..720).map(|n| rate.round(noisy(n) * 1e6)).collect(), 1_000),
            ("infinite", vec![f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324], 40),
        ] {
            let size = round_trip(&values);
            assert!(size <= limit, "{name}: {size} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_floats_come_back(values in prop::collection::vec(any::<f64>(), 0..300)) {
            round_trip(&values);
        }

        #[test]
        fn readings_with_gaps_come_back(values in prop::collection::vec(prop_oneof![Just(f64::NAN), (0_u32..100_000).prop_map(|n| f64::from(n) / 100.0)], 0..900)) {
            round_trip(&values);
        }

        #[test]
        fn garbage_is_an_error_or_numbers(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..500) {
            if let Ok(values) = decode(&bytes, count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }
}
