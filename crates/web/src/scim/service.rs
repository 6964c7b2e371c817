//! What this server says of itself: its abilities, its types of resource, and their schemas (RFC 7644, section 4; RFC 7643,
//! sections 5 to 7). Told to directories alone, like everything else here.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use domain::scim::{GROUP, USER};
use serde_json::{Value, json};

use super::Directory;
use super::answer::{self, Refused};

const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// `GET /scim/v2/ServiceProviderConfig`.
pub async fn config(directory: Directory) -> Response {
    let config = json!({
        "schemas": [CONFIG],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": answer::COUNT_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token of LoopIQ whose scopes name users:manage.",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", directory.base),
        },
    });
    answer::document(StatusCode::OK, &config)
}

fn resource_types(directory: &Directory) -> Vec<Value> {
    [
        ("User", "/Users", USER, "A member of the organization."),
        ("Group", "/Groups", GROUP, "A role, where it is held."),
    ]
    .into_iter()
    .map(|(name, endpoint, schema, description)| {
        json!({
            "schemas": [TYPE],
            "id": name,
            "name": name,
            "endpoint": endpoint,
            "description": description,
            "schema": schema,
            "meta": {
                "resourceType": "ResourceType",
                "location": format!("{}/ResourceTypes/{name}", directory.base),
            },
        })
    })
    .collect()
}

/// `GET /scim/v2/ResourceTypes`.
pub async fn types(directory: Directory) -> Response {
    let all = resource_types(&directory);
    answer::list(all.len(), 1, all)
}

/// `GET /scim/v2/ResourceTypes/{name}`.
pub async fn one_type(directory: Directory, Path(name): Path<String>) -> Result<Response, Refused> {
    one(&directory, resource_types(&directory), &name, "resource type")
}

/// `GET /scim/v2/Schemas`.
pub async fn schemas(directory: Directory) -> Response {
    let all = described(&directory);
    answer::list(all.len(), 1, all)
}

/// `GET /scim/v2/Schemas/{id}`.
pub async fn schema(directory: Directory, Path(id): Path<String>) -> Result<Response, Refused> {
    one(&directory, described(&directory), &id, "schema")
}

fn one(directory: &Directory, all: Vec<Value>, id: &str, noun: &str) -> Result<Response, Refused> {
    let found = all.into_iter().find(|item| item.get("id").and_then(Value::as_str) == Some(id));
    found.map(|found| answer::document(StatusCode::OK, &found)).ok_or_else(|| directory.absent(noun))
}

/// Characteristics of one attribute (RFC 7643, section 7).
struct Attribute {
    name: &'static str,
    kind: &'static str,
    many: bool,
    required: bool,
    exact: bool,
    mutability: &'static str,
    unique: bool,
    parts: &'static [Attribute],
    description: &'static str,
}

/// An attribute of one text that directories set.
const fn text(name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        name,
        kind: "string",
        many: false,
        required: false,
        exact: false,
        mutability: "readWrite",
        unique: false,
        parts: &[],
        description,
    }
}

/// One that only this server sets.
const fn told(name: &'static str, description: &'static str) -> Attribute {
    Attribute { mutability: "readOnly", ..text(name, description) }
}

const USER_ATTRIBUTES: &[Attribute] = &[
    Attribute {
        required: true,
        mutability: "immutable",
        unique: true,
        ..text("userName", "The e-mail address of the person's account.")
    },
    Attribute {
        kind: "complex",
        parts: &[text("givenName", "Given name."), text("familyName", "Family name.")],
        ..text("name", "The person's name.")
    },
    text("displayName", "The name shown in this organization."),
    Attribute { kind: "boolean", ..text("active", "Whether the person may use this organization.") },
    Attribute {
        kind: "complex",
        many: true,
        parts: &[
            told("value", "The same as userName."),
            told("type", "Always work."),
            Attribute { kind: "boolean", ..told("primary", "Always true.") },
        ],
        ..told("emails", "The address of the account.")
    },
    Attribute {
        kind: "complex",
        many: true,
        parts: &[
            Attribute { exact: true, ..told("value", "Id of the group.") },
            Attribute { kind: "reference", exact: true, ..told("$ref", "Where the group is.") },
            told("display", "Name of the group."),
            told("type", "Always direct."),
        ],
        ..told("groups", "The roles the person holds.")
    },
];

const GROUP_ATTRIBUTES: &[Attribute] = &[
    Attribute { required: true, unique: true, ..told("displayName", "The role, or team/key/role.") },
    Attribute {
        kind: "complex",
        many: true,
        parts: &[
            Attribute { exact: true, mutability: "immutable", ..text("value", "Id of the user.") },
            Attribute { kind: "reference", exact: true, ..told("$ref", "Where the user is.") },
            told("display", "Name of the user."),
            told("type", "Always User."),
        ],
        ..text("members", "The active members who hold the role.")
    },
];

impl Attribute {
    fn written(&self) -> Value {
        let mut all = json!({
            "name": self.name,
            "type": self.kind,
            "multiValued": self.many,
            "description": self.description,
            "required": self.required,
            "mutability": self.mutability,
            "returned": "default",
        });
        let Some(members) = all.as_object_mut() else { return all };
        if matches!(self.kind, "string" | "reference") {
            members.insert("caseExact".into(), json!(self.exact));
            members.insert("uniqueness".into(), json!(if self.unique { "server" } else { "none" }));
        }
        if self.kind == "reference" {
            let to = if self.description.contains("group") { "Group" } else { "User" };
            members.insert("referenceTypes".into(), json!([to]));
        }
        if !self.parts.is_empty() {
            let parts: Vec<Value> = self.parts.iter().map(Attribute::written).collect();
            members.insert("subAttributes".into(), json!(parts));
        }
        all
    }
}

fn described(directory: &Directory) -> Vec<Value> {
    [(USER, "User", USER_ATTRIBUTES), (GROUP, "Group", GROUP_ATTRIBUTES)]
        .into_iter()
        .map(|(id, name, attributes)| {
            json!({
                "schemas": [SCHEMA],
                "id": id,
                "name": name,
                "attributes": attributes.iter().map(Attribute::written).collect::<Vec<_>>(),
                "meta": { "resourceType": "Schema", "location": format!("{}/Schemas/{id}", directory.base) },
            })
        })
        .collect()
}
