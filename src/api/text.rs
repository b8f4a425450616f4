//! Texts from outside that go into a status, an event or a log: bounded, and with both their ends.

/// The most bytes of one text in a status. The note of an event may have 1,024.
pub const MOST: usize = 1000;

/// What stands for the part that is left out.
const GAP: &str = " … ";

/// A text of at most `most` bytes. The cause is as a rule at the end, and what it is about at the beginning, so the middle is
/// left out. A second time changes nothing.
#[must_use]
pub fn clip(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let half = most.saturating_sub(GAP.len()) / 2;
    let head = (0..=half).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let tail = (text.len() - half..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    format!("{}{GAP}{}", &text[..head], &text[tail..])
}

/// The same in place, for a text of a status. A control character is none of a text, and takes six bytes in JSON.
pub fn bound(text: &mut String) {
    bound_to(text, MOST);
}

/// The same, to that many bytes.
pub fn bound_to(text: &mut String, most: usize) {
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if text.len() > most {
        *text = clip(text, most);
    }
    if text.contains(is_control) {
        // In ASCII: a control character of two bytes becomes one of one byte.
        *text = text.replace(is_control, " ");
    }
}

/// The beginning of a text, of at most this many characters, on one line.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most + 1).collect();
    if flat.chars().count() <= most { flat } else { flat.chars().take(most).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_long_text_stay() {
        let text = format!("create Pod: {}: Required value", "é".repeat(5_000));
        let clipped = clip(&text, 100);
        assert!(clipped.len() <= 100, "{} bytes", clipped.len());
        assert!(clipped.starts_with("create Pod") && clipped.ends_with("Required value"), "{clipped}");
        assert_eq!(clip(&clipped, 100), clipped);
        assert_eq!(clip("short", 100), "short");
    }

    #[test]
    fn what_others_say_is_bounded() {
        assert_eq!(shortened("aäb\ncd", 4), "aäb …");
        assert_eq!(shortened("aäb", 3), "aäb");
    }
}
