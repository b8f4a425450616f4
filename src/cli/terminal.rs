//! The only place that writes to standard output and standard error: whatever a text quotes of others is shown, not obeyed.
//!
//! Names, images, reasons and messages come from whoever may write to the cluster, or from files. An escape sequence in one
//! would redraw the line before it, and a bidi control or a character without width would make one image look like another.
//! Such a character is printed as `\u{1b}`, to a terminal and to a pipe alike. A new line and a tab stay.

use std::{
    borrow::Cow,
    hash::{BuildHasher, RandomState},
    io::{self, Write},
    sync::LazyLock,
};

use anstyle::Style;

/// What our own styles end with until they are printed: a number that no text of others can contain.
static OWN: LazyLock<String> = LazyLock::new(|| format!(";{}m", RandomState::new().hash_one("style")));

/// Our own styles are no longer than this.
const LONGEST_STYLE: usize = 40;

/// Would a terminal obey it, or not show it?
fn is_hidden(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        // Soft hyphen, joiners, fillers, bidi controls, separators of lines, operators without width, variation selectors,
        // tags and noncharacters.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}'
        | '\u{ffff}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        other => other.is_control(),
    }
}

/// The text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    let own = |sequence: String| sequence.replace('m', &OWN);
    format!("{}{text}{}", own(style.render().to_string()), own(style.render_reset().to_string()))
}

/// The bytes of a style of ours at the beginning of a text.
fn own_style(text: &str) -> Option<usize> {
    let end = text.bytes().take(LONGEST_STYLE).position(|byte| byte == b'm')? + 1;
    text.get(..end)?.ends_with(OWN.as_str()).then_some(end)
}

/// The text as it is printed, but for our own styles, which stay as they are. A second time changes nothing.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_hidden) {
        let (plain, hidden) = rest.split_at(at);
        shown.push_str(plain);
        if let Some(length) = own_style(hidden) {
            shown.push_str(&hidden[..length]);
            rest = &hidden[length..];
            continue;
        }
        let mut letters = hidden.chars();
        shown.extend(letters.next().into_iter().flat_map(char::escape_unicode));
        rest = letters.as_str();
    }
    Cow::Owned(shown + rest)
}

/// The same in one line: what is a name has no lines.
#[must_use]
pub fn inline(text: &str) -> String {
    visible(text).replace('\n', "\\u{a}")
}

/// JSON that means the same, with what is not visible in the escapes of JSON.
#[must_use]
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        match is_hidden(letter) {
            false => shown.push(letter),
            true => shown.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    shown
}

/// Is all of a text visible?
#[must_use]
pub fn is_visible(text: &str) -> bool {
    !text.contains(is_hidden)
}

/// What a terminal gets.
fn painted(text: &str) -> String {
    visible(text).replace(OWN.as_str(), "m")
}

/// Writes to standard output, without colours if it is not a terminal or NO_COLOR is set.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(painted(text).as_bytes()).and_then(|()| out.flush())
}

/// Writes a line to standard error.
pub fn complain(text: &str) {
    // Without standard error there is nobody to tell.
    drop(writeln!(anstream::stderr().lock(), "{}", painted(text)));
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_shown() {
        for (text, shown) in [
            ("web:2\u{1b}[2K\rweb:1", "web:2\\u{1b}[2K\\u{d}web:1"),
            ("\u{1b}]0;pwned\u{7}", "\\u{1b}]0;pwned\\u{7}"),
            ("web\u{202e}1:bew", "web\\u{202e}1:bew"),
            ("we\u{200b}b\u{9b}1m\u{7f}", "we\\u{200b}b\\u{9b}1m\\u{7f}"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("web:1 → web:2 …\n\tüé", "web:1 → web:2 …\n\tüé"),
        ] {
            assert_eq!(painted(text), shown);
            assert_eq!(visible(&visible(text)), visible(text));
        }
        assert_eq!(inline("web:2\nweb:1"), "web:2\\u{a}web:1");
    }

    #[test]
    fn our_own_styles_are_obeyed_and_those_within_are_not() {
        let red = AnsiColor::Red.on_default();
        let text = styled(red, "a\u{1b}[32mb");
        assert_eq!(painted(&text), "\u{1b}[31ma\\u{1b}[32mb\u{1b}[0m");
        assert_eq!(visible(&visible(&text)), visible(&text));
        assert_eq!(anstream::adapter::strip_str(&visible(&text)).to_string(), "a\\u{1b}[32mb");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}\u{7f}\u{e0001}\u{200b}ü"});
        let shown = visible_json(&value.to_string());
        assert!(is_visible(&shown), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), Some(value));
    }
}
