//! Writes the type graph of Kubernetes and its documentation, from k8s-openapi's schemas plus a table of merge rules.
//!
//! `types.tsv`: a line `name <tab> =alias-or-map-type <tab> group/version/Kind` opens a definition, each following line that
//! starts with a tab is a field: name (`!` = required), type, rules. A type is `string`, `bytes`, `int32`, `int64`, `double`,
//! `bool`, or a definition's name, behind any number of `[]` (list of) and `{}` (map of).
//! `docs.tsv.zz`: zlib of lines `name <tab> field <tab> text`; a definition's own text has an empty field.

mod every_type;

use flate2::{Compression, write::ZlibEncoder};
use k8s_openapi::{ListableResource, Resource};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// What upstream decodes by hand, so that the schema says less than there is to know.
const ALIASES: [(&str, &str); 11] = [
    ("api.resource.Quantity", "quantity"),
    ("util.intstr.IntOrString", "int-or-string"),
    ("meta.v1.Time", "time"),
    ("meta.v1.MicroTime", "micro-time"),
    ("runtime.RawExtension", "raw-object"),
    ("meta.v1.FieldsV1", "raw-object"),
    ("meta.v1.Patch", "raw-object"),
    ("apiextensions.v1.JSON", "raw"),
    ("apiextensions.v1.JSONSchemaPropsOrArray", "raw"),
    ("apiextensions.v1.JSONSchemaPropsOrBool", "raw"),
    ("apiextensions.v1.JSONSchemaPropsOrStringArray", "raw"),
];

/// Key fields whose default is not the zero value of their type. Source: `+default` in core/v1 types.go.
const KEY_DEFAULTS: [(&str, &str, &str); 2] =
    [("io.k8s.api.core.v1.ContainerPort", "protocol", "TCP"), ("io.k8s.api.core.v1.ServicePort", "protocol", "TCP")];

#[derive(Default)]
pub struct Visit {
    generator: SchemaGenerator,
    definitions: BTreeMap<String, Value>,
    kinds: BTreeMap<String, String>,
}

impl Visit {
    fn plain<T: JsonSchema>(&mut self) {
        self.generator.subschema_for::<T>();
    }

    fn kind<T: JsonSchema + Resource>(&mut self) {
        self.plain::<T>();
        self.kinds.insert(T::schema_name().into_owned(), gvk::<T>(T::KIND));
    }

    fn listed<T: JsonSchema + ListableResource>(&mut self) {
        self.kind::<T>();
        let element = T::schema_name().into_owned();
        let name = format!("{}{}", element.trim_end_matches(T::KIND), T::LIST_KIND);
        let list = json!({
            "description": format!("{} is a list of {}", T::LIST_KIND, T::KIND),
            "type": "object",
            "properties": {
                "apiVersion": { "type": "string", "description": "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources" },
                "kind": { "type": "string", "description": "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds" },
                "metadata": { "$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta", "description": "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds" },
                "items": { "type": "array", "items": { "$ref": format!("#/$defs/{element}") }, "description": format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", T::URL_PATH_SEGMENT) },
            },
            "required": ["items"],
        });
        self.kinds.insert(name.clone(), gvk::<T>(T::LIST_KIND));
        self.definitions.insert(name, list);
    }
}

fn gvk<T: Resource>(kind: &str) -> String {
    format!("{}/{}/{kind}", T::GROUP, T::VERSION)
}

/// One row of the merge rules: how a field's list or map merges.
struct Rule {
    list_type: String,
    keys: String,
    map_type: String,
    strategy: String,
    merge_key: String,
}

fn read_rules(text: &str) -> BTreeMap<(String, String), Rule> {
    text.lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t').map(str::to_string);
            let mut next = || columns.next().unwrap_or_default();
            let key = (next(), next());
            (key, Rule { list_type: next(), keys: next(), map_type: next(), strategy: next(), merge_key: next() })
        })
        .collect()
}

