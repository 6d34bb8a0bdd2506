//! Headers that are comma-separated lists, possibly spread over several lines (RFC 9110 §5.6.1).

use axum::http::{HeaderMap, HeaderName};

/// The elements of a list header, trimmed, empty ones left out. A comma inside a quoted string does
/// not separate; a line that is not visible ASCII is left out.
pub fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split_unquoted(line, ',')).map(str::to_owned).collect()
}

/// The parts of `text` between separators that stand outside quoted strings, trimmed, empty ones left out.
pub fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |c: char| {
        let literal = escaped;
        escaped = quoted && c == '\\' && !literal;
        if c == '"' && !literal {
            quoted = !quoted;
        }
        c == separator && !quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_inside_quoted_strings_do_not_separate() {
        let parts: Vec<_> = split_unquoted(r#"a, b="x, \", y" ,, c"#, ',').collect();
        assert_eq!(parts, ["a", r#"b="x, \", y""#, "c"]);
    }

    #[test]
    fn several_lines_of_a_header_are_one_list() {
        let mut headers = HeaderMap::new();
        for line in ["a, b", "c"] {
            headers.append("accept", line.parse().expect("a header"));
        }
        assert_eq!(elements(&headers, &axum::http::header::ACCEPT), ["a", "b", "c"]);
    }
}
