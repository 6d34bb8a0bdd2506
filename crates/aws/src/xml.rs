//! The little of XML that the older services answer: the texts of elements.

/// The content of each element of this name, outermost first, in order.
pub fn contents<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((content, further)) = after.split_once(&close) else { break };
        found.push(content);
        rest = further;
    }
    found
}

/// The text of the first element of this name.
pub fn text(xml: &str, name: &str) -> Option<String> {
    contents(xml, name).first().map(|content| unescaped(content))
}

fn unescaped(content: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(content.to_owned(), |text, (entity, meant)| text.replace(entity, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_order_and_their_text_is_unescaped() {
        let xml = "<A><K>one</K><V>1 &lt; 2 &amp;&amp; x</V></A><A><K>two</K><V/></A>";
        assert_eq!(contents(xml, "K"), ["one", "two"]);
        let values: Vec<_> = contents(xml, "A").into_iter().map(|a| (text(a, "K"), text(a, "V"))).collect();
        assert_eq!(values[0], (Some("one".into()), Some("1 < 2 && x".into())));
        assert_eq!(values[1], (Some("two".into()), None));
        assert_eq!(text("<A>cut", "A"), None);
    }
}
