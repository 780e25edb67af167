//! A frame that is not sealed yet, packed: what differs from the frame that was written before it.
//!
//! ```text
//! whole:      number of values | changes from zeros
//! difference: time of the frame before, as a distance from this one's | changes from its values
//! change:     control byte | distance, if it is long | significant bytes, lowest first
//! control:    distance (2 bits) | zero bytes at the low end (3) | significant bytes less one (3)
//! ```
//! A change is the exclusive or of two floats' bits, without the zero bytes at its ends: floats
//! that stand for short numbers differ in few bytes. The distance counts the unchanged columns
//! since the change before; 3 says that it follows as a variable-length number, less 3. What comes
//! after the last change is unchanged.
//!
//! What must hold: every value comes back bit for bit; decoding never panics and needs no more
//! memory than [`MAX_BLOCK_COLUMNS`] values, whatever the bytes claim. Why this and not a block: a
//! frame is written every few seconds, and this costs nanoseconds per value.

use super::bytes::{Cursor, put_signed, put_varint};
use super::{DecodeError, MAX_BLOCK_COLUMNS};

/// From here on the distance does not fit the control byte.
const LONG_DISTANCE: u64 = 3;

/// How a row of `open_frame` is packed: its column `form`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// 8 bytes per value, as every version wrote them before there were forms.
    Plain,
    /// Stands alone.
    Whole,
    /// Stands on the row of the same resource that was written before it.
    Difference,
}

impl Form {
    /// The number in the database.
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::Whole => 1,
            Self::Difference => 2,
        }
    }

    pub(crate) fn from_code(code: i64) -> Result<Self, DecodeError> {
        [Self::Plain, Self::Whole, Self::Difference]
            .into_iter()
            .find(|form| form.code() == code)
            .ok_or(DecodeError::UnknownFormat)
    }
}

/// Packs a frame that stands alone, in the smaller form.
pub(crate) fn pack_whole(out: &mut Vec<u8>, values: &[f64]) -> Form {
    out.clear();
    if values.len() <= MAX_BLOCK_COLUMNS {
        put_varint(out, values.len() as u64);
        put_changes(out, values.iter().map(|value| value.to_bits()));
        if out.len() < values.len() * 8 {
            return Form::Whole;
        }
    }
    out.clear();
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    Form::Plain
}

/// Packs a frame as its difference to the one before, which has as many values. `distance`: its time
/// less the time of the one before.
pub(crate) fn pack_difference(out: &mut Vec<u8>, distance: i64, before: &[f64], values: &[f64]) {
    debug_assert_eq!(before.len(), values.len());
    out.clear();
    put_signed(out, distance);
    let changes = before.iter().zip(values).map(|(old, new)| old.to_bits() ^ new.to_bits());
    put_changes(out, changes);
}

fn put_changes(out: &mut Vec<u8>, changes: impl Iterator<Item = u64>) {
    let mut distance = 0_u64;
    for change in changes {
        if change == 0 {
            distance += 1;
            continue;
        }
        let low = change.trailing_zeros() / 8;
        let count = 8 - low - change.leading_zeros() / 8;
        out.push((distance.min(LONG_DISTANCE) << 6) as u8 | (low << 3) as u8 | (count - 1) as u8);
        if distance >= LONG_DISTANCE {
            put_varint(out, distance - LONG_DISTANCE);
        }
        let bytes = (change >> (low * 8)).to_le_bytes();
        out.extend_from_slice(bytes.get(..count as usize).unwrap_or_default());
        distance = 0;
    }
}

/// Unpacks the rows of one resource, in the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    /// Of the row before, if it could be read: its layout and its time.
    before: Option<(i64, i64)>,
    values: Vec<f64>,
}

impl FrameReader {
    /// The values of the next row. After an error the reader goes on at the next row that stands
    /// alone.
    pub(crate) fn next(
        &mut self,
        layout: i64,
        at: i64,
        form: i64,
        readings: &[u8],
    ) -> Result<&[f64], DecodeError> {
        let before = self.before.take();
        match Form::from_code(form)? {
            Form::Plain => {
                let (values, _) = readings.as_chunks::<8>();
                self.values.clear();
                self.values.extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            }
            Form::Whole => {
                let mut cursor = Cursor::new(readings);
                let count = super::limited(cursor.size()?, MAX_BLOCK_COLUMNS, "values")?;
                self.values.clear();
                self.values.resize(count, 0.0);
                take_changes(cursor, &mut self.values)?;
            }
            Form::Difference => {
                let mut cursor = Cursor::new(readings);
                let distance = cursor.signed()?;
                if before != Some((layout, at.wrapping_sub(distance))) {
                    return Err(DecodeError::Malformed(
                        "a frame stands on another one than the one before it",
                    ));
                }
                take_changes(cursor, &mut self.values)?;
            }
        }
        self.before = Some((layout, at));
        Ok(&self.values)
    }
}

