use super::*;
use proptest::prelude::*;

fn check_body(schema: &Schema, body: &str, expected: &[&str]) {
    let found = match check(schema, body.as_bytes()) {
        Ok(findings) => findings.fields.into_iter().chain(findings.mismatch).collect(),
        Err(malformed) => vec![malformed.reason],
    };
    assert_eq!(found, expected, "{}", body.chars().take(200).collect::<String>());
}

fn pod(body: &str, expected: &[&str]) {
    check_body(&Schema::of_kind("v1", "Pod").unwrap(), body, expected);
}

fn deployment(body: &str, expected: &[&str]) {
    check_body(&Schema::of_kind("apps/v1", "Deployment").unwrap(), body, expected);
}

#[test]
fn unknown_and_duplicate_fields() {
    pod(r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{"x":"y"}},"spec":{"containers":[]}}"#, &[]);
    pod(r#"{"spce":{}}"#, &[r#"unknown field "spce""#]);
    pod(r#"{"Spec":{}}"#, &[r#"unknown field "Spec""#]);
    pod(
        r#"{"spec":{"containers":[{"name":"a"},{"imagee":"b","env":[{"nam":1}]}]}}"#,
        &[r#"unknown field "spec.containers[1].imagee""#, r#"unknown field "spec.containers[1].env[0].nam""#],
    );
    deployment(r#"{"spec":{"replicas":1,"replicas":2}}"#, &[r#"duplicate field "spec.replicas""#]);
    pod(r#"{"metadata":{"labels":{"a":"b","a":"c","a":"d"}}}"#, &[r#"duplicate field "metadata.labels.a""#]);
    pod(r#"{"metadata":{"a\"b":1}}"#, &[r#"unknown field "metadata.a\"b""#]);
    pod(r#"{"spce":{"a":1,"a":2},"spce":1}"#, &[r#"unknown field "spce""#]);
    let raw = Schema::of_kind("apps/v1", "ControllerRevision").unwrap();
    check_body(&raw, r#"{"data":{"a":1,"a":{"b":1,"b":2}}}"#, &[]);
    let open = Schema::schemaless();
    check_body(
        &open,
        r#"{"spec":{"a":[{"b":1,"b":2}]},"spec":1}"#,
        &[r#"duplicate field "spec.a[0].b""#, r#"duplicate field "spec""#],
    );
    check_body(&open, r#"{"metadata":{"nme":"a"}}"#, &[r#"unknown field "metadata.nme""#]);
}

#[test]
fn patches() {
    let body = br#"[{"op":"add","path":"/a","foo":1,"value":{"a":1,"a":2}},{"op":"x","op":"y"}]"#;
    let expected = [r#"json patch unknown field "[0].foo""#, r#"json patch duplicate field "[1].op""#];
    assert_eq!(check_json_patch(body).unwrap(), expected);
    assert_eq!(check_merge_patch(br#"{"a":{"b":1,"b":2}}"#).unwrap(), [r#"duplicate field "a.b""#]);
    assert_eq!(check_merge_patch(b"[").unwrap_err().reason, "unexpected end of JSON input");
}

#[test]
fn at_most_a_hundred_findings() {
    let fields: Vec<_> = (0..300).map(|n| format!("\"x{n}\":{n}")).collect();
    let schema = Schema::of_kind("v1", "Pod").unwrap();
    let findings = check(&schema, format!("{{{}}}", fields.join(",")).as_bytes()).unwrap();
    assert_eq!(findings.fields.len(), 100);
}

#[test]
fn the_error_of_strict_validation() {
    let schema = Schema::of_kind("v1", "Pod").unwrap();
    let findings = check(&schema, br#"{"a":1,"b":2}"#).unwrap();
    assert_eq!(findings.strict_error().unwrap(), r#"strict decoding error: unknown field "a", unknown field "b""#);
    assert_eq!(Findings::default().strict_error(), None);
}

#[test]
fn values_of_a_wrong_type() {
    let into = |value: &str, field: &str, ty: &str| {
        format!("json: cannot unmarshal {value} into Go struct field {field} of type {ty}")
    };
    deployment(r#"{"spec":{"replicas":"3"}}"#, &[&into("string", "DeploymentSpec.spec.replicas", "int32")]);
    deployment(r#"{"spec":{"replicas":1.5}}"#, &[&into("number 1.5", "DeploymentSpec.spec.replicas", "int32")]);
    deployment(
        r#"{"spec":{"replicas":3000000000}}"#,
        &[&into("number 3000000000", "DeploymentSpec.spec.replicas", "int32")],
    );
    pod(r#"{"spec":"x"}"#, &[&into("string", "Pod.spec", "v1.PodSpec")]);
    pod(r#"{"spec":{"containers":{}}}"#, &[&into("object", "PodSpec.spec.containers", "[]v1.Container")]);
    pod(r#"{"spec":{"containers":["a"]}}"#, &[&into("string", "PodSpec.spec.containers", "v1.Container")]);
    pod(
        r#"{"spec":{"containers":[{"env":[{"name":"a","value":1}]}]}}"#,
        &[&into("number", "EnvVar.spec.containers.env.value", "string")],
    );
    pod(r#"{"metadata":{"labels":{"a":true}}}"#, &[&into("bool", "ObjectMeta.metadata.labels", "string")]);
    pod(r#"{"metadata":{"labels":[]}}"#, &[&into("array", "ObjectMeta.metadata.labels", "map[string]string")]);
    pod(
        r#"{"metadata":{"creationTimestamp":1}}"#,
        &[&into("number", "ObjectMeta.metadata.creationTimestamp", "string")],
    );
    pod(r#"{"spec":{"hostNetwork":"yes"}}"#, &[&into("string", "PodSpec.spec.hostNetwork", "bool")]);
    pod(r#"{"spec":null,"metadata":{"name":null,"labels":{"a":null}}}"#, &[]);
    pod(r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":1,"memory":"1Gi","x":0.5}}}]}}"#, &[]);
    pod(r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":true}}}]}}"#, &[scalar_quantity()]);
    pod(r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"a lot"}}}]}}"#, &[scalar_quantity()]);
    pod(r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"1x"}}}]}}"#, &[scalar_quantity()]);
    let secret = Schema::of_kind("v1", "Secret").unwrap();
    check_body(&secret, r#"{"data":{"a":"aGk="}}"#, &[]);
    check_body(&secret, r#"{"data":{"a":"aG*="}}"#, &["illegal base64 data at input byte 2"]);
    let service = Schema::of_kind("v1", "Service").unwrap();
    check_body(&service, r#"{"spec":{"ports":[{"targetPort":"http"},{"targetPort":80}]}}"#, &[]);
    check_body(
        &service,
        r#"{"spec":{"ports":[{"targetPort":true}]}}"#,
        &[&into("bool", "ServicePort.spec.ports.targetPort", "int32")],
    );
}

#[test]
fn times() {
    let check = |text: &str, expected: Option<&str>| {
        let layout = "2006-01-02T15:04:05Z07:00";
        let expected = expected.map(|wrong| format!("parsing time {text:?}{}", wrong.replace("LAYOUT", layout)));
        assert_eq!(time::bad_time(text, false), expected, "{text}");
    };
    check("2026-01-02T03:04:05Z", None);
    check("2024-02-29T23:59:59.123+02:00", None);
    check("abc", Some(" as \"LAYOUT\": cannot parse \"abc\" as \"2006\""));
    check("2026", Some(" as \"LAYOUT\": cannot parse \"\" as \"-\""));
    check("2026-01-02 03:04:05Z", Some(" as \"LAYOUT\": cannot parse \" 03:04:05Z\" as \"T\""));
    check("2026-01-02T03:04:05", Some(" as \"LAYOUT\": cannot parse \"\" as \"Z07:00\""));
    check("2026-13-02T03:04:05Z", Some(": month out of range"));
    check("2026-02-29T03:04:05Z", Some(": day out of range"));
    check("2026-02-01T24:04:05Z", Some(": hour out of range"));
    check("2026-02-01T03:04:05Z!", Some(": extra text: \"!\""));
    assert_eq!(time::bad_time("2026-02-01T03:04:05.123456Z", true), None);
    assert!(time::bad_time("2026-02-01T03:04:05Z", true).unwrap().ends_with("cannot parse \"Z\" as \".000000\""));
    pod(
        r#"{"metadata":{"creationTimestamp":""}}"#,
        &["parsing time \"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"2006\""],
    );
}

fn scalar_quantity() -> &'static str {
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
}

#[test]
fn the_kind_is_read_first() {
    pod(
        r#"{"kind":1}"#,
        &[
            "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string",
        ],
    );
    pod(
        "[]",
        &[
            "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }",
        ],
    );
}

#[test]
fn text_that_is_not_json() {
    pod("", &["unexpected end of JSON input"]);
    pod("  ", &["unexpected end of JSON input"]);
    pod("{", &["unexpected end of JSON input"]);
    pod(r#"{"a":1"#, &["unexpected end of JSON input"]);
    pod(r#"{"a""#, &["unexpected end of JSON input"]);
    pod("hello", &["invalid character 'h' looking for beginning of value"]);
    pod("{a:1}", &["invalid character 'a' looking for beginning of object key string"]);
    pod(r#"{"a":1,}"#, &["invalid character '}' looking for beginning of object key string"]);
    pod(r#"{"a" 1}"#, &["invalid character '1' after object key"]);
    pod(r#"{"a":1 "b"}"#, &["invalid character '\"' after object key:value pair"]);
    pod("[1 2]", &["invalid character '2' after array element"]);
    pod("[1,]", &["invalid character ']' looking for beginning of value"]);
    pod("{} x", &["invalid character 'x' after top-level value"]);
    pod("[tru]", &["invalid character ']' in literal true (expecting 'e')"]);
    pod("[-x]", &["invalid character 'x' in numeric literal"]);
    pod("[1.]", &["invalid character ']' after decimal point in numeric literal"]);
    pod("[1e]", &["invalid character ']' in exponent of numeric literal"]);
    pod("[01]", &["invalid character '1' after array element"]);
    pod("[\"a\nb\"]", &["invalid character '\\n' in string literal"]);
    pod(r#"["\x"]"#, &["invalid character 'x' in string escape code"]);
    pod(r#"["\u12g4"]"#, &["invalid character 'g' in \\u hexadecimal character escape"]);
    pod("{\"a\":'b'}", &["invalid character '\\'' looking for beginning of value"]);
    let malformed = check(&Schema::schemaless(), b"x").unwrap_err();
    let said = "couldn't get version/kind; json parse error: invalid character 'x' looking for beginning of value";
    assert_eq!(malformed.to_string(), said);
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    pod(&"[".repeat(100_000), &["invalid character '[' exceeded max depth"]);
    pod(&r#"{"a":"#.repeat(100_000), &["invalid character '{' exceeded max depth"]);
    pod(&r#"[{"a":"#.repeat(50_000), &["invalid character '[' exceeded max depth"]);
    let deep = format!("{{\"spec\":{}{}}}", "[".repeat(200), "]".repeat(200));
    check_body(&Schema::schemaless(), &deep, &["exceeded max depth"]);
}

#[test]
fn real_manifests_have_no_findings() {
    for (file, object) in crate::schema::testing::manifests() {
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let Some(schema) = Schema::of_kind(api_version, kind) else { continue };
        let findings = check(&schema, object.to_string().as_bytes()).unwrap();
        assert_eq!(findings, Findings::default(), "{file} {kind}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_time_or_not(text in "[0-9]{0,4}[-T:.Z+0-9é]{0,20}") {
        time::bad_time(&text, false);
        time::bad_time(&text, true);
    }

    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = check(&Schema::of_kind("v1", "Pod").unwrap(), &body);
    }

    #[test]
    fn any_almost_json_is_answered(body in r#"[\[\]{}:,"\\ \-0-9.eEntrfalsuspec]{0,60}"#) {
        let ours = check(&Schema::schemaless(), body.as_bytes());
        let serde: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&body);
        prop_assert_eq!(ours.is_ok(), serde.is_ok());
        if let Err(error) = ours {
            prop_assert!(error.reason.contains("invalid character") || error.reason == "unexpected end of JSON input" || error.reason.contains("number out of range") || error.reason.contains("surrogate"), "{}", error.reason);
        }
    }
}
