use super::*;
#[test]
fn smoke() {
    let env = Environment::new();
    for s in ["1 + 2 == 3", "[1,2,3].all(x, x > 0)", "'a'.startsWith('a')"] {
        let p = compile(s, &env).unwrap();
        assert_eq!(p.evaluate(&[], 1000, None).result, Ok(Value::Bool(true)));
    }
}