fn take_changes(mut cursor: Cursor<'_>, values: &mut [f64]) -> Result<(), DecodeError> {
    let mut rest = values.iter_mut();
    while !cursor.is_empty() {
        let control = cursor.byte()?;
        let mut distance = u64::from(control >> 6);
        if distance == LONG_DISTANCE {
            distance = distance.saturating_add(cursor.varint()?);
        }
        let distance = usize::try_from(distance).map_err(|_| DecodeError::Truncated)?;
        let value =
            rest.nth(distance).ok_or(DecodeError::Malformed("a change after the last value"))?;
        let (low, count) = (u32::from(control >> 3 & 7), usize::from(control & 7) + 1);
        if low as usize + count > 8 {
            return Err(DecodeError::Malformed("a change of more than 8 bytes"));
        }
        let mut bytes = [0_u8; 8];
        for (byte, taken) in bytes.iter_mut().zip(cursor.take(count)?) {
            *byte = *taken;
        }
        *value = f64::from_bits(value.to_bits() ^ (u64::from_le_bytes(bytes) << (low * 8)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_change_costs_nothing() {
        let still = vec![41.7; 800];
        let mut warmer = still.clone();
        warmer[3] = 56.0;
        warmer[700] = 41.8;
        for (name, before, values, limit) in [
            ("nothing changed", &still, still.clone(), 2),
            ("two readings", &still, warmer, 22),
            ("whole numbers", &vec![55.0; 800], vec![56.0; 800], 2 + 800 * 3),
        ] {
            let mut out = Vec::new();
            pack_difference(&mut out, 5_000, before, &values);
            assert!(out.len() <= limit + 1, "{name}: {} bytes", out.len());
        }
        let mut out = Vec::new();
        assert_eq!(pack_whole(&mut out, &[0.1; 4]), Form::Plain, "noise is left as it is");
        assert_eq!(pack_whole(&mut out, &[0.0; 800]), Form::Whole);
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn a_row_on_the_wrong_one_is_refused_and_the_next_that_stands_alone_is_read() {
        let (mut whole, mut difference) = (Vec::new(), Vec::new());
        let form = pack_whole(&mut whole, &[1.0, 2.0]).code();
        pack_difference(&mut difference, 5, &[1.0, 2.0], &[1.0, 3.0]);
        let mut reader = FrameReader::default();
        for (layout, at, form, bytes, expected) in [
            (7, 15, 2, &difference, None),
            (7, 10, form, &whole, Some([1.0, 2.0])),
            (7, 15, 2, &difference, Some([1.0, 3.0])),
            (7, 16, 2, &difference, None),
            (7, 15, 2, &difference, None),
            (7, 10, form, &whole, Some([1.0, 2.0])),
            (8, 15, 2, &difference, None),
            (7, 10, 3, &whole, None),
        ] {
            let read = reader.next(layout, at, form, bytes).ok();
            assert_eq!(read, expected.as_ref().map(<[f64; 2]>::as_slice), "{layout} {at} {form}");
        }
    }

    fn readings() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            3 => Just(0.0),
            1 => any::<f64>(),
            1 => Just(f64::NAN),
            2 => (0_u32..500).prop_map(f64::from),
        ];
        prop::collection::vec(value, 0..40)
    }

    proptest! {
        #[test]
        fn any_frames_come_back(
            frames in prop::collection::vec((any::<i64>(), readings()), 0..12),
        ) {
            let mut reader = FrameReader::default();
            let mut before: Option<(i64, Vec<f64>)> = None;
            let mut out = Vec::new();
            for (at, values) in frames {
                let form = match &before {
                    Some((then, old)) if old.len() == values.len() => {
                        pack_difference(&mut out, at.wrapping_sub(*then), old, &values);
                        Form::Difference
                    }
                    _ => pack_whole(&mut out, &values),
                };
                let read = reader.next(1, at, form.code(), &out).expect("reads");
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(read), bits(&values));
                before = Some((at, values));
            }
        }
    }
}
