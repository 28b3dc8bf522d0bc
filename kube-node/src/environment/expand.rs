//! `$(NAME)` in texts. Source: `third_party/forked/golang/expansion`.

/// Replaces `$(NAME)` by its value; what has no value stays as it is, and `$$` is one dollar.
///
/// ```text
/// $(A)-$(MISSING)-$$(A)-$  ──►  a-$(MISSING)-$(A)-$
/// ```
pub fn expand<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = if let Some(tail) = after.strip_prefix('$') {
            expanded.push('$');
            tail
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|open| open.split_once(')')) {
            match value(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.extend(["$(", name, ")"]),
            }
            tail
        } else {
            expanded.push('$');
            after
        };
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn references_are_replaced_and_dollars_escape_them() {
        let value = |name: &str| (name == "A").then_some("a");
        for (text, expanded) in [
            ("$(A)-$(MISSING)-$$(A)-$", "a-$(MISSING)-$(A)-$"),
            ("$$$(A)", "$a"),
            ("$$$$(A)", "$$(A)"),
            ("$(A", "$(A"),
            ("$A $() x", "$A $() x"),
            ("", ""),
        ] {
            assert_eq!(expand(text, value), expanded, "{text}");
        }
    }
}
