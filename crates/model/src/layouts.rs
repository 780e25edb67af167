//! One layout for all nodes whose frames have the same columns.
//!
//! A layout has some 35 KB where a node has eight GPUs, and the nodes of a fleet have few different
//! ones. What must hold: a shared layout never changes; a node that gets another column gets another
//! layout.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::frame::Layout;

/// Layouts that nodes have now, among which an equal one is looked for. Bounded: with more different
/// ones, those that came first are not shared with later nodes any more.
#[derive(Debug, Default)]
pub struct SharedLayouts(Mutex<Vec<Weak<Layout>>>);

impl SharedLayouts {
    /// How many different layouts are looked through.
    pub const MAX: usize = 32;

    /// The layout that is shared by all who have an equal one.
    #[must_use]
    pub fn share(&self, layout: Arc<Layout>) -> Arc<Layout> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|kept| kept.strong_count() > 0);
        let equal = all.iter().filter_map(Weak::upgrade).find(|kept| **kept == *layout);
        equal.unwrap_or_else(|| {
            if all.len() >= Self::MAX {
                all.remove(0);
            }
            all.push(Arc::downgrade(&layout));
            layout
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn layout(instance: &str) -> Arc<Layout> {
        let mut layout = Layout::default();
        layout.slot_or_insert(catalogue::FILESYSTEM_USED, instance);
        Arc::new(layout)
    }

    #[test]
    fn nodes_with_the_same_columns_share_a_layout() {
        let shared = SharedLayouts::default();
        let (root, data) = (shared.share(layout("/")), shared.share(layout("/data")));
        assert!(Arc::ptr_eq(&root, &shared.share(layout("/"))));
        assert!(!Arc::ptr_eq(&root, &data));
        drop(data);
        let all: Vec<_> = (0..2 * SharedLayouts::MAX)
            .map(|number| shared.share(layout(&format!("/{number}"))))
            .collect();
        let kept = shared.0.lock().expect("nobody panicked").len();
        assert_eq!(kept, SharedLayouts::MAX, "what nobody has any more is forgotten");
        let again = |last: &Arc<Layout>| shared.share(Arc::new(Layout::clone(last)));
        assert!(all.last().is_some_and(|last| Arc::ptr_eq(last, &again(last))));
    }
}
