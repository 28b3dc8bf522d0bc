//! No text ends the process.

use proptest::prelude::*;

use super::evaluate;

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "self",
        "typed",
        ".",
        "?",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        ",",
        ":",
        "1",
        "2u",
        "1.5",
        "'a'",
        "b'\\xff'",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        "in",
        "&&",
        "||",
        "!",
        "all",
        "map",
        "has",
        "x",
        "y",
        "size",
        "list",
        "text",
        "format",
        "matches",
        "duration",
        "timestamp",
        "cel",
        "bind",
        "optMap",
        "optional",
        "of",
        "none",
        "true",
        "null",
        " ",
        "\n",
        "`a-b`",
        "\"",
        "r'",
        "split",
        "replace",
        "sortBy",
        "transformMap",
        "sum",
        "substring",
        "9223372036854775807",
    ])
}

/// Well-formed expressions over all types.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-1",
        "2u",
        "0.5",
        "''",
        "'héllo'",
        "true",
        "null",
        "[]",
        "self",
        "self.list",
        "self.text",
        "self.map",
        "typed.since",
        "duration('1s')",
        "9223372036854775807",
        "b'a'",
        "x",
        "dyn(1)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "<", "in", "&&", "||"]);
        let function = prop::sample::select(vec![
            "size", "string", "int", "double", "dyn", "type", "quantity", "ip", "url", "semver",
        ]);
        let member = prop::sample::select(vec![
            "split",
            "replace",
            "substring",
            "charAt",
            "indexOf",
            "lastIndexOf",
            "join",
            "format",
            "matches",
            "findAll",
            "slice",
            "flatten",
            "sum",
            "sort",
            "distinct",
            "orValue",
            "startsWith",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(one, operator, other)| format!("dyn({one}) {operator} dyn({other})")),
            (function, inner.clone()).prop_map(|(function, arg)| format!("{function}(dyn({arg}))")),
            (inner.clone(), member, prop::collection::vec(inner.clone(), 0..3)).prop_map(|(target, member, args)| {
                let args: Vec<String> = args.iter().map(|arg| format!("dyn({arg})")).collect();
                format!("dyn({target}).{member}({})", args.join(", "))
            }),
            (inner.clone(), inner.clone()).prop_map(|(range, body)| format!("dyn({range}).map(x, {body})")),
            (inner.clone(), inner).prop_map(|(list, index)| format!("dyn({list})[?dyn({index})]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_compiled_or_refused(text in "\\PC{0,80}") {
        evaluate(&text, 10_000);
    }

    #[test]
    fn any_tokens_are_compiled_or_refused(tokens in prop::collection::vec(token(), 0..40)) {
        evaluate(&tokens.concat(), 10_000);
    }

    #[test]
    fn any_expression_has_a_value_or_an_error(source in expression()) {
        let (_, cost) = evaluate(&source, 10_000);
        prop_assert!(cost < 1_000_000);
    }
}
