//! Remembers what was made of a text. The results are those of pure functions, so it changes only the time that it takes.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use parking_lot::Mutex;

/// Bytes of texts that are remembered: more than all canaries of a large cluster have at once. What is made of a text
/// is about as large as the text.
const MAX_BYTES: usize = 2 << 20;

pub struct Memo<V>(LazyLock<Mutex<Known<V>>>);

struct Known<V> {
    made: HashMap<String, Arc<V>>,
    bytes: usize,
}

impl<V> Default for Known<V> {
    fn default() -> Self {
        Self { made: HashMap::new(), bytes: 0 }
    }
}

impl<V> Memo<V> {
    pub const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// What was made of this text, or what is made of it now.
    pub fn get(&self, text: &str, make: impl FnOnce() -> V) -> Arc<V> {
        if let Some(made) = self.0.lock().made.get(text) {
            return made.clone();
        }
        let made = Arc::new(make());
        self.0.lock().keep(text, made.clone());
        made
    }
}

impl<V> Known<V> {
    fn keep(&mut self, text: &str, made: Arc<V>) {
        if self.bytes.saturating_add(text.len()) > MAX_BYTES {
            *self = Self::default();
        }
        self.bytes += text.len();
        self.made.insert(text.to_owned(), made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_no_more_than_it_may() {
        let memo = Memo::new();
        for n in 0..1000 {
            let text = format!("{n}{}", "x".repeat(16_384));
            assert_eq!(*memo.get(&text, || n), n);
            assert_eq!(*memo.get(&text, || n + 1), n, "it is known");
            let known = memo.0.lock();
            assert!(known.made.keys().map(String::len).sum::<usize>() <= MAX_BYTES);
        }
    }
}
