//! Expressions made to burn time or memory end within their budget.

use super::evaluate;
use crate::cel::PER_CALL_LIMIT;

/// A tenth of what one expression may cost, to be quick.
const LIMIT: u64 = PER_CALL_LIMIT / 10;

fn defused(source: &str) {
    let (result, _) = evaluate(source, LIMIT);
    assert_eq!(result, "error: operation cancelled: actual cost limit exceeded", "{source}");
}

/// `x` bound to `start`, then again and again to `step`.
fn repeated(start: &str, step: &str, times: usize) -> String {
    let bindings = format!("cel.bind(x, {step}, ").repeat(times);
    format!("cel.bind(x, {start}, {bindings}x == x{})", ")".repeat(times))
}

#[test]
fn bombs() {
    defused("lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, a + b + c >= 0)))");
    defused("lists.range(100000).map(x, lists.range(100000))");
    defused("lists.range(9223372036854775807).size() > 0");
    defused(&repeated("'xxxxxxxxxxxxxxxx'", "x + x", 40));
    defused(&repeated("[1, 2, 3, 4]", "x + x", 40));
    defused(&repeated("'xxxxxxxxxxxxxxxx'", "'%s%s'.format([x, x])", 40));
    defused(&repeated("'xxxxxxxxxxxxxxxx'", "x.replace('x', 'xx')", 40));
    defused(&repeated("'xxxxxxxxxxxxxxxx'", "x.replace('', x)", 20));
    defused(&repeated("'xxxxxxxxxxxxxxxx'", "[x, x, x].join(x)", 40));
    defused(&repeated("[dyn(1)]", "[x, x]", 60));
    defused("lists.range(100000).exists(x, string(x).matches(string(x) + '\\\\w{1,90}'))");
    defused("lists.range(3000).distinct().size() == 3000");
    defused("cel.bind(l, lists.range(2000), lists.range(2000).all(x, l == l))");
    defused("[1, 2, 3].all(x, authorizer.path('/x').check('get').allowed())");
    let long =
        format!("cel.bind(x, '{}', lists.range(90000).exists(i, x.matches('(a*)*(a*)*(a*)*b')))", "a".repeat(5000));
    defused(&long);
}

/// Small ones cost what upstream charges.
#[test]
fn costs_are_upstreams() {
    for (source, cost) in [
        ("1 + 1 == 2", 2),
        ("self.text == 'hello'", 3),
        ("self.text.startsWith('h')", 3),
        ("has(self.map.a)", 2),
        ("'abcdefghijklmnopqrstuvwxyz'.matches('[a-z]*')", 6),
        ("[1, 2, 3]", 10),
        ("{'a': 1}", 30),
        ("[1, 2].all(x, true)", 17),
        ("[1, 2].map(x, x)", 47),
        ("2 in [1, 2]", 12),
        ("authorizer.path('/x').check('get').allowed()", 350_003),
    ] {
        assert_eq!(evaluate(source, PER_CALL_LIMIT).1, cost, "{source}");
    }
}
