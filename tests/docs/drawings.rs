//! Each drawing is the one of its text, on a light page and on a dark one. `KANARY_SNAPSHOTS=write` draws them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::{
    drawing::draw,
    files,
    palette::{DARK, LIGHT},
    repository,
};

fn folder() -> PathBuf {
    repository().join("docs/drawings")
}

#[test]
fn the_drawings_are_those_of_the_texts() {
    let writes = std::env::var("KANARY_SNAPSHOTS").is_ok_and(|value| value == "write");
    let mut expected = BTreeSet::new();
    for text in files(&folder(), "txt") {
        for theme in [&LIGHT, &DARK] {
            let name = text.file_stem().expect("a name").to_string_lossy();
            let drawn = draw(&fs::read_to_string(&text).expect("text"), theme);
            let drawn = drawn.unwrap_or_else(|why| panic!("{}: {why}", text.display()));
            let svg = folder().join(format!("{name}-{}.svg", theme.name));
            if writes {
                fs::write(&svg, &drawn).expect("the drawing is written");
            }
            let known = fs::read_to_string(&svg).unwrap_or_default();
            assert!(known == drawn, "{}: is not what its text draws; KANARY_SNAPSHOTS=write draws it", svg.display());
            expected.insert(svg);
        }
    }
    let there: BTreeSet<PathBuf> = files(&folder(), "svg").into_iter().collect();
    assert_eq!(there, expected, "drawings without a text");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("box a plain 1,2 3x4", "there is no `size`"),
        ("size 10x10\nbox a plain 1;2 3x4", "line 2: 1;2 is not two numbers"),
        ("size 10x10\n\nbox a pink 1,2 3x4", "line 3: no style pink"),
        ("size 10x10\narrow request a.left b.left", "line 2: there is no box a above"),
        ("size 10x10\nbox a plain 1,2 3x4\narrow request a.up a.left", "line 3: up is not a side"),
        ("size 10x10\nphase Done", "line 2: there is no phase Done"),
        ("size 10x10\ncircle", "line 2: not understood: circle"),
    ];
    for (text, why) in cases {
        let fault = draw(text, &LIGHT).expect_err(text);
        assert!(fault.starts_with(why), "{fault}");
    }
}
