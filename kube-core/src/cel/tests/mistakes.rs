use super::{check_lines, environment};
use crate::cel::compile;

/// The first mistake without its picture.
fn refuse(source: &str, expected: &str) {
    let mistakes = compile(source, &environment()).err().unwrap_or_default();
    assert_eq!(mistakes.lines().next().unwrap_or(""), expected, "{source}");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let mistakes = compile("true &&\n  typed.nothing == 1", &environment()).unwrap_err();
    assert_eq!(mistakes, "ERROR: <input>:2:8: undefined field 'nothing'\n |   typed.nothing == 1\n | .......^");
}

#[test]
fn ill_typed() {
    refuse("typed.x", "ERROR: <input>:1:6: undefined field 'x'");
    refuse("typed.namespace", "ERROR: <input>:1:6: undefined field 'namespace'");
    refuse("x == 1", "ERROR: <input>:1:1: undeclared reference to 'x' (in container '')");
    refuse("foo(1)", "ERROR: <input>:1:4: undeclared reference to 'foo' (in container '')");
    refuse("'a'.foo()", "ERROR: <input>:1:8: undeclared reference to 'foo' (in container '')");
    refuse("1 == 'a'", "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(int, string)'");
    refuse("typed.name + 1", "ERROR: <input>:1:12: found no matching overload for '_+_' applied to '(string, int)'");
    refuse(
        "'a'.startsWith(1)",
        "ERROR: <input>:1:15: found no matching overload for 'startsWith' applied to 'string.(int)'",
    );
    refuse("!1", "ERROR: <input>:1:1: found no matching overload for '!_' applied to '(int)'");
    refuse("typed.name.x", "ERROR: <input>:1:11: type 'string' does not support field selection");
    refuse("[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'");
    refuse("{'a': 1, 2: 3}", "ERROR: <input>:1:10: expected type 'string' but found 'int'");
    refuse(
        "true ? 1 : 'a'",
        "ERROR: <input>:1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'",
    );
    refuse(
        "1.all(x, true)",
        "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
    );
    refuse("[1].all(x, x)", "ERROR: <input>:1:8: found no matching overload for '_&&_' applied to '(bool, int)'");
    refuse("duration('x') == duration('1s')", "ERROR: <input>:1:9: invalid duration argument");
    refuse("timestamp('x') == timestamp(0)", "ERROR: <input>:1:10: invalid timestamp argument");
    refuse("'a'.matches('(')", "ERROR: <input>:1:12: invalid matches argument");
    refuse("Object{a: 1}", "ERROR: <input>:1:7: undeclared reference to 'Object' (in container '')");
}

#[test]
fn not_well_formed() {
    let operand = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
    refuse("self ==", &format!("ERROR: <input>:1:8: Syntax error: mismatched input '<EOF>' expecting {operand}"));
    refuse("", &format!("ERROR: <input>:1:1: Syntax error: mismatched input '<EOF>' expecting {operand}"));
    refuse("a b", "ERROR: <input>:1:3: Syntax error: extraneous input 'b' expecting <EOF>");
    refuse("1 + \"a", "ERROR: <input>:1:5: Syntax error: token recognition error at: '\"a'");
    refuse("has(self)", "ERROR: <input>:1:5: invalid argument to has() macro");
    refuse("[1].all(a.b, true)", "ERROR: <input>:1:10: argument must be a simple name");
    refuse("namespace == 'a'", "ERROR: <input>:1:1: reserved identifier: namespace");
    refuse("99999999999999999999", "ERROR: <input>:1:1: invalid int literal");
    refuse("1 # 2", "ERROR: <input>:1:3: Syntax error: token recognition error at: '#'");
    refuse(&"(".repeat(5000), "ERROR: <input>:-1:0: expression recursion limit exceeded: 150");
    refuse(&format!("1{}", "+1".repeat(5000)), "ERROR: <input>:-1:0: expression recursion limit exceeded: 150");
    refuse(&format!("self{}", ".a".repeat(5000)), "ERROR: <input>:-1:0: expression recursion limit exceeded: 150");
    refuse(
        &"a".repeat(100_001),
        "ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000",
    );
}

#[test]
fn long_chains_of_logic_are_flat() {
    let long = format!("true{}", " && true".repeat(5000));
    check_lines(&format!("{long} => true"));
}
