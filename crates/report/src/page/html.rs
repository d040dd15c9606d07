//! The two pieces of HTML that the page is built from: escaped text and tables.

/// Text for HTML, in an element or a quoted attribute. Control characters are replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A value, and below it, smaller, the fraction that it comes from.
pub(super) fn value(value: &str, fraction: Option<&str>) -> String {
    let fraction = fraction.map_or(String::new(), |fraction| {
        // A fraction of millions takes two lines, so that all columns of a curve stay on the screen.
        let over = if fraction.len() > 17 { "<br>/ " } else { " / " };
        format!("<small>{}</small>", escape(fraction).replace(" / ", over))
    });
    format!("{}{fraction}", escape(value))
}

/// A table that scrolls sideways where it is wider than the screen. Its first column names the row.
///
/// One of the class `words` has sentences in its cells: on a narrow screen they stand below each other, each under its heading.
pub(crate) struct Table {
    html: String,
    /// What the cells of a row carry on narrow screens; nothing for a table of numbers.
    carried: Vec<String>,
}

impl Table {
    pub(crate) fn new(class: &str, headings: &[&str]) -> Self {
        let cells: String = headings.iter().map(|text| format!("<th scope=\"col\">{}</th>", escape(text))).collect();
        let html = format!("<div class=\"scroll {class}\">\n<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n");
        let words = class.split(' ').any(|class| class == "words");
        let carried = headings.iter().map(|heading| format!(" data-heading=\"{}\"", escape(heading)));
        Self { html, carried: if words { carried.collect() } else { Vec::new() } }
    }

    /// Adds a row of cells that are HTML already.
    pub(crate) fn row(&mut self, class: &str, cells: impl IntoIterator<Item = String>) {
        self.html.push_str(&if class.is_empty() {
            "<tr>".to_owned()
        } else {
            format!("<tr class=\"{}\">", escape(class))
        });
        for (index, cell) in cells.into_iter().enumerate() {
            let carried = self.carried.get(index).map_or("", String::as_str);
            let cell = match index {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ => format!("<td{carried}>{cell}</td>"),
            };
            self.html.push_str(&cell);
        }
        self.html.push_str("</tr>\n");
    }

    pub(crate) fn html(self) -> String {
        self.html + "</tbody>\n</table>\n</div>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_as_markup() {
        assert_eq!(escape("a<b> & \"c\" 'd'\u{7}\n"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\u{fffd}\n");
        assert_eq!(value("1 %", Some("1 / 100")), "1 %<small>1 / 100</small>");
        assert!(value("50 %", Some("736,800 / 1,473,600")).ends_with("<small>736,800<br>/ 1,473,600</small>"));
    }

    #[test]
    fn the_first_column_names_the_row() {
        let mut table = Table::new("", &["a", "<b>"]);
        table.row("", ["1".to_owned(), "2".to_owned()]);
        let html = table.html();
        assert!(html.contains("<th scope=\"col\">&lt;b&gt;</th>"));
        assert!(html.contains("<tr><th scope=\"row\">1</th><td>2</td></tr>"));
        let mut words = Table::new("words", &["a", "<b>"]);
        words.row("x", ["1".to_owned(), "2".to_owned()]);
        let html = words.html();
        assert!(
            html.contains("<tr class=\"x\"><th scope=\"row\">1</th><td data-heading=\"&lt;b&gt;\">2</td></tr>"),
            "{html}"
        );
    }
}
