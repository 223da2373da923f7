//! HTML as the text that it shows, for who does not show HTML.

/// Elements whose content is not shown.
const HIDDEN: [&str; 4] = ["head", "script", "style", "title"];

/// Elements behind which a line ends.
const LINES: [&str; 12] = [
    "br", "p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4",
];

/// The text of some HTML; text that is none is returned as it is.
pub(super) fn text(html: &str) -> String {
    let (mut shown, mut rest) = (String::new(), html);
    while let Some((before, after)) = rest.split_once('<') {
        shown.push_str(before);
        let (tag, after) = after.split_once('>').unwrap_or_default();
        let is_end = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        rest = match !is_end && HIDDEN.contains(&&*name) {
            true => from_end(after, &name),
            false => after,
        };
        if LINES.contains(&&*name) && (is_end || name == "br") {
            shown.push('\n');
        }
    }
    shown.push_str(rest);
    let shown = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(shown, |text, (entity, sign)| text.replace(entity, sign));
    shown.trim().to_owned()
}

/// What follows from the end of an element on.
fn from_end<'a>(html: &'a str, name: &str) -> &'a str {
    let mut ends = html.match_indices("</").map(|(at, _)| &html[at..]);
    let is_its = |end: &&str| {
        let found = end.get(2..2 + name.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    ends.find(is_its).unwrap_or_default()
}

/// Whether a text is HTML: it has the end of an element, or a line break.
pub(super) fn is_html(text: &str) -> bool {
    let ends = text.match_indices("</");
    let of_element = |at: usize| text[at + 2..].starts_with(|c: char| c.is_ascii_alphabetic());
    text.contains("<br") || ends.map(|(at, _)| at).any(of_element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_html_is_its_text() {
        for (html, shown) in [
            ("plain", "plain"),
            ("<p>a &amp;lt; b</p><p>c<br>d</p>", "a &lt; b\nc\nd"),
            ("<head><title>x</title></head><style>p{}</style>y", "y"),
            ("<script>if (1 < 2) x()</script>z", "z"),
            ("open <b", "open"),
            ("<SCRIPT>x", ""),
        ] {
            assert_eq!(text(html), shown, "{html}");
        }
        for (text, is) in [
            ("a < b", false),
            ("# Markdown </", false),
            ("one<br/>two", true),
            ("<b>x</b>", true),
        ] {
            assert_eq!(is_html(text), is, "{text}");
        }
    }
}
