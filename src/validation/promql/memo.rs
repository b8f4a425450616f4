//! Remembers what was made of a text. The results are those of pure functions, so it changes nothing but the time.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// More texts than all canaries of a large cluster have at once.
const MOST: usize = 4096;

pub struct Memo<V>(LazyLock<Mutex<HashMap<String, Arc<V>>>>);

impl<V> Memo<V> {
    pub const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// What was made of this text, or what is made of it now.
    pub fn get(&self, text: &str, make: impl FnOnce() -> V) -> Arc<V> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = known().get(text) {
            return made.clone();
        }
        let made = Arc::new(make());
        let mut known = known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(text.to_owned(), made.clone());
        made
    }
}
