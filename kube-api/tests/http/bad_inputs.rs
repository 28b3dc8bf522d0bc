//! What is refused, and in which words: a table of requests and answers in `bad_inputs.txt`.
//!
//! A row is a request, its answer behind `->`, and the causes of a refusal. A request's body is YAML for short; `raw` sends it as it is.
//! `apiVersion` and `kind` are those of the path unless given. Rows run in order against one server, so a row that creates is
//! there for those that follow. `UPDATE_EXPECT=1` writes the answers anew: compare each new one with upstream's sources.

use coracle_core::Kinds;
use expect_test::expect_file;
use serde_json::Value;

use crate::harness::Cluster;

/// Words behind the path, and the body's type they stand for.
const FORMS: &[(&str, &str)] = &[
    ("raw", "application/json"),
    ("json", "application/json-patch+json"),
    ("merge", "application/merge-patch+json"),
    ("strategic", "application/strategic-merge-patch+json"),
    ("apply", "application/apply-patch+yaml"),
];

#[tokio::test]
async fn refused_in_upstreams_words() {
    let table = include_str!("bad_inputs.txt");
    let cluster = Cluster::start().await;
    let (mut told, mut refused) = (Vec::new(), 0);
    for row in table.split("\n\n") {
        let is_request = |line: &&str| !line.starts_with("->") && !line.starts_with("   ");
        let lines: Vec<&str> = row.lines().filter(is_request).collect();
        let comments = lines.iter().take_while(|line| line.starts_with('#')).count();
        let Some((request, body)) = lines[comments..].split_first() else {
            told.push(row.trim_end().to_owned());
            continue;
        };
        let answer = ask(&cluster, request, &body.join("\n")).await;
        refused += usize::from(!answer.starts_with("-> 20"));
        told.push(format!("{}\n{answer}", lines.join("\n")));
    }
    expect_file!["bad_inputs.txt"].assert_eq(&(told.join("\n\n") + "\n"));
    assert!(refused >= 150, "{refused} bad inputs");
}

async fn ask(cluster: &Cluster, request: &str, body: &str) -> String {
    let words: Vec<&str> = request.split(' ').collect();
    let (method, path) = (words[0], words[1]);
    let form = words.get(2).copied().unwrap_or("");
    let content_type = FORMS.iter().find(|(name, _)| *name == form).map_or("application/json", |(_, name)| name);
    let body = if form == "raw" || body.is_empty() { body.to_owned() } else { filled(body, path, form).to_string() };
    let answer = cluster.ask(method, path, &[("content-type", content_type)], body).await;
    let warning = answer.headers.get("warning").map(|warning| format!("\n   {warning}")).unwrap_or_default();
    if answer.code < 300 {
        return format!("-> {}{warning}", answer.code);
    }
    let status = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let causes: String =
        causes.map(|cause| format!("\n   {} {}", text(&cause["reason"]), text(&cause["field"]))).collect();
    let message = text(&status["message"]).replace('\n', "\n   ");
    format!("-> {} {}: {message}{causes}{warning}", answer.code, text(&status["reason"]))
}

/// The body as JSON, with the type that the path says.
fn filled(body: &str, path: &str, form: &str) -> Value {
    let mut body: Value = serde_saphyr::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let path = path.split('?').next().unwrap();
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let (group, version, rest) =
        if steps[0] == "api" { ("", steps[1], &steps[2..]) } else { (steps[1], steps[2], &steps[3..]) };
    let plural = if rest[0] == "namespaces" && rest.len() > 2 { rest[2] } else { rest[0] };
    let kinds = Kinds::builtin();
    if let (Some(kind), Some(members), "" | "apply") = (kinds.get(group, version, plural), body.as_object_mut(), form) {
        members.entry("apiVersion").or_insert(kind.api_version().into());
        members.entry("kind").or_insert(kind.kind.clone().into());
    }
    body
}