fn alias(name: &str) -> Option<&'static str> {
    let found = ALIASES.iter().find(|(suffix, _)| name.ends_with(&format!(".{suffix}")));
    found.map(|(_, alias)| *alias)
}

fn type_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.trim_start_matches("#/$defs/").to_string();
    }
    let text = match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("byte")) => "bytes",
        (Some("string"), None) => "string",
        (Some("integer"), Some(format)) => format,
        (Some("number"), _) => "double",
        (Some("boolean"), _) => "bool",
        (Some("array"), _) => return format!("[]{}", type_of(&schema["items"])),
        (Some("object"), _) if schema.get("additionalProperties").is_some() => {
            return format!("{{}}{}", type_of(&schema["additionalProperties"]));
        }
        _ => panic!("no rule for {schema}"),
    };
    text.to_string()
}

fn rules_of(name: &str, field: &str, rule: Option<&Rule>) -> String {
    let mut parts = Vec::new();
    if let Some(rule) = rule {
        match rule.list_type.as_str() {
            "" => {}
            "map" => parts.push(format!("list=map:{}", rule.keys)),
            other => parts.push(format!("list={other}")),
        }
        if !rule.map_type.is_empty() {
            parts.push(format!("map={}", rule.map_type));
        }
        if !rule.strategy.is_empty() {
            parts.push(format!("patch={}:{}", rule.strategy, rule.merge_key));
        }
    }
    let default = KEY_DEFAULTS.iter().find(|(definition, key, _)| *definition == name && *key == field);
    parts.extend(default.map(|(_, _, value)| format!("default={value}")));
    parts.join(" ")
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(rules), Some(out)) = (arguments.next(), arguments.next()) else {
        panic!("usage: generate-types RULES.tsv DIRECTORY");
    };
    let rules = read_rules(&std::fs::read_to_string(rules).expect("the rules can be read"));
    let mut visit = Visit::default();
    every_type::every_type(&mut visit);
    let found = visit.generator.take_definitions(true);
    visit.definitions.extend(found);

    let (mut types, mut docs) = (String::new(), String::new());
    let mut document = |name: &str, field: &str, schema: &Value| {
        if let Some(text) = schema["description"].as_str() {
            docs +=
                &format!("{name}\t{field}\t{}\n", text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t"));
        }
    };
    for (name, schema) in &visit.definitions {
        document(name, "", schema);
        let itself = rules.get(&(name.clone(), String::new()));
        let head = alias(name).map(|alias| format!("={alias}"));
        let head = head.unwrap_or_else(|| itself.map_or(String::new(), |rule| rule.map_type.clone()));
        let kind = visit.kinds.get(name).map_or("", String::as_str);
        types += format!("{name}\t{head}\t{kind}").trim_end_matches('\t');
        types += "\n";
        if alias(name).is_some() {
            continue;
        }
        let none = serde_json::Map::new();
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        if properties.is_empty() {
            eprintln!("no fields: {name}");
        }
        let mut properties: Vec<_> = properties.iter().collect();
        properties.sort_by_key(|(field, _)| *field);
        for (field, schema) in properties {
            document(name, field, schema);
            let mark = if required.contains(&field.as_str()) { "!" } else { "" };
            let rule = rules_of(name, field, rules.get(&(name.clone(), field.clone())));
            types += format!("\t{field}{mark}\t{}\t{rule}", type_of(schema)).trim_end_matches('\t');
            types += "\n";
        }
    }
    for (name, field) in rules.keys() {
        let known = visit
            .definitions
            .get(name)
            .is_some_and(|schema| field.is_empty() || !schema["properties"][field].is_null());
        if !known {
            eprintln!("a rule for what is not there: {name} {field}");
        }
    }
    std::fs::write(format!("{out}/types.tsv"), types).expect("types.tsv can be written");
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(docs.as_bytes()).expect("memory takes it");
    let packed = encoder.finish().expect("memory takes it");
    std::fs::write(format!("{out}/docs.tsv.zz"), packed).expect("docs.tsv.zz can be written");
}
