//! The newest open frame of each resource, on which the next one is packed.
//!
//! What must hold: what is remembered of a resource is the row of it that was written last and is
//! still there. So after a transaction that did not commit everything is forgotten, and after
//! rows of a resource were deleted, what was remembered of it. Whatever is not remembered costs
//! bytes only: the next frame stands alone.

use std::collections::HashMap;

use crate::block::{Form, pack_difference, pack_whole};

/// A frame that stands alone comes at least this often: one damaged row costs no more than these.
const MAX_DIFFERENCES: u32 = 59;
/// Values that are remembered over all resources (64 MiB); frames of further ones stand alone.
const MAX_VALUES: usize = 8 << 20;

#[derive(Debug)]
struct Last {
    layout: i64,
    at: i64,
    /// How many differences were written since the last frame that stands alone.
    differences: u32,
    values: Vec<f64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Chains {
    last: HashMap<i64, Last>,
    values: usize,
    packed: Vec<u8>,
}

impl Chains {
    /// Packs a frame for its row.
    pub(super) fn pack(
        &mut self,
        resource: i64,
        layout: i64,
        at: i64,
        values: &[f64],
    ) -> (Form, &[u8]) {
        let last = self.last.get(&resource).filter(|last| {
            last.layout == layout
                && last.values.len() == values.len()
                && last.differences < MAX_DIFFERENCES
        });
        let form = match last {
            Some(last) => {
                let distance = at.wrapping_sub(last.at);
                pack_difference(&mut self.packed, distance, &last.values, values);
                Form::Difference
            }
            None => pack_whole(&mut self.packed, values),
        };
        if form == Form::Difference && self.packed.len() >= values.len() * 8 {
            let form = pack_whole(&mut self.packed, values);
            return (form, &self.packed);
        }
        (form, &self.packed)
    }

    /// Takes note that a packed frame became a row.
    pub(super) fn written(
        &mut self,
        resource: i64,
        layout: i64,
        at: i64,
        form: Form,
        values: &[f64],
    ) {
        let mut last = match self.last.remove(&resource) {
            Some(last) => {
                self.values -= last.values.len();
                last
            }
            None => Last { layout, at, differences: 0, values: Vec::new() },
        };
        if self.values + values.len() > MAX_VALUES {
            return;
        }
        last.differences = if form == Form::Difference { last.differences + 1 } else { 0 };
        (last.layout, last.at) = (layout, at);
        last.values.clear();
        last.values.extend_from_slice(values);
        self.values += values.len();
        self.last.insert(resource, last);
    }

    /// Rows of a resource were deleted.
    pub(super) fn forget(&mut self, resource: i64) {
        if let Some(last) = self.last.remove(&resource) {
            self.values -= last.values.len();
        }
    }

    /// A transaction did not commit, or rows of any resource were deleted.
    pub(super) fn forget_all(&mut self) {
        self.last.clear();
        self.values = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_stands_alone_when_it_must() {
        let mut chains = Chains::default();
        let mut forms = String::new();
        let many = MAX_DIFFERENCES as i64 + 2;
        let mut put = |chains: &mut Chains, layout, at, values: &[f64]| {
            let (form, _) = chains.pack(1, layout, at, values);
            chains.written(1, layout, at, form, values);
            forms.push_str(&form.code().to_string());
        };
        for at in 0..many {
            put(&mut chains, 1, at, &[7.0; 9]);
        }
        put(&mut chains, 2, many, &[7.0; 9]);
        put(&mut chains, 2, many, &[7.0; 10]);
        put(&mut chains, 2, many, &[8.0; 10]);
        chains.forget(1);
        put(&mut chains, 2, many, &[8.0; 10]);
        put(&mut chains, 2, many, &[8.0; 10]);
        chains.forget_all();
        put(&mut chains, 2, many, &[8.0; 10]);
        assert_eq!(chains.values, 10);
        let differences = "2".repeat(MAX_DIFFERENCES as usize);
        assert_eq!(forms, format!("1{differences}1112121"));
    }
}
