//! The colors of the drawings, on a light page and on a dark one.

/// Fill and outline of a box.
#[derive(Clone, Copy)]
pub struct Style {
    pub name: &'static str,
    pub fill: &'static str,
    pub stroke: &'static str,
}

/// All colors of one page.
pub struct Theme {
    pub name: &'static str,
    pub page: &'static str,
    pub text: &'static str,
    pub muted: &'static str,
    styles: [Style; 8],
}

const fn style(name: &'static str, fill: &'static str, stroke: &'static str) -> Style {
    Style { name, fill, stroke }
}

pub const LIGHT: Theme = Theme {
    name: "light",
    page: "#ffffff",
    text: "#1f2328",
    muted: "#59636e",
    styles: [
        style("plain", "#f6f8fa", "#818b98"),
        style("ghost", "none", "#818b98"),
        style("service", "#dafbe1", "#1a7f37"),
        style("base", "#ddf4ff", "#0969da"),
        style("canary", "#fff8c5", "#9a6700"),
        style("control", "#fbefff", "#8250df"),
        style("good", "#dafbe1", "#1a7f37"),
        style("bad", "#ffebe9", "#cf222e"),
    ],
};

pub const DARK: Theme = Theme {
    name: "dark",
    page: "#0d1117",
    text: "#f0f6fc",
    muted: "#a2abb6",
    styles: [
        style("plain", "#151b23", "#656c76"),
        style("ghost", "none", "#656c76"),
        style("service", "#12261e", "#3fb950"),
        style("base", "#121d2f", "#4493f8"),
        style("canary", "#2b2413", "#d29922"),
        style("control", "#211a33", "#ab7df8"),
        style("good", "#12261e", "#3fb950"),
        style("bad", "#2b171b", "#f85149"),
    ],
};

impl Theme {
    /// The colors of a box.
    pub fn style(&self, name: &str) -> Result<Style, String> {
        let known = self.styles.map(|style| style.name).join(", ");
        self.styles
            .into_iter()
            .find(|style| style.name == name)
            .ok_or_else(|| format!("no style {name}; there are {known}"))
    }

    /// Color and dashes of an arrow: requests and copies of them, what the controller writes and reads.
    pub fn arrow(&self, name: &str) -> Result<(&'static str, &'static str), String> {
        match name {
            "request" => Ok((self.muted, "")),
            "copy" => Ok((self.style("canary")?.stroke, " stroke-dasharray=\"6 4\"")),
            "write" => Ok((self.style("control")?.stroke, "")),
            "read" => Ok((self.style("control")?.stroke, " stroke-dasharray=\"2 4\"")),
            other => Ok((self.style(other)?.stroke, "")),
        }
    }
}
