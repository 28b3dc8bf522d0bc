//! OpenAPI v2 in protobuf, as gnostic's `openapi.v2.Document`: the only form of v2 that kubectl reads.
//!
//! The field numbers below are all there is to it; what a Kubernetes document does not use is left out. Source: gnostic-models
//! `OpenAPIv2.proto`.

use serde_json::Value;

/// A v2 document, already in JSON, in protobuf.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    out.message(2, info(&document["info"]));
    let mut paths = Message::default();
    for (path, item) in members(&document["paths"]) {
        paths.message(2, named(path, path_item(item)));
    }
    out.message(8, paths);
    out.message(9, all(&document["definitions"], schema));
    out.0
}

fn info(info: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &info["title"]);
    out.text(2, &info["version"]);
    out
}

fn path_item(item: &Value) -> Message {
    let mut out = Message::default();
    for (number, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if let Some(operation) = item.get(method) {
            out.message(number, self::operation(operation));
        }
    }
    out.parameters(9, &item["parameters"]);
    out
}

fn operation(operation: &Value) -> Message {
    let mut out = Message::default();
    out.texts(1, &operation["tags"]);
    out.text(3, &operation["description"]);
    out.text(5, &operation["operationId"]);
    out.texts(6, &operation["produces"]);
    out.texts(7, &operation["consumes"]);
    out.parameters(8, &operation["parameters"]);
    let mut responses = Message::default();
    for (code, response) in members(&operation["responses"]) {
        let mut body = Message::default();
        body.text(1, &response["description"]);
        body.message(2, wrapped(1, schema(&response["schema"])));
        responses.message(1, named(code, wrapped(1, body)));
    }
    out.message(9, responses);
    out.texts(10, &operation["schemes"]);
    out.extensions(13, operation);
    out
}

/// A parameter sits two messages deep: body or not, and if not, query or path.
fn parameter(parameter: &Value) -> Message {
    let mut out = Message::default();
    if parameter["in"] == "body" {
        out.text(2, &parameter["name"]);
        out.text(3, &parameter["in"]);
        out.flag(4, &parameter["required"]);
        out.message(5, schema(&parameter["schema"]));
        return wrapped(1, wrapped(1, out));
    }
    let is_path = parameter["in"] == "path";
    let (sub_schema, type_) = if is_path { (4, 5) } else { (3, 6) };
    out.flag(1, &parameter["required"]);
    out.text(2, &parameter["in"]);
    out.text(3, &parameter["description"]);
    out.text(4, &parameter["name"]);
    out.text(type_, &parameter["type"]);
    wrapped(1, wrapped(2, wrapped(sub_schema, out)))
}

fn schema(schema: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &schema["$ref"]);
    out.text(2, &schema["format"]);
    out.text(4, &schema["description"]);
    out.texts(19, &schema["required"]);
    if let Some(element) = schema.get("additionalProperties").filter(|element| element.is_object()) {
        out.message(21, wrapped(1, self::schema(element)));
    }
    if let Some(type_) = schema["type"].as_str() {
        let mut types = Message::default();
        types.bytes(1, type_.as_bytes());
        out.message(22, types);
    }
    if let Some(item) = schema.get("items") {
        out.message(23, wrapped(1, self::schema(item)));
    }
    if schema.get("properties").is_some() {
        out.message(25, all(&schema["properties"], self::schema));
    }
    out.extensions(31, schema);
    out
}

/// A map of messages: one entry of field 1 per member.
fn all(map: &Value, message: fn(&Value) -> Message) -> Message {
    let mut out = Message::default();
    for (name, value) in members(map) {
        out.message(1, named(name, message(value)));
    }
    out
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn named(name: &str, value: Message) -> Message {
    let mut out = Message::default();
    out.bytes(1, name.as_bytes());
    out.message(2, value);
    out
}

fn wrapped(number: u64, message: Message) -> Message {
    let mut out = Message::default();
    out.message(number, message);
    out
}

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, number: u64, message: Self) {
        self.bytes(number, &message.0);
    }

    fn text(&mut self, number: u64, text: &Value) {
        if let Some(text) = text.as_str() {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u64, texts: &Value) {
        for text in texts.as_array().into_iter().flatten() {
            self.text(number, text);
        }
    }

    fn flag(&mut self, number: u64, flag: &Value) {
        if flag == true {
            self.varint(number << 3);
            self.varint(1);
        }
    }

    fn parameters(&mut self, number: u64, parameters: &Value) {
        for parameter in parameters.as_array().into_iter().flatten() {
            self.message(number, self::parameter(parameter));
        }
    }

    /// Members named `x-...`, each as a text of YAML, of which JSON is a part.
    fn extensions(&mut self, number: u64, value: &Value) {
        for (name, value) in members(value).filter(|(name, _)| name.starts_with("x-")) {
            let mut any = Self::default();
            any.bytes(2, value.to_string().as_bytes());
            self.message(number, named(name, any));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema() {
        let bytes = schema(&json!({"type": "string", "x-a": [1]})).0;
        assert_eq!(bytes, b"\xb2\x01\x08\x0a\x06string\xfa\x01\x0c\x0a\x03x-a\x12\x05\x12\x03[1]");
    }

    #[test]
    fn long_lengths() {
        let mut message = Message::default();
        message.bytes(1, &[b'a'; 300]);
        assert_eq!(message.0.get(..4), Some(b"\x0a\xac\x02a".as_slice()));
    }
}
